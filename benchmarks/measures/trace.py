"""Measure where the time of an exported model goes, and how fast the machine could be."""

import collections
import re
import time

import numpy as np
import tensorflow as tf

SIDE = 2048
# oneDNN's kernels have their own names, all with one of these words.
ARITHMETIC = re.compile("Conv|MatMul|Einsum")


def matmul_peak():
    """Floating-point operations per second of a product of two 2048 × 2048 matrices, best of several.

    Returns:
        dict of "float32" and "bfloat16".
    """
    return {dtype: _peak(tf.dtypes.as_dtype(dtype)) for dtype in ("float32", "bfloat16")}


def _peak(dtype):
    square = tf.cast(tf.random.stateless_normal([SIDE, SIDE], (0, 0)), dtype)
    # Fetch the sum of one row, so that nothing is left running.
    product = tf.function(lambda: tf.reduce_sum(tf.cast((square @ square)[0], tf.float32)), autograph=False)
    taken = []
    for _ in range(12):
        started = time.perf_counter()
        product().numpy()
        taken.append(time.perf_counter() - started)
    return 2 * SIDE**3 / min(taken)


def by_operation(folder, file, runs=3):
    """Measure the seconds of each kind of operation in `serving_default` of an export.

    Operations run one after another, each on all processors, so that their times add up.

    Args:
        folder: the export.
        file: `.npz` file with "images".
        runs: number of runs to average, after two warm-up runs.

    Returns:
        dict of "operations", from kinds to seconds, most first; "arithmetic", the seconds of convolutions and
        matrix products; and "wall", the seconds of a whole run.
    """
    pixels = np.load(file)["images"]
    config = tf.compat.v1.ConfigProto(inter_op_parallelism_threads=1)
    traced = tf.compat.v1.RunOptions(trace_level=tf.compat.v1.RunOptions.FULL_TRACE)
    taken, wall = collections.Counter(), 0.0
    with tf.Graph().as_default(), tf.compat.v1.Session(config=config) as session:
        signature = tf.compat.v1.saved_model.load(session, ["serve"], folder).signature_def["serving_default"]
        feed = {signature.inputs["input_tensor"].name: pixels}
        fetch = [output.name for output in signature.outputs.values()]
        for number in range(runs + 2):
            metadata = tf.compat.v1.RunMetadata()
            started = time.perf_counter()
            session.run(fetch, feed, options=traced, run_metadata=metadata)
            if number >= 2:
                wall += (time.perf_counter() - started) / runs
                for device in metadata.step_stats.dev_stats:
                    for node in device.node_stats:
                        taken[_kind(node)] += node.op_end_rel_micros / 1e6 / runs
    arithmetic = sum(seconds for kind, seconds in taken.items() if ARITHMETIC.search(kind))
    return {"operations": dict(taken.most_common()), "arithmetic": arithmetic, "wall": wall}


def _kind(node):
    # A label reads "name = Kind(inputs)".
    found = re.search(r"= (\w+)\(", node.timeline_label)
    return found[1] if found else node.node_name
