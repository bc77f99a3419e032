"""The parts of a two-stage detector as Keras layers."""

from keras_frcnn.layers.anchors import AnchorGenerator
from keras_frcnn.layers.detection_head import DetectionHead
from keras_frcnn.layers.exact_roi_pooling import ExactRoIPooling
from keras_frcnn.layers.fpn import FeaturePyramid
from keras_frcnn.layers.pixels import PixelNormalization
from keras_frcnn.layers.roi_align import RoIAlign
from keras_frcnn.layers.roi_pooling import RoIPooling
from keras_frcnn.layers.rpn import RegionProposalNetwork
from keras_frcnn.layers.spatial_pyramid_pooling import SpatialPyramidPooling

__all__ = [
    "AnchorGenerator",
    "DetectionHead",
    "ExactRoIPooling",
    "FeaturePyramid",
    "PixelNormalization",
    "RegionProposalNetwork",
    "RoIAlign",
    "RoIPooling",
    "SpatialPyramidPooling",
]
