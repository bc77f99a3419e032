"""Whether the weights of a pretrained backbone are whole, and get the pixels they were trained on.

Batch normalization keeps the mean and variance that each map had in pretraining. Maps of pictures with the
statistics of photographs agree with them as long as the weights are those of that training and the pixels
are normalized as there. The pictures are always the same, because those of a healthy set, such as thermal or
X-ray pictures, may be unlike those of pretraining.
"""

import math

import keras
import numpy as np

from keras_frcnn.doctor.case import Case
from keras_frcnn.doctor.findings import Finding, Result
from keras_frcnn.doctor.reference_pictures import reference_pictures
from keras_frcnn.layers import PixelNormalization

# The largest weight of MobileNetV2 is 68 (a variance), of VGG16 12 (a bias).
LARGEST = 1e5
# Median over all layers of the distance between mean and stored mean, in deviations, and of the logarithm of
# the ratio of variances. MobileNetV2 (COCO SSD) has 0.16 and 0.29 if whole. With damaged kernels it has:
# shuffled 2.3 and 1.0; half of each 0: 0.6 and 4.1; noise of 1.5 deviations 5.0 and 3.4, of 0.5 deviations
# 1.2 and 0.7; half of the weights with a bit of sign or exponent flipped 4.1 and 2.5. Noise of a quarter of
# a deviation (0.6 and 0.7) and a bit flipped in 1 % of the weights (0.3 and 0.4) pass.
MOST_SHIFT, MOST_RATIO = 0.8, 1.2
# The same in the worst single layer: 0.3 and 0.7 if whole; a kernel that is all 0 has a ratio of 6.6.
MOST_SHIFT_OF_ONE, MOST_RATIO_OF_ONE = 2.5, 4.0
# Without normalization, neighbors in the kernels tell: 0.64 in VGG16, 0 in noise and in shuffled weights.
LEAST_SMOOTH = 0.15
# The first layer alone feels the normalization of pixels: 0.1 if right, 11 if pixels are not scaled.
MOST_FIRST_SHIFT = 2.0


def check_backbone_weights(case: Case) -> Result:
    """Look for values that no training leaves, and compare activations with the stored statistics."""
    assert case.recipe is not None and case.train is not None
    info, own = case.fresh.backbone_info, case.fresh.arguments["preprocessing"]
    if info.source == "none":
        return Result("the backbone begins with random weights")
    name = case.recipe.backbone_weights
    values = {variable.path: variable.numpy() for variable in info.network.weights if _loaded(info, variable)}
    broken = [path for path, value in values.items() if not np.isfinite(value).all()]
    if broken:
        return _corrupt(
            case, name, f"{len(broken)} of {len(values)} tensors are not finite, first {broken[0]}"
        )
    largest = max(values, key=lambda path: np.abs(values[path]).max())
    if np.abs(values[largest]).max() > LARGEST:
        return _corrupt(case, name, f"{largest} has the value {np.abs(values[largest]).max():.2g}")
    kernels = {path: value for path, value in values.items() if value.ndim > 1}
    empty = [path for path, value in kernels.items() if not value.any()]
    if empty:
        return _corrupt(case, name, f"{len(empty)} of {len(kernels)} kernels are all 0, first {empty[0]}")
    norms = [layer for layer in info.network.layers if isinstance(layer, keras.layers.BatchNormalization)]
    if not norms:
        smooth = float(np.mean([_smoothness(value) for value in kernels.values() if value.shape[0] > 1]))
        figure = f"neighbors in kernels correlate by {smooth:.2g}"
        return Result(figure) if smooth >= LEAST_SMOOTH else _corrupt(case, name, f"{figure}, as noise does")
    if all(not norm.moving_mean.numpy().any() for norm in norms):
        return _corrupt(case, name, "all stored means are 0, so it was never trained", "was never trained")
    pictures = reference_pictures()
    measured = {
        other: _disagreement(info.network, norms, PixelNormalization(other, 128), pictures)
        for other in dict.fromkeys(("caffe", "torch", "tf", own))
    }
    shift, ratio = np.median(measured[own], axis=0)
    worst_shift, worst_ratio = measured[own].max(axis=0)
    figure = (
        f"activations and stored statistics differ by {shift:.2g} deviations (variances by a factor of "
        f"{math.exp(ratio):.2g})"
    )
    better = min(measured, key=lambda other: measured[other].mean())
    first = {other: values[0, 0] for other, values in measured.items()}
    if first[own] > MOST_FIRST_SHIFT > first[better]:
        return Result(
            figure,
            [
                Finding(
                    "preprocessing",
                    0.9,
                    f"The pixels are normalized as {own!r}, which does not fit the weights of {name}; use "
                    f"{info.preprocessing!r}.",
                    f"the first layer's input is off by {first[own]:.2g} deviations, with {better!r} by "
                    f"{first[better]:.2g}",
                    case.retrain(
                        f"--config FILE, with `detector: {{preprocessing: {info.preprocessing}}}` in FILE"
                    ),
                )
            ],
        )
    if shift > MOST_SHIFT or ratio > MOST_RATIO:
        return _corrupt(case, name, figure)
    if worst_shift > MOST_SHIFT_OF_ONE or worst_ratio > MOST_RATIO_OF_ONE:
        layer = norms[int(measured[own].max(axis=1).argmax())].name
        return _corrupt(case, name, f"at {layer}, {figure.replace(f'{shift:.2g}', f'{worst_shift:.2g}')}")
    return Result(figure)


def _corrupt(case, name, figure, what="is corrupt: its weights are not those of a trained network"):
    return Result(
        figure,
        [
            Finding(
                "backbone weights",
                0.97,
                f"The backbone file {name} {what}; get it again.",
                figure,
                case.retrain("--backbone-weights FILE"),
            )
        ],
    )


def _loaded(info, variable):
    """Whether a weight comes from the file: a pyramid is always new."""
    owners = [layer for layer in info.network.layers if any(variable is weight for weight in layer.weights)]
    return bool(owners) and hasattr(owners[0], "weights_source")


def _smoothness(kernel):
    """Mean correlation of neighbors in kernels `[height, width, in, out]`."""
    kernel = kernel - kernel.mean()
    down, right = (kernel[1:] * kernel[:-1]).mean(), (kernel[:, 1:] * kernel[:, :-1]).mean()
    return (down + right) / 2 / (kernel**2).mean()


def _disagreement(network, norms, pixels, pictures):
    """For each normalization layer the medians over its channels of shift and ratio, `[layers, 2]`."""
    probe = keras.Model(network.input, [norm.input for norm in norms])
    sides = np.array([pictures.shape[1:3]] * len(pictures), np.int32)
    maps = probe(pixels(pictures, sides), training=False)
    found = []
    for norm, values in zip(norms, maps):
        values = values.numpy().astype(np.float64).reshape(-1, values.shape[-1])
        stored = norm.moving_variance.numpy() + norm.epsilon
        shift = np.abs(values.mean(0) - norm.moving_mean.numpy()) / np.sqrt(stored)
        found.append([np.median(shift), np.median(np.abs(np.log((values.var(0) + norm.epsilon) / stored)))])
    return np.array(found)
