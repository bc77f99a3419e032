"""A set of annotated images."""

import dataclasses

import numpy as np

from keras_frcnn.data import pipeline
from keras_frcnn.data.sources import Files, Joined


class DetectionDataset:
    """Annotated images with one list of classes; `keras_frcnn.data.load` makes it.

    Args:
        name: str, the spec it was loaded from.
        class_names: K names; the labels of the records are indices into them.
        records: list of `Record`.
        source: what gives the pixels, in the same order (see `sources.py`).
        category_ids: dict from class name to COCO category id, or None where there are none.
        proposals: list of float32 `[P, 4]`, one a record, or None; `with_proposals` fills it.

    Example:
        >>> dataset = keras_frcnn.data.load("shapes@val")
        >>> x, y = next(iter(dataset.batches(2, image_size=(256, 320))))
        >>> x["images"].shape
        TensorShape([2, 256, 320, 3])
    """

    def __init__(self, name, class_names, records, source, category_ids=None, proposals=None):
        self.name = name
        self.class_names = tuple(class_names)
        self.records = list(records)
        self.source = source
        self.category_ids = category_ids
        self.proposals = proposals

    def __len__(self):
        return len(self.records)

    def __repr__(self):
        return f"<{self.name}: {len(self)} images, {len(self.class_names)} classes>"

    def image(self, index):
        """The image of `records[index]` as it is: NumPy uint8 `[H, W, 3]` RGB, upright.

        It may be read-only, as drawn scenes are: copy it before you draw on it.
        """
        return self.source.image(range(len(self))[index])

    def images(self):
        """All images as they are: a tf.data.Dataset of uint8 `[H, W, 3]` in record order, prefetched."""
        return pipeline.originals(self)

    def batches(
        self,
        batch_size,
        image_size=(600, 1000),
        training=False,
        seed=0,
        flip=0.5,
        short_sides=None,
        canvas=False,
        photometric=0.0,
        crop=0.0,
        scale_jitter=None,
        cache=None,
        repeat=False,
    ):
        """Batches for `fit` and `evaluate`.

        A training image is, in this order, distorted in colour, cropped, mirrored and brought to its scale;
        `augmentation.py` has the details. What becomes of it depends on the seed and on its place in the
        order, never on its neighbours.

        Args:
            batch_size: int, images a batch (B).
            image_size: `(short, long)`: the short side becomes `short` unless the long side would exceed
                `long`.
            training: shuffle and augment. Each iteration has an order and an augmentation of its own, and the
                same call gives the same series of them again. Otherwise every image comes once and unchanged,
                in record order but for the grouping by shape.
            seed: int from 0, of the shuffling and the augmentation; nothing else decides about them.
            flip: probability of mirroring a training image, 0 to 1.
            short_sides: short sides to draw from in training instead of `image_size[0]`: any sequence of
                ints, such as `[480, 600]` or `range(480, 801)`.
            canvas: letterbox every image into the same square, whose side is `image_size[1]` rounded up to a
                multiple of 32. Otherwise images in landscape and in portrait format go to different batches,
                and a batch is padded to its largest image, rounded up likewise.
            photometric: probability of distorting the colours of a training image, 0 to 1.
            crop: probability of cutting a training image to a random window that keeps an object, 0 to 1.
                An object whose centre, or more than three quarters of it, is lost becomes `ignore`.
            scale_jitter: `(low, high)`, such as `(0.1, 2.0)`: in training the size that an image would have
                is multiplied by a random factor between these. The image is then padded, or cut at random, to
                what it would fill without; objects as for `crop`, but none need be kept.
            cache: whether decoded images are kept in memory once they were needed, as they are before any
                change, so that no batch differs; by default where they fit (see `memory.decide`). Each call
                keeps images of its own, so iterate one data set anew rather than call twice.
            repeat: go on without end: the epochs one after another, in batches that are all full. All of it
                is then made by TensorFlow, so that the tf.data service can run it elsewhere (docs/input.md);
                nothing is kept unless `cache` is True.

        Returns:
            tf.data.Dataset, without `repeat` of known length, with elements `(x, y)`: `x = {"images": float32
            [B, H, W, 3] in 0-255, "image_shapes": int32 [B, 2], the height and width that are not padding}`
            and `y = {"boxes": float32 [B, M, 4] xyxy in pixels of the resized image, "labels": int32 [B, M],
            "ignore": bool [B, M]}`, padded with -1 (False); M is the most objects of an image in the batch,
            at least 1. A set with proposals adds `"proposals": float32 [B, P, 4]` to `x`, best first, moved
            and padded as boxes are; P is the most of an image in the batch, at least 1.

        Raises:
            ValueError: an argument out of range.
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
        )

    def with_proposals(self, proposals, top=2000):
        """The same set with proposals, which `batches` then adds to every image.

        Args:
            proposals: dict from `str(image_id)` to float32 `[P, 4]` xyxy, pixels of the upright image, best
                first. They are clipped to the image, and those without an area in it left out.
            top: int, the most an image keeps, the best ones.

        Returns:
            DetectionDataset.

        Raises:
            ValueError: an image has no entry in `proposals`, or one that is no `[P, 4]`; two images share an
                id; `top` is below 1.
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

    def with_class_names(self, class_names):
        """The same set with its labels counted in another list of classes, matched by name.

        Args:
            class_names: names in the new order; those this set lacks simply do not occur.

        Returns:
            DetectionDataset.

        Raises:
            ValueError: objects of a class that `class_names` lacks, or a name twice.
        """
        names = tuple(class_names)
        once = [name for name in names if name != "N/A"]  # torchvision's word for ids without a class
        if len(set(once)) < len(once):
            raise ValueError(f"The class names {', '.join(names)} hold a name twice; give each once.")
        if names == self.class_names:
            return self
        new = np.array([names.index(name) if name in names else -1 for name in self.class_names], np.int32)
        used = np.unique(np.concatenate([np.zeros(0, np.int32)] + [record.labels for record in self.records]))
        missing = [self.class_names[label] for label in used if new[label] < 0]
        if missing:
            raise ValueError(
                f"{self.name} has objects of the class{'es' * (len(missing) > 1)} {', '.join(missing)}, "
                f"not among {', '.join(names)}; use sets and models of the same classes."
            )
        records = [dataclasses.replace(record, labels=new[record.labels]) for record in self.records]
        return DetectionDataset(self.name, names, records, self.source, self.category_ids, self.proposals)


