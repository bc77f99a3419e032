"""From one trained detector to the beginning of another."""


def transfer(source, target, origin):
    """Give a detector the weights of another that fit it.

    Weights are matched by their path. One fits if its shape does; the predictors of classes, and of boxes
    where each class has its own, fit only where the classes are the same, in the same order.

    Args:
        source: `Detector` to learn from; it is not changed.
        target: `Detector` that gets the weights.
        origin: what to call the source in `Detector.loading_report`.

    Returns:
        list of the paths of the weights of `target` that remain new.

    Raises:
        ValueError: nothing fits.
    """
    known = {weight.path: weight for weight in source.weights}
    own = _of_classes(target) if source.class_names != target.class_names else set()
    kept, new = [], []
    for weight in target.weights:
        match = known.get(weight.path)
        if match is None or id(weight) in own or match.shape != weight.shape:
            new.append(weight)
        else:
            weight.assign(match)
            kept.append(weight)
    if not kept:
        raise ValueError(f"No weight of {origin} fits this model; are they of the same backbone?")
    target.note_origin(kept, origin)
    return [weight.path for weight in new]


def _of_classes(model):
    """The ids of the weights that belong to classes."""
    head = getattr(model, "head", None)
    if head is None:
        return set()
    layers = [head.class_dense] if head.class_agnostic else [head.class_dense, head.box_dense]
    return {id(weight) for layer in layers for weight in layer.weights}
