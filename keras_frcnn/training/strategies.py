"""How `train.py` spreads a run over GPUs and machines."""

import json
import os

import tensorflow as tf

STRATEGIES = ("none", "mirrored", "multi_worker")


def open_strategy(name: str) -> tf.distribute.Strategy:
    """Make a strategy, before anything else of TensorFlow runs.

    Args:
        name: "none"; "mirrored" for the GPUs of this machine; "multi_worker" for several processes, which
            `TF_CONFIG` names, as Kubernetes' TFJob writes it, or Slurm's variables.

    Returns:
        `tf.distribute.Strategy`.

    Raises:
        ValueError: several processes are wanted, and nothing names them.

    Example:
        >>> open_strategy("none").num_replicas_in_sync
        1
    """
    if name == "mirrored":
        return tf.distribute.MirroredStrategy()
    if name == "none":
        return tf.distribute.get_strategy()
    resolver = _resolver()
    try:
        return tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
    except (ValueError, RuntimeError, OSError, tf.errors.OpError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise ValueError(
            f"The workers cannot be joined ({reason}); check the names and ports of all of them, and the "
            "place of this one."
        ) from error


def _resolver():
    text = os.environ.get("TF_CONFIG", "")
    if text:
        try:
            config = json.loads(text)
            _ = config["cluster"], config["task"]["type"], config["task"]["index"]
        except (ValueError, KeyError, TypeError):
            raise ValueError(
                f'TF_CONFIG is {text!r}; give JSON like {{"cluster": {{"worker": ["HOST:PORT", ...]}}, '
                '"task": {"type": "worker", "index": 0}}.'
            ) from None
        return tf.distribute.cluster_resolver.TFConfigClusterResolver()
    if "SLURM_STEP_NODELIST" in os.environ:
        # The resolver asks for the GPUs of a node, and there may be none.
        gpus = len(tf.config.list_physical_devices("GPU"))
        return tf.distribute.cluster_resolver.SlurmClusterResolver(gpus_per_node=gpus, gpus_per_task=gpus)
    raise ValueError(
        "--strategy multi_worker needs the names of all workers; set TF_CONFIG in each (docs/scaling.md), or "
        "start them with Slurm's srun."
    )


def check_batch_size(strategy: tf.distribute.Strategy, batch_size: int) -> None:
    """Refuse a batch that the replicas cannot divide.

    Raises:
        ValueError: they cannot.
    """
    count = strategy.num_replicas_in_sync
    if batch_size % count:
        raise ValueError(
            f"--batch-size {batch_size} counts the images of all {count} replicas, which cannot share them "
            f"equally; give a multiple, such as {count * -(-batch_size // count)}."
        )


def sentence(strategy: tf.distribute.Strategy, batch_size: int, learning_rate: float) -> str:
    """Say how the replicas share a batch."""
    count = strategy.num_replicas_in_sync
    return (
        f"{count} replicas share each batch of {batch_size} images, {batch_size // count} on each; the "
        f"learning rate {learning_rate:g} is for the whole batch."
    )
