"""TensorBoard's traces: writing one, and dividing its time among the operations in it."""

import collections
import re
import time
from pathlib import Path

import tensorflow as tf

from keras_frcnn import _compat

# An operation stands in a trace as "scope/name:Kind".
_OPERATION = re.compile(r"^[\w./-]+:\w+$")
# Those that do nothing but run others, which have entries of their own.
_CONTAINERS = ("While", "If", "Case", "PartitionedCall", "StatefulPartitionedCall")


def record(folder, run, count):
    """Trace some calls of a function.

    Args:
        folder: path that TensorBoard is pointed to.
        run: function without arguments that returns when its work is done.
        count: int, calls.

    Returns:
        float, seconds that the calls took; and a list of operations, each a tuple of its name and the seconds
        at which it began and ended.
    """
    # What Python does is left out: it would be most of the file.
    options = tf.profiler.experimental.ProfilerOptions(host_tracer_level=2, python_tracer_level=0)
    tf.profiler.experimental.start(str(folder), options)
    started = time.perf_counter()
    for number in range(count):
        with tf.profiler.experimental.Trace("step", step_num=number, _r=1):
            run()
    seconds = time.perf_counter() - started
    tf.profiler.experimental.stop()
    # The newest: traces of one second have one name.
    file = max(Path(folder).rglob("*.xplane.pb"), key=lambda file: file.stat().st_mtime_ns)
    return seconds, operations(file.read_bytes())


def operations(contents):
    """The operations in a trace.

    Args:
        contents: bytes of an `.xplane.pb` file.

    Returns:
        list of `(name, start, end)`, the name with its kind, seconds from some moment on.
    """
    found = []
    space = _compat.XSpace.FromString(contents)
    for plane in space.planes:
        names = {
            number: data.name
            for number, data in plane.event_metadata.items()
            if _OPERATION.match(data.name) and data.name.rpartition(":")[2] not in _CONTAINERS
        }
        for line in plane.lines:
            for event in line.events:
                if event.metadata_id in names:
                    start = 1e-9 * line.timestamp_ns + 1e-12 * event.offset_ps
                    found.append((names[event.metadata_id], start, start + 1e-12 * event.duration_ps))
    return found


def divide(operations, part_of):
    """Seconds of each part: a moment belongs to the operations that run then, in equal shares.

    So the parts add up to the time in which anything ran, however many threads there were.

    Args:
        operations: list as from `operations`.
        part_of: function from the name of an operation to what it counts for.

    Returns:
        dict from part to seconds.
    """
    changes = []
    for name, start, end in operations:
        part = part_of(name)
        changes += [(start, 1, part), (end, -1, part)]
    running, seconds = collections.Counter(), collections.Counter()
    before = 0.0
    for moment, change, part in sorted(changes, key=lambda change: change[0]):
        total = running.total()
        if total:
            for name, threads in running.items():
                seconds[name] += (moment - before) * threads / total
        running[part] += change
        before = moment
    return dict(seconds)
