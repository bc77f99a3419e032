"""Compare an exported file with the detector that it was made from.

Letter: N detections.
"""

import dataclasses

import numpy as np

from keras_frcnn import images as image_ops
from keras_frcnn.data.readers import shapes

# Detections are the same if boxes differ by less than this many pixels, and scores by less than this.
BOX, SCORE = 0.05, 1e-4
# Rounded weights move boxes and scores; they must still find the same objects.
HALF_BOX, HALF_SCORE = 5.0, 0.05
# Of two boxes with nearly equal scores either may suppress the other, so a few may differ; most do so where
# weights are random.
FEWEST = 0.9
# Rounded weights decide more of these, above all where scores are low.
HALF_FEWEST = 0.6
# A picture with fewer detections than this says little by itself.
ENOUGH = 10
# A file can be wrong for one shape of image, and then hardly any of its boxes are right there. By chance a
# single picture gets less than the share of all, but not less than this much of it.
OF_ONE_PICTURE = 0.5


@dataclasses.dataclass(frozen=True)
class Parity:
    """How far an export and its model agree.

    Attributes:
        pictures: for each picture, the number of detections that both give, and the number of the model, or
            of the export if it gives more.
        box, score: largest difference among those that both give, pixels and fractions.
        fewest: share of all that has to be the same.
    """

    pictures: tuple[tuple[int, int], ...]
    box: float
    score: float
    fewest: float = FEWEST

    @property
    def same(self) -> int:
        """The number of detections that both give."""
        return sum(same for same, _ in self.pictures)

    @property
    def found(self) -> int:
        """The number of all detections."""
        return sum(found for _, found in self.pictures)

    @property
    def is_telling(self) -> bool:
        """Whether every picture has detections enough to be judged by itself."""
        return all(found >= ENOUGH for _, found in self.pictures)

    @property
    def worst(self) -> float:
        """The smallest share of detections that both give, of the pictures with enough of them."""
        return min((same / found for same, found in self.pictures if found >= ENOUGH), default=1.0)

    @property
    def agrees(self) -> bool:
        """Whether the export may be handed out."""
        return self.same >= self.fewest * self.found and self.worst >= OF_ONE_PICTURE * self.fewest

    def __str__(self):
        return (
            f"{self.same} of {self.found} detections equal those of the model (boxes within {self.box:.2g} "
            f"pixels, scores within {self.score:.2g}), {self.worst:.0%} in the worst picture"
        )


def pictures(image_size) -> list[np.ndarray]:
    """Draw scenes of several sizes and shapes around a test-time size, uint8 `[H, W, 3]` each."""
    short, long = image_size
    sizes = [
        (short, long),
        (long, short),
        (short, short),
        (short // 2 + 1, short),
        (2 * short, 2 * short + 33),
    ]
    scenes = shapes.load("val", len(sizes))
    return [
        image_ops.resize(scenes.image(index), size).numpy().round().astype(np.uint8)
        for index, size in enumerate(sizes)
    ]


def grid(height: int, width: int) -> np.ndarray:
    """Proposals for a picture: windows of three sizes, float32 `[48, 4]` xyxy, pixels."""
    proposals = []
    for part in (0.25, 0.4, 0.7):
        x, y = np.meshgrid(np.linspace(0, (1 - part) * width, 4), np.linspace(0, (1 - part) * height, 4))
        proposals.append(np.stack([x, y, x + part * width, y + part * height], axis=-1).reshape(-1, 4))
    return np.concatenate(proposals).astype(np.float32)


def compare(answers, references, half=False) -> Parity:
    """Compare what two detectors find in the same images.

    Args:
        answers: list of dicts as from `detect`, those of the export.
        references: list of dicts, those of what it was made from.
        half: whether the export has rounded weights.

    Returns:
        `Parity`.
    """
    limits = (HALF_BOX, HALF_SCORE) if half else (BOX, SCORE)
    counts, box, score = [], 0.0, 0.0
    for answer, reference in zip(answers, references, strict=True):
        boxes, scores = _differences(answer, reference)
        equal = (boxes < limits[0]) & (scores < limits[1])
        pairs = _pairs(equal, scores)
        counts.append((len(pairs), max(equal.shape)))
        box = max([box, *(boxes[pair] for pair in pairs)])
        score = max([score, *(scores[pair] for pair in pairs)])
    return Parity(tuple(counts), float(box), float(score), HALF_FEWEST if half else FEWEST)


def _differences(answer, reference) -> tuple[np.ndarray, np.ndarray]:
    """Largest difference of two boxes and difference of two scores, `[N, N']` each; ∞ for other labels."""
    boxes = np.abs(answer["boxes"][:, None] - reference["boxes"])
    scores = np.abs(answer["scores"][:, None] - reference["scores"])
    other = answer["labels"][:, None] != reference["labels"]
    return np.where(other, np.inf, boxes.max(axis=-1, initial=0.0)), scores


def _pairs(equal, scores):
    """Pairs of equal detections, each used once, those with the nearest scores first."""
    pairs, rows, columns = [], set(), set()
    for row, column in sorted(zip(*np.nonzero(equal)), key=lambda pair: scores[pair]):
        if row not in rows and column not in columns:
            pairs.append((row, column))
            rows.add(row)
            columns.add(column)
    return pairs
