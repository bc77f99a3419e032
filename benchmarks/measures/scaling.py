"""Cost by number and size of images."""

import math

COUNTS = (1, 2, 4, 8)
FORMATS = ("d", "d", ".1f", ".2f", ".0f", ".2f")


def table(measure, short_sides, count=1):
    """Measure 1, 2, 4 and 8 images of the middle size, then `count` images of each size.

    Args:
        measure: function of the number of images and of their short side, pixels, that returns the summary
            of the seconds and the memory, as a `Subject` gives it.
        short_sides: short sides, smallest first; the long side is 4/3 of it.
        count: number of images in the second part of the table.

    Returns:
        list of rows: images, short side, milliseconds, megabytes, and the growth of both for each doubling of
        the pixels since the row before; 2 is proportional.
    """
    middle = short_sides[len(short_sides) // 2]
    rows = _rows(measure, [(number, middle) for number in COUNTS], "images")
    return rows + _rows(measure, [(count, side) for side in short_sides], "sizes")


def _rows(measure, settings, what):
    rows, before = [], None
    for images, short in settings:
        seconds, memory = measure(images, short)
        now = (images * short**2, seconds["median"], memory["peak"] - memory["empty"])
        growth = [_per_doubling(before, now, index) if before else None for index in (1, 2)]
        rows.append(
            {
                "": what,
                "images": images,
                "short side": short,
                "ms": 1000 * now[1],
                "× time": growth[0],
                "MB": now[2] / 1e6,
                "× memory": growth[1],
            }
        )
        before = now
    return rows


def _per_doubling(before, now, index):
    return 2 ** (math.log(now[index] / before[index]) / math.log(now[0] / before[0]))
