"""The commands: thin wrappers around the library, one per file."""
