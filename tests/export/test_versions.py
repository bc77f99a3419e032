from keras_frcnn import export


def test_counts_from_one_and_on_from_the_highest(tmp_path):
    folder = tmp_path / "cells"
    assert export.next_version(folder) == folder / "1"
    assert not folder.exists()
    for name in ("1", "9", "10", "old", ".export-x", "٣"):
        (folder / name).mkdir(parents=True)
    assert export.next_version(str(folder)) == folder / "11"
