"""Kernels without state: suppression, reads of feature maps, and which of two sets a graph gets."""
