"""Which kernels a traced function gets."""

import pytest
import tensorflow as tf

from keras_frcnn.ops import kernels


def traced(jit_compile):
    """What `for_xla` says in a function, and in a loop, a branch, a gradient and a function within it."""
    seen = {}

    def note(name, value):
        seen[name] = kernels.for_xla()
        return value

    @tf.custom_gradient
    def doubled(x):
        return 2.0 * x, lambda upstream: note("gradient", 2.0 * upstream)

    @tf.function
    def within(x):
        return note("within", x)

    @tf.function(jit_compile=jit_compile)
    def whole(x):
        x = note("whole", x)
        x = tf.while_loop(lambda i, x: i < 3, lambda i, x: (i + 1, note("loop", x)), [0, x])[1]
        x = tf.cond(x > 0.0, lambda: note("branch", x), lambda: x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = doubled(within(x))
        return tape.gradient(y, x)

    assert whole(1.0) == 2.0
    assert set(seen) == {"whole", "loop", "branch", "gradient", "within"}
    return set(seen.values())


def test_those_of_xla_where_xla_compiles():
    assert traced(jit_compile=True) == {True}
    assert traced(jit_compile=False) == {False}
    assert not kernels.for_xla()


@pytest.mark.parametrize("kind", ["stock", "xla"])
def test_another_choice(kind):
    with kernels.use(kind):
        assert traced(jit_compile=True) == traced(jit_compile=False) == {kind == "xla"}
        with kernels.use("auto"):
            assert not kernels.for_xla()
        assert kernels.for_xla() == (kind == "xla")
    assert not kernels.for_xla()


def test_the_choice_ends_with_an_error():
    with pytest.raises(RuntimeError), kernels.use("xla"):
        raise RuntimeError
    assert not kernels.for_xla()


def test_an_unknown_kind():
    with pytest.raises(ValueError, match="Unknown kernels 'fast'; use one of auto, stock, xla"):
        with kernels.use("fast"):
            pass
