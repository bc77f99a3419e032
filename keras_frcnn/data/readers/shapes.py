"""Scenes of simple shapes, drawn on the fly: a data set with nothing to download.

A scene shows up to eight textured objects of six classes on a textured background, among scraps of no class.
Its contents depend only on its index; the two splits have different indices.

Shape letters: H height, W width of the scene or of an object, in pixels.
"""

import functools
import typing

import numpy as np

from keras_frcnn.data.dataset import DetectionDataset
from keras_frcnn.data.records import BoxCheck
from keras_frcnn.data.sources import Drawn
from keras_frcnn.names import remedy
from keras_frcnn.opencv import cv2

HEIGHT, WIDTH = 256, 320
CLASS_NAMES = ("circle", "cross", "ring", "square", "star", "triangle")
SIDES = 16, 160
MOST_OBJECTS = 8
MOST_SCRAPS = 4
# Objects overlap in this share of the scenes, up to this IoU.
CROWDED = 1 / 3
MOST_OVERLAP = 0.5
# Objects are tilted by up to this angle in either direction, radians.
TILT = np.pi / 8
# Share of the scraps that color alone tells apart from objects.
DULL_SCRAPS = 0.8
EMPTY = 0.1
GRAIN = 4
# First index and number of scenes of each split.
SPLITS = {"train": (0, 2000), "val": (1_000_000, 200)}
_SEED = 1504


class Thing(typing.NamedTuple):
    """A thing in a scene: its silhouette, bool `[H, W]`, its place and its class (-1 for a scrap)."""

    mask: np.ndarray
    x: int
    y: int
    label: int


def parse(text, spec, reading):
    """Read the set that TEXT of "shapes@TEXT" names, or return None if it has another form."""
    return load(text) if text else None


def load(split, count=None):
    """Make a set of drawn scenes.

    Args:
        split: `train` or `val`.
        count: int, the number of scenes; by default 2000 for `train` and 200 for `val`.

    Returns:
        DetectionDataset of 320x256 images.

    Raises:
        ValueError: there is no such split.
    """
    if split not in SPLITS:
        listed = remedy(split, SPLITS, f"it has {' and '.join(SPLITS)}.")
        raise ValueError(f"shapes has no split {split!r}; {listed}")
    first, default = SPLITS[split]
    count = default if count is None else count
    check = BoxCheck("shapes")
    records = []
    for index in range(first, first + count):
        objects = [thing for thing in compose(index) if thing.label >= 0]
        boxes = [[o.x, o.y, o.x + o.mask.shape[1], o.y + o.mask.shape[0]] for o in objects]
        labels = [thing.label for thing in objects]
        records.append(
            check.record(index, f"shapes scene {index}", HEIGHT, WIDTH, boxes, labels, [False] * len(labels))
        )
    source = Drawn(lambda i: draw(first + int(i)), count, keeps=True)
    return DetectionDataset(f"shapes@{split}", CLASS_NAMES, records, source)


def compose(index):
    """Compose a scene.

    Args:
        index: int, the scene.

    Returns:
        list of `Thing` in drawing order: the scraps, then the objects from large to small, so that every
        object stays visible. A silhouette touches all four sides of its mask.
    """
    rng = np.random.default_rng([_SEED, index, 0])
    scraps = [_place(rng, _scrap(rng), -1) for _ in range(rng.integers(MOST_SCRAPS + 1))]
    objects = []
    wanted = 0 if rng.random() < EMPTY else rng.integers(1, MOST_OBJECTS + 1)
    most_overlap = MOST_OVERLAP if rng.random() < CROWDED else 0.0
    # Limit the attempts, because a full scene may have no room left.
    for _ in range(4 * wanted):
        if len(objects) == wanted:
            break
        label = int(rng.integers(len(CLASS_NAMES)))
        thing = _place(rng, _silhouette(rng, CLASS_NAMES[label]), label)
        if all(_iou(thing, other) <= most_overlap for other in objects):
            objects.append(thing)
    return scraps + sorted(objects, key=lambda thing: -thing.mask.size)


