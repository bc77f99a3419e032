"""A set of annotated images."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_frcnn.class_names import fault, in_order
from keras_frcnn.data import pipeline
from keras_frcnn.data.records import Record, counted, is_whole
from keras_frcnn.names import remedy


class DetectionDataset:
    """Annotated images with one list of classes; `keras_frcnn.data.load` makes it.

    Args:
        name: str, the spec it was loaded from.
        class_names: K names; the labels of the records are indices into them.
        records: list of `Record`.
        source: source of the pixels, in the same order (see `sources.py`).
        category_ids: dict from class name to COCO category id, or None if the set has no ids.
        proposals: list of float32 `[P, 4]`, one per record, or None; `with_proposals` fills it.

    Raises:
        ValueError: a class name is empty, too long, or no single line of visible characters.

    Example:
        >>> dataset = keras_frcnn.data.load("shapes@val")
        >>> x, y = next(iter(dataset.batches(2, image_size=(256, 320))))
        >>> x["images"].shape
        TensorShape([2, 256, 320, 3])
    """

    def __init__(
        self,
        name: str,
        class_names: Sequence[str],
        records: Sequence[Record],
        source: Any,
        category_ids: Mapping[str, int] | None = None,
        proposals: Sequence[np.ndarray] | None = None,
    ):
        self.name = name
        self.class_names = tuple(str(one) for one in class_names)
        for one in self.class_names:
            if fault(one):
                raise ValueError(f"{name} has the class {one[:40]!r}, which {fault(one)}; rename it.")
        self.records = list(records)
        self.source = source
        self.category_ids = category_ids
        self.proposals = proposals

    def __len__(self):
        return len(self.records)

    def __repr__(self):
        return f"<{self.name}: {counted(len(self), 'image')}, {counted(len(self.class_names), 'class')}>"

    def image(self, index: int) -> np.ndarray:
        """The unchanged image of `records[index]`.

        Args:
            index: int, place in `records`; negative ones count from the end.

        Returns:
            NumPy uint8 `[H, W, 3]` RGB, upright. The array may be read-only, as drawn scenes are: copy it
            before you draw on it.

        Raises:
            FileNotFoundError: the file of the image is missing.
            IndexError: there is no such record.
            ValueError: `index` is no whole number, or the file is not an image.

        Example:
            >>> dataset = keras_frcnn.data.load("shapes@val")
            >>> dataset.image(0).shape
            (256, 320, 3)
        """
        if not is_whole(index):
            raise ValueError(
                f"dataset.image takes the place of an image, from 0, not {index!r}; names are for `python -m "
                "keras_frcnn show --image`."
            )
        if not -len(self) <= index < len(self):
            raise IndexError(
                f"{self.name} has {counted(len(self), 'image')}, and none at {index}; count from 0."
            )
        return self.source.image(range(len(self))[index])

    def images(self) -> tf.data.Dataset:
        """All images unchanged.

        Returns:
            tf.data.Dataset of uint8 `[H, W, 3]`, RGB, upright, in record order, prefetched. A file that is
            not an image raises a `tf.errors.InvalidArgumentError` when its turn comes.

        Example:
            >>> dataset = keras_frcnn.data.load("shapes@val")
            >>> next(iter(dataset.images())).shape
            TensorShape([256, 320, 3])
        """
        return pipeline.originals(self)

    def batches(
        self,
        batch_size: int,
        image_size: Sequence[int] = (600, 1000),
        training: bool = False,
        seed: int = 0,
        flip: float = 0.5,
        short_sides: Sequence[int] | None = None,
        canvas: bool = False,
        photometric: float = 0.0,
        crop: float = 0.0,
        scale_jitter: Sequence[float] | None = None,
        cache: bool | None = None,
        repeat: bool = False,
        first_epoch: int = 0,
        first_batch: int = 0,
        balance: float = 0.0,
        drop_remainder: bool = False,
    ) -> tf.data.Dataset:
        """Batches for `fit` and `evaluate`.

        A training image goes through color distortion, crop, mirroring and scaling, in this order;
        `augmentation.py` has the details. The result depends on the seed and on the image's place in the
        order, never on its neighbors.

        Args:
            batch_size: int, images per batch (B).
            image_size: `(short, long)`: the short side becomes `short` unless the long side would exceed
                `long`.
            training: shuffle and augment. Each iteration has its own order and augmentation, and the same
                call gives the same series again. Otherwise every image comes once and without augmentation,
                in record order except for the grouping by shape.
            seed: int from 0; it alone determines the shuffling and the augmentation.
            flip: probability of mirroring a training image, 0 to 1.
            short_sides: short sides to draw from in training instead of `image_size[0]`: any sequence of
                ints, such as `[480, 600]` or `range(480, 801)`.
            canvas: letterbox every image into the same square, whose side is `image_size[1]` rounded up to a
                multiple of 32. Otherwise landscape and portrait images go to different batches, and a batch
                is padded to its largest image, rounded up likewise.
            photometric: probability of distorting the colors of a training image, 0 to 1.
            crop: probability of cropping a training image to a random window that keeps an object, 0 to 1.
                An object that loses its center, or more than three quarters of its area, becomes `ignore`.
            scale_jitter: `(low, high)`, such as `(0.1, 2.0)`: in training, a random factor between these
                multiplies the size that an image would have. The image is then padded, or cut at random, to
                the room it would fill without the factor. Objects are treated as in `crop`, but the cut may
                lose all of them.
            cache: whether to keep decoded images in memory after their first use. Images are kept before any
                change, so the batches are the same either way. By default they are kept if they fit (see
                `memory.decide`). Each call keeps its own images, so iterate one data set again instead of
                calling twice.
            repeat: repeat without end: one epoch after another, in full batches only. A batch that an epoch
                cannot fill gets images of the same epoch once more. TensorFlow then does all the work, so
                that the tf.data service can run it elsewhere (docs/input.md); images are kept only if
                `cache` is True.
            first_epoch: int from 0, the epoch that the first iteration gives. An epoch's order, batches and
                augmentation depend on the seed and its number alone.
            first_batch: int from 0, the batch that the first iteration begins with; the ones before it are
                not decoded. Numbers beyond the end of an epoch go on in the next one.
            balance: in training, the share of images below which a class counts as rare, 0 (off) to 1. An
                epoch shows the images of a class that a share f of the images have `sqrt(balance / f)` times
                (see `balance.py`), and so has more batches; ignored objects do not count.
            drop_remainder: leave out the batches that an epoch cannot fill, for replicas that share batches.

        Returns:
            tf.data.Dataset, of known length unless `repeat` or `first_batch`, with elements `(x, y)`:
            `x = {"images": float32 [B, H, W, 3] in 0-255, "image_shapes": int32 [B, 2], the height and width
            without padding}` and `y = {"boxes": float32 [B, M, 4] xyxy in pixels of the resized image,
            "labels": int32 [B, M], "ignore": bool [B, M]}`, padded with -1 (False); M is the largest number
            of objects of an image in the batch, at least 1. A set with proposals adds `"proposals": float32
            [B, P, 4]` to `x`, best first, transformed and padded like boxes; P is the largest number of
            proposals of an image in the batch, at least 1.

        Raises:
            ValueError: an argument is out of range.
        """
        return pipeline.batches(
            self,
            batch_size,
            image_size,
            training,
            seed,
            flip,
            short_sides,
            canvas,
            photometric,
            crop,
            scale_jitter,
            cache,
            repeat,
            first_epoch,
            first_batch,
            balance,
            drop_remainder,
        )

    def with_proposals(self, proposals: Mapping[str, np.ndarray], top: int = 2000) -> "DetectionDataset":
        """The same set with proposals, which `batches` then adds to every image.

        Args:
            proposals: dict from `str(image_id)` to float32 `[P, 4]` xyxy, pixels of the upright image, best
                first. They are clipped to the image; those without area inside it are left out.
            top: int, the largest number that an image keeps, best first.

        Returns:
            DetectionDataset.

        Raises:
            ValueError: an image has no entry in `proposals`, or one that is not `[P, 4]`; two images share an
                id; `top` is below 1.

        Example:
            >>> dataset = keras_frcnn.data.load("shapes@val")
            >>> boxes = {str(record.image_id): record.boxes for record in dataset.records}
            >>> max(len(kept) for kept in dataset.with_proposals(boxes, top=3).proposals)
            3
        """
        if top < 1:
            raise ValueError(f"top is {top}; give at least 1.")
        files = {}
        for record in self.records:
            first = files.setdefault(str(record.image_id), record.file)
            if first != record.file:
                raise ValueError(
                    f"{self.name} has two images {record.image_id}, {first} and {record.file}; give each set "
                    "its own proposals before they are joined."
                )
        kept = [_inside(_proposals_of(record, proposals, self.name), record)[:top] for record in self.records]
        return DetectionDataset(
            self.name, self.class_names, self.records, self.source, self.category_ids, kept
        )

    def with_class_names(self, class_names: Sequence[str]) -> "DetectionDataset":
        """The same set with labels that index another list of classes, matched by name.

        Args:
            class_names: names in the new order; names that this set lacks simply do not occur.

        Returns:
            DetectionDataset.

        Raises:
            ValueError: `class_names` lacks the class of an object, or has a name twice.

        Example:
            >>> dataset = keras_frcnn.data.load("shapes@val")
            >>> dataset.with_class_names(["moon", *dataset.class_names]).class_names[:3]
            ('moon', 'circle', 'cross')
        """
        names = in_order(class_names)
        if len({*names} - {"N/A"}) < sum(name != "N/A" for name in names):  # torchvision's word for no class
            raise ValueError(f"The class names {', '.join(names)} hold a name twice; give each once.")
        if names == self.class_names:
            return self
        new = np.array([names.index(name) if name in names else -1 for name in self.class_names], np.int32)
        used = np.unique(np.concatenate([np.zeros(0, np.int32)] + [record.labels for record in self.records]))
        missing = [self.class_names[label] for label in used if new[label] < 0]
        if missing:
            listed = remedy(missing[0], names, "use sets and models of the same classes.")
            raise ValueError(
                f"{self.name} has objects of the class{'es' * (len(missing) > 1)} {', '.join(missing)}, "
                f"not among {', '.join(names)}; {listed}"
            )
        records = [dataclasses.replace(record, labels=new[record.labels]) for record in self.records]
        return DetectionDataset(self.name, names, records, self.source, self.category_ids, self.proposals)


def _proposals_of(record, proposals, name):
    boxes = proposals.get(str(record.image_id))
    if boxes is None:
        raise ValueError(
            f"There are no proposals for the image {record.image_id} of {name}; make them with `python -m "
            "keras_frcnn proposals --data SPEC --output DIR`."
        )
    boxes = np.asarray(boxes, np.float32)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(
            f"The proposals for the image {record.image_id} of {name} have the shape {boxes.shape}; give "
            "[P, 4], xyxy in pixels."
        )
    return boxes


def _inside(boxes, record):
    boxes = np.clip(boxes, 0, np.array([record.width, record.height] * 2, np.float32))
    return boxes[(boxes[:, 2:] > boxes[:, :2]).all(-1)]
