"""Start a detector with the weights of another one."""

from keras_frcnn.models.detector import Detector
from keras_frcnn.trainable_flags import layers_by_path


def transfer(source: Detector, target: Detector, origin: str) -> list[str]:
    """Copy the weights of a detector that fit another one.

    Weights are matched by their place in the model, and fit if their shapes are equal. The predictors of
    classes, and of boxes if each class has its own, are copied row by row: the rows of the background and of
    the class names that both detectors share, or no row if they share no class.

    Args:
        source: `Detector` to copy from; it is not changed.
        target: `Detector` that gets the weights.
        origin: name of the source in `Detector.loading_report` and in messages.

    Returns:
        list of the paths of the weights of `target` that stay entirely new.

    Raises:
        ValueError: nothing fits, or a frozen layer would stay new; then nothing is copied.
    """
    known, places = {place: weight for weight, place in _places(source)}, _places(target)
    known_rows, rows = _rows(source), _rows(target)
    of_networks = [head.name for head in target.detection_heads() if head.network is not None]
    taken, new = [], []
    for weight, place in places:
        match = known.get(place)
        if match is None and "/" in place:
            # Each head of a cascade begins with the conv5 of the one head of another method.
            head, inside = place.split("/", 1)
            match = known.get(f"head/{inside}") if head in of_networks else None
        value = None
        if match is not None:
            value = _fitting(match, weight, known_rows.get(id(match)), rows.get(id(weight)))
        if value is None:
            new.append(weight)
        else:
            taken.append((weight, value))
    if not taken:
        raise ValueError(f"No weight of {origin} fits this model; are they of the same backbone?")
    lost = {id(weight) for weight in new}
    stuck = [weight.path for weight in _frozen(target) if id(weight) in lost]
    if stuck:
        raise ValueError(
            f"{origin} has no weights for {stuck[0]} of this model, which is frozen; leave --backbone "
            "out, or set frozen_stages to 0 and frozen_batch_norm to false."
        )
    for weight, value in taken:
        weight.assign(value)
    target.note_origin([weight for weight, _ in taken], origin)
    return [weight.path for weight in new]


def _fitting(match, weight, known_rows, rows):
    """Return the part of the source's weight that fits this one, or None.

    `rows` names the class of each equal block of outputs along the last axis, or is None if the layer is no
    predictor.
    """
    if known_rows == rows:
        return match if match.shape == weight.shape else None
    if not known_rows or not rows or match.shape[:-1] != weight.shape[:-1]:
        return None
    common = {*known_rows} & {*rows} - {"N/A"}
    if common <= {None}:
        return None
    old, value = match.numpy(), weight.numpy()
    known_size, size = old.shape[-1] // len(known_rows), value.shape[-1] // len(rows)
    for row, name in enumerate(rows):
        if name in common:
            begin = known_rows.index(name) * known_size
            value[..., row * size : (row + 1) * size] = old[..., begin : begin + size]
    return value


def _places(model):
    """Pairs of each weight and its place: the path of its layer, and its name.

    Paths within the backbone begin there, so that backbones of other names share layers. Keras's own path of
    a weight begins where the layer was built, and is not unique.
    """
    paths = {id(weight): weight.name for weight in model.weights}
    for path, layer in layers_by_path(model):
        paths |= {id(weight): f"{path}/{weight.name}" for weight in layer.weights}
    for path, layer in layers_by_path(model.backbone):
        paths |= {id(weight): f"{path}/{weight.name}" for weight in layer.weights}
    return [(weight, paths[id(weight)]) for weight in model.weights]


def _rows(model):
    """Map the ids of the predictors' weights to their rows: class names, and None for the background."""
    pairs = [pair for head in model.detection_heads() for pair in head.output_rows(model.class_names)]
    return {id(weight): rows for layer, rows in pairs for weight in layer.weights}


def _frozen(model):
    """List the weights of the layers that do not train."""
    parts = model.backbone_info
    layers = [*parts.layers(), *parts.norms()]
    for head in model.detection_heads():
        layers += head.norms
        if head.network is not None:
            layers += [layer for _, layer in layers_by_path(head.network)]
    layers = [layer for layer in layers if not layer.trainable]
    return [weight for layer in layers for weight in layer.weights]
