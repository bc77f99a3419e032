"""Proposals on disk: a folder of shards, each an .npz file with the boxes of some images.

A shard has three arrays: `image_ids` unicode `[n]`, `splits` int64 `[n + 1]` and `boxes` float32
`[splits[-1], 4]`. The boxes of image i are `boxes[splits[i]:splits[i + 1]]`: xyxy, half-open, pixels of the
upright image at its full size, best first. Any program may write the files.

Letter: P proposals of an image.
"""

import contextlib
import itertools
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from keras_frcnn.data.dataset import DetectionDataset
from keras_frcnn.files import replacing

SHARD_IMAGES = 50


def load(folder: str | PathLike) -> dict[str, np.ndarray]:
    """Read all proposals of a folder.

    Args:
        folder: path; its `*.npz` files are the shards.

    Returns:
        dict from image id (str) to float32 `[P, 4]` xyxy pixels, best first.

    Raises:
        FileNotFoundError: there is no shard.
        ValueError: a shard cannot be read, or two shards have the same image.

    Example:
        >>> load("proposals/voc07")["000005"].shape
        (1849, 4)
    """
    paths = sorted(Path(folder).glob("[!.]*.npz"))
    if not paths:
        raise FileNotFoundError(
            f"There are no proposals in {folder}; write them with `python -m keras_frcnn proposals`."
        )
    found, where = {}, {}
    for path in paths:
        shard = load_shard(path)
        for image_id in shard.keys() & found.keys():
            raise ValueError(f"{path} has the image {image_id}, and so has {where[image_id]}; remove one.")
        found.update(shard)
        where.update(dict.fromkeys(shard, path))
    return found


def load_shard(path: str | PathLike) -> dict[str, np.ndarray]:
    """Read one shard.

    Args:
        path: .npz file.

    Returns:
        dict from image id (str) to float32 `[P, 4]`, in the order of the file.

    Raises:
        ValueError: the file cannot be read, or its arrays are not those of a shard.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            image_ids, splits, boxes = (arrays[name] for name in ("image_ids", "splits", "boxes"))
    except Exception as error:  # zipfile, zlib and NumPy raise many types of exceptions
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"{path} is no shard of proposals ({reason}); repair or remove it.") from None
    _check(path, image_ids, splits, boxes)
    boxes = boxes.astype(np.float32, copy=False)
    return {str(name): boxes[start:end] for name, start, end in zip(image_ids, splits, splits[1:])}


def save_shard(path: str | PathLike, image_ids: Iterable[str | int], boxes: Sequence[np.ndarray]) -> None:
    """Write one shard; equal contents give equal bytes.

    The file is written under another name and then moved, so a job that stops at any moment leaves only
    complete files.

    Args:
        path: .npz file.
        image_ids: n different names, str or int.
        boxes: n arrays `[P, 4]` xyxy pixels, best first.

    Raises:
        ValueError: the arguments do not form a valid shard.

    Example:
        >>> save_shard("mine.npz", ["000005", "000007"], [np.array([[0.0, 0, 8, 8]]), np.zeros([0, 4])])
        >>> {image_id: len(boxes) for image_id, boxes in load_shard("mine.npz").items()}
        {'000005': 1, '000007': 0}
    """
    path = Path(path)
    arrays = {
        "image_ids": np.array([str(image_id) for image_id in image_ids], np.str_),
        "splits": np.cumsum([0, *map(len, boxes)], dtype=np.int64),
        "boxes": np.concatenate([np.zeros([0, 4]), *boxes]).astype(np.float32),
    }
    _check(path, **arrays)
    with replacing(path) as partial:
        np.savez(partial, **arrays)


def write(
    folder: str | PathLike,
    dataset: DetectionDataset,
    propose: Callable[[np.ndarray], np.ndarray],
    workers: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Write the proposals of a data set, except for shards that already exist.

    Args:
        folder: path; created if missing.
        dataset: `DetectionDataset`.
        propose: function from an image, uint8 `[H, W, 3]` RGB, to its proposals `[P, 4]`, best first.
        workers: int, threads that call `propose`.
        progress: function called after each image with the number of images done and the total of this call.

    Raises:
        ValueError: the set has no images or two of one name, an image cannot be decoded, or an existing shard
            has other images. Shards written before the error stay.

    Example:
        >>> dataset = keras_frcnn.data.load("shapes@val")
        >>> write("whole", dataset, lambda image: np.array([[0, 0, image.shape[1], image.shape[0]]]))
        >>> len(load("whole"))
        200
    """
    check_names(dataset)
    image_ids = [str(record.image_id) for record in dataset.records]
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    missing = {}
    starts = range(0, len(image_ids), SHARD_IMAGES)
    for number, start in enumerate(starts):
        path = folder / shard_name(number, len(starts))
        indices = range(len(image_ids))[start : start + SHARD_IMAGES]
        if not path.exists():
            missing[path] = indices
        elif list(load_shard(path)) != [image_ids[index] for index in indices]:
            raise ValueError(f"{path} has other images than {dataset.name} has there; name another folder.")
    total, done = sum(map(len, missing.values())), 0
    with ThreadPoolExecutor(workers) as pool:
        answers: Any = pool.map(
            lambda index: propose(dataset.image(index)), itertools.chain.from_iterable(missing.values())
        )
        # Close the iterator even after an error, so that no waiting image is started.
        with contextlib.closing(answers):
            for path, indices in missing.items():
                boxes = []
                for answer in itertools.islice(answers, len(indices)):
                    boxes.append(answer)
                    done += 1
                    progress(done, total)
                save_shard(path, [image_ids[index] for index in indices], boxes)


def shard_name(number: int, count: int) -> str:
    """File name of a shard; `number` starts at 0."""
    return f"proposals-{number:05d}-of-{count:05d}.npz"


def check_names(dataset: DetectionDataset) -> None:
    """Raise an error if a set has no images or two images of one name.

    Raises:
        ValueError: the set has no images or two images of one name.
    """
    if not dataset.records:
        raise ValueError(f"{dataset.name} has no images; choose another split.")
    names, counts = np.unique([str(record.image_id) for record in dataset.records], return_counts=True)
    if counts.max() > 1:
        raise ValueError(
            f"{dataset.name} has two images called {names[counts.argmax()]}; give each set its own folder."
        )


def _check(path, image_ids, splits, boxes):
    """Raise an error if the arrays do not form a valid shard."""
    if image_ids.ndim != 1 or image_ids.dtype.kind not in "Uiu":
        fault = "image_ids must be text [n]"
    elif len(np.unique(image_ids)) < len(image_ids):
        fault = "image_ids has an image twice"
    elif splits.shape != (len(image_ids) + 1,) or splits.dtype.kind not in "iu":
        fault = "splits must be integers [n + 1]"
    elif boxes.ndim != 2 or boxes.shape[1] != 4 or boxes.dtype.kind not in "fiu":
        fault = "boxes must be numbers [P, 4]"
    elif splits[0] != 0 or splits[-1] != len(boxes) or (splits[1:] < splits[:-1]).any():
        fault = "splits must rise from 0 to the number of boxes"
    elif not np.isfinite(boxes).all():
        fault = "boxes must be finite"
    else:
        return
    raise ValueError(f"{path} is no shard of proposals ({fault}); repair or remove it.")
