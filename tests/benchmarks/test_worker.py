"""What a process of a benchmark is given."""

import sys


def test_settings_of_threads_are_not_inherited(benchmark_module, monkeypatch, tmp_path):
    worker = benchmark_module("sides.worker")
    (tmp_path / "sides").mkdir()
    monkeypatch.setattr(worker, "HOME", tmp_path)
    (tmp_path / "sides" / "answers.py").write_text(
        "import json, os\nprint(json.dumps({'result': dict(os.environ)}))\n"
    )
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "KMP_AFFINITY", "TF_NUM_INTEROP_THREADS")
    for name in names:
        monkeypatch.setenv(name, "97")
    side = worker.Worker(sys.executable, "answers", "")
    side.close()
    assert [side.versions.get(name) for name in names] == [str(worker.cores()), None, None, None]
