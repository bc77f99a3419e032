"""Write a whole training step as one StableHLO module, which any XLA runtime can compile and time."""

from pathlib import Path

import tensorflow as tf


def write(model, batch, path):
    """Lower the forward pass, losses, backward pass and weight update for the shapes of one batch.

    Args:
        model: a compiled detector, in the precision of the module.
        batch: `(x, y)` as `fit` takes it.
        path: text file to write.

    Returns:
        Number of bytes of the file.
    """
    batch = tf.nest.map_structure(tf.convert_to_tensor, batch)
    model.optimizer.build(model.trainable_variables)  # otherwise the step would create variables
    step = tf.function(model.train_step, autograph=False, jit_compile=True)
    # Do not name a GPU: with `platform_name="CUDA"` the lowering refuses variables.
    module = step.experimental_get_compiler_ir(batch)(stage="stablehlo")
    return Path(path).write_text(module, encoding="utf-8")