# Room for both splits at their usual sizes, 2200 scenes: an epoch must not evict its own scenes.
@functools.lru_cache(maxsize=2304)
def draw(index):
    """Draw a scene, or return it from the cache, which takes half a GB and saves a third of a training step.

    Args:
        index: int.

    Returns:
        uint8 `[256, 320, 3]` RGB, read-only, because every caller gets the same array.
    """
    rng = np.random.default_rng([_SEED, index, 1])
    hue = rng.random()
    image = _texture(rng, HEIGHT, WIDTH, _pale(rng, hue), _pale(rng, hue + rng.normal(0, 0.1)))
    for thing in compose(index):
        height, width = thing.mask.shape
        first, second = _dull(rng) if thing.label < 0 and rng.random() < DULL_SCRAPS else _vivid(rng)
        fill = _texture(rng, height, width, first, second)
        place = image[thing.y : thing.y + height, thing.x : thing.x + width]
        np.copyto(place, fill, where=thing.mask[..., None])
    grain = _grain()[rng.integers(GRAIN)]
    top, left = rng.integers(grain.shape[0] - HEIGHT), rng.integers(grain.shape[1] - WIDTH)
    image = cv2.add(image, grain[top : top + HEIGHT, left : left + WIDTH], dtype=cv2.CV_8U)
    image.flags.writeable = False
    return image


@functools.cache
def _grain():
    """Film grain of rising strength to cut pieces from: int16 `[GRAIN, 2H, 2W, 3]`."""
    # Cached, because making it for each scene would take half of the time.
    noise = np.random.default_rng(_SEED).normal(size=[2 * HEIGHT, 2 * WIDTH, 3])
    return np.stack([np.round(2 * level * noise).astype(np.int16) for level in range(GRAIN)])


def _silhouette(rng, name):
    """An object of a class, tilted a little: bool `[H, W]`."""
    if name in ("circle", "ring"):
        angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
        points = np.stack([np.cos(angles), np.sin(angles)], -1)
    elif name == "square":
        points = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    elif name == "triangle":
        angles = np.arange(3) * 2 * np.pi / 3 - np.pi / 2
        points = np.stack([np.cos(angles), np.sin(angles)], -1)
    elif name == "star":
        angles = np.arange(10) * np.pi / 5 - np.pi / 2
        points = np.stack([np.cos(angles), np.sin(angles)], -1) * np.tile([1, 0.42], 5)[:, None]
    else:
        arm = rng.uniform(0.25, 0.4)
        points = np.array([[1, arm], [arm, arm], [arm, 1]])
        points = np.concatenate([points @ [[c, s], [-s, c]] for c, s in ((1, 0), (0, 1), (-1, 0), (0, -1))])
    stretch = np.exp(rng.uniform(-0.2, 0.2))
    points = points * [stretch, 1 / stretch] @ _rotation(rng.uniform(-TILT, TILT))
    points -= points.min(0)
    extent = points.max(0)
    # Sizes are uniform on a logarithmic scale. The filled shape has up to two pixels more than its outline.
    lowest, highest = SIDES[0] / extent.min(), (SIDES[1] - 2) / extent.max()
    points *= np.exp(rng.uniform(np.log(lowest), np.log(highest)))
    outlines = [points]
    if name == "ring":
        middle = points.mean(0)
        outlines.append(middle + (points - middle) * rng.uniform(0.5, 0.7))
    return _fill(outlines)


