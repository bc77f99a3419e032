"""One feature map, or a list of them, as layers take both."""


def as_list(features) -> list:
    """Return feature maps as a list, also a single one."""
    return list(features) if isinstance(features, (list, tuple)) else [features]


def first_shape(shape) -> tuple:
    """Return the shape of the first map from the shape of a single map or of a list of maps.

    In a saved model, the shape of a single map is a list of sizes.
    """
    return tuple(shape[0] if hasattr(shape[0], "__len__") else shape)
