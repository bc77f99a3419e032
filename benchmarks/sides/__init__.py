"""The sides of a comparison: each a process with one library."""
