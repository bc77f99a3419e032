import numpy as np
import pytest
import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from keras_frcnn.profiling import trace


def by_small_steps(operations, part_of, step):
    """The slow and obvious way: look at every moment."""
    seconds = {}
    for moment in np.arange(0.0, 1.0, step) + step / 2:
        running = [part_of(name) for name, start, end in operations if start <= moment < end]
        for part in running:
            seconds[part] = seconds.get(part, 0.0) + step / len(running)
    return seconds


@pytest.mark.parametrize("seed", range(3))
def test_a_moment_is_shared_by_what_runs_then(seed):
    random = np.random.default_rng(seed)
    operations = []
    for _ in range(12):
        start, end = np.sort(random.integers(0, 101, 2)) / 100
        operations.append((f"{'abc'[random.integers(3)]}/op:Add", start, end))
    part_of = lambda name: name[0]  # noqa: E731
    found, expected = trace.divide(operations, part_of), by_small_steps(operations, part_of, 0.01)
    assert found == pytest.approx({part: expected.get(part, 0.0) for part in found}, abs=1e-9)
    assert set(expected) <= set(found)


def test_operations_of_all_threads_and_nothing_else():
    space = xplane_pb2.XSpace()
    plane = space.planes.add(name="/host:CPU")
    names = ["rpn/conv/Conv2D:_FusedConv2D", "ExecutorState::Process", "while:While", "step", "AddN_2:AddN"]
    for number, name in enumerate(names):
        plane.event_metadata[number].name = name
    for thread in range(2):
        line = plane.lines.add(timestamp_ns=2_000_000_000)
        for number in range(len(names)):
            line.events.add(metadata_id=number, offset_ps=thread * 10**12, duration_ps=5 * 10**11)
    found = trace.operations(space.SerializeToString())
    assert [name for name, _, _ in found] == [names[0], names[4]] * 2
    np.testing.assert_allclose([times for _, *times in found], [[2.0, 2.5]] * 2 + [[3.0, 3.5]] * 2)


def test_record(tmp_path):
    matrix = tf.ones([200, 200])

    @tf.function
    def run():
        with tf.name_scope("somewhere"):
            return tf.linalg.matmul(matrix, matrix, name="product")

    calls = []
    seconds, operations = trace.record(tmp_path, lambda: calls.append(run().numpy()), 3)
    assert len(calls) == 3
    mine = [(end - start) for name, start, end in operations if name.startswith("somewhere/product:")]
    assert len(mine) == 3 and 0 < sum(mine) < seconds
    # A second trace in the same folder is not taken for the first.
    assert len(trace.record(tmp_path, run, 1)[1]) < len(operations)
