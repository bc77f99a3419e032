"""Fixed pictures with the statistics of photographs, so that no set plays a role in judging a backbone.

Letters: N pictures, H height, W width.
"""

import numpy as np

from keras_frcnn.data.readers import shapes

# Sides are multiples of 128, so that no padding of the network counts.
NOISE, SCENES, SIDES = 3, 9, (256, 384)
# Mean and deviation of the pixels of photographs.
MEAN, DEVIATION = 118.0, 60.0
# Share of the deviation that all three channels have in common: photographs are mostly gray.
GRAY = 0.9


def reference_pictures() -> np.ndarray:
    """Make noise whose amplitudes fall with frequency, and scenes of shapes, which have sharp edges.

    Returns:
        float32 `[N, H, W, 3]`, RGB in 0-255.
    """
    rng = np.random.default_rng(0)
    noise = [_noise(rng) for _ in range(NOISE)]
    scenes = shapes.load("val", SCENES)
    drawn = []
    for index in range(SCENES):
        scene = scenes.image(index)
        missing = [(0, side - own) for side, own in zip(SIDES, scene.shape)]
        drawn.append(np.pad(scene, [*missing, (0, 0)], mode="reflect"))
    return np.stack([*noise, *drawn]).astype(np.float32)


def _noise(rng):
    """A picture of colored noise with amplitudes as 1 / frequency, `[H, W, 3]`."""
    height, width = SIDES
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    frequency[0, 0] = np.inf
    maps = np.fft.irfft2(np.fft.rfft2(rng.normal(size=[4, height, width])) / frequency, s=SIDES)
    maps /= maps.std(axis=(1, 2), keepdims=True)
    picture = GRAY * maps[0] + np.sqrt(1 - GRAY**2) * maps[1:]
    return np.clip(MEAN + DEVIATION * picture.transpose(1, 2, 0), 0, 255)
