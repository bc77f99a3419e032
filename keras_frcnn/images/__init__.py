"""Images: decode, turn upright, resize and pad."""

from keras_frcnn.images import float64_sides
from keras_frcnn.images.decoding import (
    as_image,
    decode,
    decode_or_empty,
    from_bytes,
    read,
    turn_boxes_upright,
    turn_upright,
    turned,
    undecodable,
)
from keras_frcnn.images.resizing import (
    SIDE_MULTIPLE,
    canvas_side,
    checked_image_size,
    checked_rounding,
    pad,
    resize,
    resized_shape,
)

__all__ = [
    "SIDE_MULTIPLE",
    "as_image",
    "canvas_side",
    "checked_image_size",
    "checked_rounding",
    "decode",
    "decode_or_empty",
    "float64_sides",
    "from_bytes",
    "pad",
    "read",
    "resize",
    "resized_shape",
    "turn_boxes_upright",
    "turn_upright",
    "turned",
    "undecodable",
]
