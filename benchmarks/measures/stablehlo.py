"""A whole training step as one StableHLO module, for any XLA runtime to compile and to time."""

from pathlib import Path

import tensorflow as tf


def write(model, batch, path):
    """Lower forward pass, losses, backward pass and update of the weights, for the shapes of one batch.

    Args:
        model: a compiled detector, in the precision that the module shall have.
        batch: `(x, y)` as `fit` takes it.
        path: text file to write.

    Returns:
        Number of bytes of the file.
    """
    batch = tf.nest.map_structure(tf.convert_to_tensor, batch)
    model.optimizer.build(model.trainable_variables)  # else the step would make variables
    step = tf.function(model.train_step, autograph=False, jit_compile=True)
    # Not for a GPU by name: with `platform_name="CUDA"` the lowering refuses variables.
    module = step.experimental_get_compiler_ir(batch)(stage="stablehlo")
    return Path(path).write_text(module, encoding="utf-8")
