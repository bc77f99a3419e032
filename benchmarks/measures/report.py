"""The common report of the benchmarks: the machine, tables with ratios, and the same as JSON."""

import json
import math
import os
import platform
import re
import statistics
from pathlib import Path

from sides.worker import cores

# Flags of /proc/cpuinfo that decide which kernels are available.
INSTRUCTIONS = {
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx512_vnni": "VNNI",
    "avx512_bf16": "bfloat16",
    "amx_bf16": "AMX",
}


class Report:
    """Print lines and tables, and keep them for a JSON file.

    Args:
        title: title of the comparison.
        settings: dict of the options.

    Attributes:
        figures: dict of everything that was reported, for `json.dump`.
    """

    def __init__(self, title, settings):
        self.figures = {"title": title, "settings": settings, "machine": machine()}
        described = self.figures["machine"]
        print(title, flush=True)
        print(
            f"{described['processor']}, {described['cores']} cores, {described['memory'] / 2**30:.0f} GiB, "
            f"{described['system']}, load {described['load']:.1f}"
        )
        print(
            f"{described['instructions']}; oneDNN in TensorFlow {described['onednn']}; this package keeps "
            "freed memory, as its commands do"
        )

    def say(self, name, figure, text):
        """Keep a figure and print a line about it."""
        self.figures[name] = figure
        print(text, flush=True)

    def table(self, name, rows, *formats):
        """Print rows under their headings, and keep them.

        Args:
            name: name of the table.
            rows: list of dicts with the same keys, the headings; None prints as a dash.
            formats: number formats, one per heading after the first, such as ".3f".
        """
        self.figures[name] = rows
        print("\n" + table(rows, formats) + "\n", flush=True)

    def skipped(self, sides):
        """Print why peers take no part."""
        self.figures["skipped"] = sides.skipped
        for name, reason in sides.skipped.items():
            print(f"without {name}: {reason}", flush=True)

    def write(self, file):
        """Write everything to a JSON file, unless `file` is None."""
        if file:
            Path(file).write_text(json.dumps(_strict(self.figures), indent=2) + "\n", encoding="utf-8")


def summary(seconds):
    """Median and spread of several rounds: dict of "median", "lowest", "highest" and "rounds"."""
    return {
        "median": statistics.median(seconds),
        "lowest": min(seconds),
        "highest": max(seconds),
        "rounds": len(seconds),
    }


def table(rows, formats):
    """Format a table as text; see `Report.table` for the arguments."""
    headings = list(rows[0])
    cells = [
        [_cell(row[heading], form) for heading, form in zip(headings, ("", *formats), strict=True)]
        for row in rows
    ]
    widths = [max(len(line[index]) for line in (headings, *cells)) for index in range(len(headings))]
    lines = [
        f"{line[0]:{widths[0]}}" + "".join(f"  {cell:>{width}}" for cell, width in zip(line[1:], widths[1:]))
        for line in (headings, *cells)
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def machine():
    """Describe the machine.

    Returns:
        dict of "processor", its "instructions", "onednn" ("on" or "off" in TensorFlow), the "cores" that may
        be used, "memory" in bytes, "system" and "load".
    """
    flags = set(_of_processor("flags").split())
    found = [name for flag, name in INSTRUCTIONS.items() if flag in flags]
    usual = "on" if "avx512_vnni" in flags else "off"
    return {
        "processor": _of_processor("model name") or platform.processor() or "unknown processor",
        "instructions": ", ".join(found) or "unknown instruction set",
        "onednn": {"1": "on", "0": "off"}.get(os.environ.get("TF_ENABLE_ONEDNN_OPTS"), usual),
        "cores": cores(),
        "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": f"{platform.system()} {platform.machine()}",
        "load": os.getloadavg()[0],
    }


def _of_processor(name):
    """The value of a line of /proc/cpuinfo, "" if there is none."""
    try:
        found = re.search(rf"{name}\s*: (.*)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    except OSError:
        found = None
    return found[1] if found else ""


def _cell(value, form):
    return "–" if value is None else f"{value:{form}}"


def _strict(value):
    # Strict JSON has no NaN.
    if isinstance(value, dict):
        return {str(key): _strict(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strict(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
