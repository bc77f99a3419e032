"""Comparison of the papers' methods."""
