"""The one string that names a data set."""

import typing

FORMS = "shapes@train or shapes@val, voc:ROOT@SPLIT, coco:INSTANCES.json@IMAGE_FOLDER or tfds:NAME@SPLIT"


class Spec(typing.NamedTuple):
    """A data set string taken apart: `shapes`, `voc`, `coco` or `tfds`, the place, what follows the `@`."""

    kind: str
    place: str
    split: str


def parse(spec, default_split="val"):
    """Take a data set string apart.

    Args:
        spec: str.
        default_split: the split of a bare `shapes`.

    Returns:
        Spec.

    Raises:
        ValueError: none of the known forms.

    Example:
        >>> parse("voc:data/bccd@train")
        Spec(kind='voc', place='data/bccd', split='train')
    """
    text = str(spec)
    if text == "shapes":
        return Spec("shapes", "", default_split)
    kind, _, rest = text.partition("@" if text.startswith("shapes@") else ":")
    if kind == "shapes":
        return Spec("shapes", "", rest)
    # The name of the image folder may hold an @, that of a split cannot.
    cut = rest.find(".json@") + 5 if kind == "coco" and ".json@" in rest else rest.rfind("@")
    place, split = rest[:cut], rest[cut + 1 :]
    if kind not in ("voc", "coco", "tfds") or cut < 1 or not split:
        raise ValueError(f"{text!r} names no data set; write {FORMS}.")
    return Spec(kind, place, split)
