"""Decide whether to keep the decoded images of a set in memory."""

from pathlib import Path

# The largest share of the free memory that a kept set may take.
SHARE = 0.25
# Memory limit and use of a container in bytes: control groups version 2, then version 1.
_CGROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


def decide(dataset, cache=None):
    """Decide whether `DetectionDataset.batches` keeps decoded images.

    Args:
        dataset: `DetectionDataset`.
        cache: True or False; None keeps the images if they fit into `SHARE` of the free memory.

    Returns:
        bool, and a sentence for the log with the reason.
    """
    needed, free = decoded_bytes(dataset), available_bytes()
    images = f"{len(dataset)} decoded images, {_size(needed)}"
    if cache is not None:
        return cache, f"{'Keeping' if cache else 'Not keeping'} {images}, in memory, as asked for."
    if free is None:
        return False, f"Not keeping {images}, in memory, because this system does not say how much is free."
    if needed > SHARE * free:
        return False, f"Not keeping {images}, in memory: more than a quarter of the {_size(free)} free."
    return True, f"Keeping {images}, in memory, of which {_size(free)} are free."


def decoded_bytes(dataset):
    """Bytes that all images of a set take as uint8: int."""
    return sum(3 * record.height * record.width for record in dataset.records)


def available_bytes():
    """Bytes that this process may still take without swapping, or None if the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    free = next((1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), None)
    for limit, used in _CGROUPS:
        try:
            limit, used = Path(limit).read_text().strip(), Path(used).read_text().strip()
        except OSError:
            continue
        if free is not None and limit != "max":
            free = min(free, max(int(limit) - int(used), 0))
    return free


def _size(count):
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
