"""Call serving_bytes of an export from many threads, a tenth of the rows broken, and print what happened.

    python hammer.py EXPORT FOLDER CALLS THREADS

FOLDER has `good` and `broken` files. A process of its own, so that memory, threads and open files are those
of the served model alone.
"""

import concurrent.futures
import json
import pathlib
import random
import sys

import numpy as np
import tensorflow as tf

WARM = 200


def main(export, folder, calls, threads):
    serve = tf.saved_model.load(export).signatures["serving_bytes"]
    good, broken = (
        [path.read_bytes() for path in sorted(pathlib.Path(folder, kind).iterdir())]
        for kind in ("good", "broken")
    )
    alone = [numpy_of(serve(image_bytes=tf.constant([contents]))) for contents in good]
    wrong, resident, opened = [], {}, {}

    def call(number):
        random_ = random.Random(number)
        rows = [random_.randrange(len(good)) for _ in range(random_.randint(1, 4))]
        # Every tenth row, wherever it falls.
        bad = [random_.random() < 0.1 for _ in rows]
        contents = [random_.choice(broken) if is_bad else good[row] for row, is_bad in zip(rows, bad)]
        answer = numpy_of(serve(image_bytes=tf.constant(contents)))
        for index, (row, is_bad) in enumerate(zip(rows, bad)):
            if answer["image_ok"][index] == is_bad:
                wrong.append(f"call {number}: row {index} has image_ok {answer['image_ok'][index]}")
            elif is_bad and answer["num_detections"][index]:
                wrong.append(f"call {number}: broken row {index} has detections")
            elif not is_bad and not same(answer, index, alone[row]):
                wrong.append(f"call {number}: row {index} is not as alone")
        return sum(bad), len(bad)

    counts = []
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        for start in range(0, calls, 50):
            counts += pool.map(call, range(start, min(start + 50, calls)))
            resident[len(counts)], opened[len(counts)] = memory(), handles()
    print(
        json.dumps(
            {
                "wrong": wrong,
                "rows": sum(rows for _, rows in counts),
                "broken": sum(bad for bad, _ in counts),
                "resident": [value for done, value in resident.items() if done >= WARM],
                "handles": [value for done, value in opened.items() if done >= min(WARM, calls // 2)],
            }
        )
    )


def numpy_of(answer):
    return {name: value.numpy() for name, value in answer.items()}


def same(answer, row, alone):
    # 0.05 pixels of images that are at most 1,000 wide.
    return all(
        np.allclose(answer[name][row], alone[name][0], atol=5e-5 if name == "detection_boxes" else 1e-4)
        for name in alone
    )


def memory():
    """Resident memory, MB."""
    (line,) = (
        line
        for line in pathlib.Path("/proc/self/status").read_text().splitlines()
        if line.startswith("VmRSS")
    )
    return int(line.split()[1]) / 1000


def handles():
    """Open files and threads."""
    return [len(list(pathlib.Path("/proc/self", kind).iterdir())) for kind in ("fd", "task")]


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
