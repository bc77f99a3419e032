"""What the replicas of a `tf.distribute.Strategy` share in a training step.

The same functions run without a strategy, as one replica. Letter: B images of this replica's part of a batch.
"""

import contextlib
import contextvars
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

_alone = contextvars.ContextVar("alone", default=False)


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Count each replica as the only one in what is traced in the block: all of them do the same work.

    Example:
        >>> with alone():
        ...     count()
        1
    """
    token = _alone.set(True)
    try:
        yield
    finally:
        _alone.reset(token)


def count() -> int:
    """The number of replicas that share a batch; 1 without a strategy."""
    return 1 if _alone.get() else tf.distribute.get_strategy().num_replicas_in_sync


def total(values: Any) -> Any:
    """Sum tensors over the replicas; call it once in every replica.

    Args:
        values: float tensor, or a nest of these; integers are refused by collective sums on a GPU.

    Returns:
        The same nest, equal in all replicas.
    """
    if count() == 1:
        return values
    return _context().all_reduce(tf.distribute.ReduceOp.SUM, values)


def total_of_known(gradients: list) -> list:
    """Sum gradients over the replicas: a list of tensors, and None where there is none, as `total` takes."""
    summed = iter(total([gradient for gradient in gradients if gradient is not None]))
    return [None if gradient is None else next(summed) for gradient in gradients]


def weighted_means(figures: dict[str, tuple]) -> dict[str, tuple]:
    """Join figures of all replicas.

    Args:
        figures: dict from a name to a float32 scalar of this replica and its weight.

    Returns:
        The same of all replicas: weighted means and sums of the weights.
    """
    if count() == 1:
        return figures
    sums = total({name: (value * weight, weight) for name, (value, weight) in figures.items()})
    return {name: (value / tf.maximum(weight, 1e-9), weight) for name, (value, weight) in sums.items()}


def rows_of_all(size: tf.Tensor) -> tf.Tensor:
    """How many images the batch of all replicas has, if each has as many: int scalar."""
    return size * count()


def own_rows(values: tf.Tensor) -> tf.Tensor:
    """This replica's part of a tensor with a row for each image of the batch of all replicas.

    Args:
        values: `[B · replicas, ...]`.

    Returns:
        `[B, ...]`.
    """
    if count() == 1:
        return values
    size = tf.shape(values)[0] // count()
    first = tf.cast(_context().replica_id_in_sync_group, tf.int32) * size
    return values[first : first + size]


def _context():
    context: Any = tf.distribute.get_replica_context()
    return context


def worker(strategy: tf.distribute.Strategy) -> tuple[int, int]:
    """The place of this process among the workers of a strategy, and their number; worker 0 is the chief.

    Example:
        >>> worker(tf.distribute.get_strategy())
        (0, 1)
    """
    resolver = strategy.cluster_resolver
    cluster = resolver.cluster_spec().as_dict() if resolver else {}
    if not resolver or not resolver.task_type:
        return 0, 1
    chiefs, workers = len(cluster.get("chief", ())), len(cluster.get("worker", ()))
    place = int(resolver.task_id or 0) + (chiefs if resolver.task_type == "worker" else 0)
    return place, max(chiefs + workers, 1)


def agree(strategy: tf.distribute.Strategy, number: int) -> bool:
    """Whether all workers have the same number; each of them asks.

    Example:
        >>> agree(tf.distribute.get_strategy(), 3)
        True
    """
    if worker(strategy)[1] == 1:
        return True
    values = strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant([number], tf.int64)
    )
    return len({*strategy.gather(values, axis=0).numpy().tolist()}) == 1
