"""Where a model came from, as far as its run folder tells."""

import json

from keras_frcnn import evaluation


def provenance(file):
    """What the model card of an export says about data and metrics.

    Args:
        file: `pathlib.Path` of a `.keras` file; what lies beside it counts if it is a run folder.

    Returns:
        dict of "data" and "metrics", str or None, arguments of `export.saved_model`.
    """
    config, scores = file.with_name("config.yaml"), file.with_name("metrics.json")
    command, _, _ = config.read_text(encoding="utf-8").partition("\n") if config.is_file() else ("", "", "")
    data = f"Trained with `{command.removeprefix('# ')}`." if command.startswith("# train.py") else None
    # The scores of a run are those of the model after its last epoch.
    measured = data and file.name == "last.keras" and scores.is_file()
    metrics = evaluation.report(json.loads(scores.read_text(encoding="utf-8"))) if measured else None
    return {"data": data, "metrics": metrics}
