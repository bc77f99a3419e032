"""Write a TensorBoard trace, and divide its time among its operations."""

import collections
import re
import time
from pathlib import Path

import tensorflow as tf

from keras_frcnn import _compat

# A trace names operations as "scope/name:Kind".
_OPERATION = re.compile(r"^[\w./-]+:\w+$")
# Operations that only run others, which have their own entries.
_CONTAINERS = ("While", "If", "Case", "PartitionedCall", "StatefulPartitionedCall")


def record(folder, run, count):
    """Trace some calls of a function.

    Args:
        folder: path that TensorBoard is pointed to.
        run: function without arguments that returns when its work is done.
        count: int, number of calls.

    Returns:
        float, seconds that the calls took; and a list of operations, each a tuple of its name, start and end
        in seconds.
    """
    # Leave out Python events: they would be most of the file.
    options = tf.profiler.experimental.ProfilerOptions(host_tracer_level=2, python_tracer_level=0)
    tf.profiler.experimental.start(str(folder), options)
    started = time.perf_counter()
    for number in range(count):
        with tf.profiler.experimental.Trace("step", step_num=number, _r=1):
            run()
    seconds = time.perf_counter() - started
    tf.profiler.experimental.stop()
    # Take the newest by time: traces from the same second share a name.
    file = max(Path(folder).rglob("*.xplane.pb"), key=lambda file: file.stat().st_mtime_ns)
    return seconds, operations(file.read_bytes())


def operations(contents):
    """Read the operations in a trace.

    Args:
        contents: bytes of an `.xplane.pb` file.

    Returns:
        list of `(name, start, end)`: the name with its kind, and seconds from an arbitrary origin.
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
    """Divide the time among parts: the operations that run at a moment share it equally.

    The parts therefore add up to the time in which anything ran, however many threads there were.

    Args:
        operations: list as from `operations`.
        part_of: function from the name of an operation to its part.

    Returns:
        dict from part to seconds.
    """
    changes = []
    for name, start, end in operations:
        part = part_of(name)
        changes += [(start, 1, part), (end, -1, part)]
    running, seconds = collections.Counter(), collections.defaultdict(float)
    before = 0.0
    for moment, change, part in sorted(changes, key=lambda change: change[0]):
        total = running.total()
        if total:
            for name, threads in running.items():
                seconds[name] += (moment - before) * threads / total
        running[part] += change
        before = moment
    return dict(seconds)
