"""Stateless kernels for suppression and feature reads: TensorFlow's own, or ones that XLA can compile."""
