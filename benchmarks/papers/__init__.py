"""The papers' methods beside one another."""