def join(datasets):
    """One set from several, matched by class name: the names of the first, then what the others add.

    Args:
        datasets: non-empty list of DetectionDataset.

    Returns:
        DetectionDataset.

    Raises:
        ValueError: some of the sets have proposals, others not.
    """
    if len(datasets) == 1:
        return datasets[0]
    without = [dataset for dataset in datasets if dataset.proposals is None]
    if 0 < len(without) < len(datasets):
        raise ValueError(
            f"{without[0].name} has no proposals, but another set that it is joined with has; use "
            "`with_proposals` on all of them or on none."
        )
    proposals = None if without else [boxes for dataset in datasets for boxes in dataset.proposals]
    names = tuple(dict.fromkeys(name for dataset in datasets for name in dataset.class_names))
    records = [record for dataset in datasets for record in dataset.with_class_names(names).records]
    sources = [dataset.source for dataset in datasets]
    if all(isinstance(source, Files) for source in sources):
        source = Files([path for source in sources for path in source.paths])
    else:
        source = Joined(sources)
    name = " + ".join(dataset.name for dataset in datasets)
    return DetectionDataset(name, names, records, source, proposals=proposals)


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
    boxes = np.clip(boxes, 0, np.float32([record.width, record.height] * 2))
    return boxes[(boxes[:, 2:] > boxes[:, :2]).all(-1)]
