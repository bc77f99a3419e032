"""What a step would do on a GPU."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "benchmarks" / "gpu_readiness.py"


@pytest.mark.slow
def test_only_the_suppression_stays_on_the_host():
    words = ["--backbone", "tiny_fpn", "--images", "1", "--height", "96", "--width", "128"]
    done = subprocess.run([sys.executable, PROGRAM, *words], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    for step in ("train", "test", "detect"):
        assert f"{step}: on the host run CombinedNonMaxSuppression\n" in done.stdout
        row = next(line for line in done.stdout.splitlines() if line.startswith(f"{step} "))
        assert 0 < float(row.split()[-2]) < 10
