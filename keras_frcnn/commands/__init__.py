"""The commands: thin shells over the library, one a file."""
