"""Write a detector as an ONNX graph of native operators, stage by stage."""

from keras_frcnn.onnx_writer.detector import write_detector

__all__ = ["write_detector"]