def _scrap(rng):
    """A thing of no class: a line, an arc, a half-moon or a blob; bool `[H, W]`."""
    kind = rng.integers(4)
    size = np.exp(rng.uniform(np.log(12), np.log(70)))
    if kind == 0:
        length, thick = rng.uniform(20, 150), rng.uniform(2, 5)
        points = np.array([[0, 0], [length, 0], [length, thick], [0, thick]])
    elif kind == 1:
        angles = np.linspace(0, rng.uniform(1.5, 3.5), 24)
        arc = np.stack([np.cos(angles), np.sin(angles)], -1) * size
        points = np.concatenate([arc, arc[::-1] * (1 - rng.uniform(2, 5) / size)])
    elif kind == 2:
        angles = np.linspace(0, np.pi, 24)
        outer = np.stack([np.cos(angles), np.sin(angles)], -1) * size
        points = np.concatenate([outer, outer[::-1] * [1, rng.uniform(0, 0.6)]])
    else:
        angles = np.linspace(0, 2 * np.pi, 36, endpoint=False)
        waves = sum(rng.uniform(0.1, 0.25) * np.sin(k * angles + rng.uniform(0, 6.3)) for k in (2, 3, 5))
        points = np.stack([np.cos(angles), np.sin(angles)], -1) * (size / 2 * (1 + waves))[:, None]
    return _fill([points @ _rotation(rng.uniform(0, 2 * np.pi))])


def _rotation(angle):
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def _fill(outlines):
    """Fill outlines `[P, 2]` (x, y) by the even-odd rule and crop the result to its extent."""
    low = outlines[0].min(0)
    width, height = np.ceil(outlines[0].max(0) - low).astype(int) + 1
    mask = np.zeros([height, width], np.uint8)
    # OpenCV takes fixed-point coordinates, here with four fractional bits.
    cv2.fillPoly(mask, [np.round((points - low) * 16).astype(np.int32) for points in outlines], 1, shift=4)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(bool)


def _place(rng, mask, label):
    mask = mask[:HEIGHT, :WIDTH]
    height, width = mask.shape
    return Thing(mask, int(rng.integers(WIDTH - width + 1)), int(rng.integers(HEIGHT - height + 1)), label)


def _iou(one, two):
    (h1, w1), (h2, w2) = one.mask.shape, two.mask.shape
    width = max(0, min(one.x + w1, two.x + w2) - max(one.x, two.x))
    height = max(0, min(one.y + h1, two.y + h2) - max(one.y, two.y))
    return width * height / (h1 * w1 + h2 * w2 - width * height)


def _texture(rng, height, width, first, second):
    """Blend two colors by a gradient, stripes, checks or noise: uint8 `[height, width, 3]`."""
    kind = rng.integers(4)
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    if kind < 2:
        angle = rng.uniform(0, 2 * np.pi)
        along = np.float32(np.cos(angle)) * x + np.float32(np.sin(angle)) * y
        along -= along.min()
        if kind == 0:
            levels = (along * np.float32(255 / max(along.max(), 1))).astype(np.uint8)
        else:
            # The cast to 8 bits wraps around once per stripe.
            phase = (along * np.float32(256 / rng.uniform(8, 24))).astype(np.int32).astype(np.uint8)
            levels = (phase < rng.integers(64, 128)) * np.uint8(255)
    elif kind == 2:
        cell = rng.uniform(6, 16)
        levels = ((x // cell).astype(np.uint8) + (y // cell).astype(np.uint8)) % 2 * np.uint8(255)
    else:
        coarse = rng.integers(256, size=(height // 8 + 2, width // 8 + 2), dtype=np.uint8)
        levels = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    # A table of 256 blended colors is much faster than blending every pixel.
    blends = first + np.arange(256)[:, None] / 255 * (second - first)
    return cv2.applyColorMap(levels, blends.astype(np.uint8)[:, None])


def _pale(rng, hue):
    return _rgb(hue, rng.uniform(0.05, 0.3), rng.uniform(0.35, 0.85))


def _dull(rng):
    return _pale(rng, rng.random()), _pale(rng, rng.random())


def _vivid(rng):
    """Two related strong colors."""
    hue = rng.random()
    value = rng.uniform(0.6, 1)
    first = _rgb(hue, rng.uniform(0.65, 1), value)
    return first, _rgb(hue + rng.uniform(-0.12, 0.12), rng.uniform(0.5, 1), value * rng.uniform(0.6, 0.95))


def _rgb(hue, saturation, value):
    """Float `[3]` in 0-255 from hue (any real, period 1), saturation and value in 0-1."""
    ramp = np.clip(np.abs((hue % 1 * 6 + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1)
    return 255 * value * (1 - saturation + saturation * ramp)
