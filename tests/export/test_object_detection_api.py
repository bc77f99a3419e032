"""A client that nobody here wrote takes the answers as they are: the visualiser of tf-models-official."""

import os
import subprocess

import cv2
import numpy as np
import pytest
import tensorflow as tf

from keras_frcnn import images as image_ops

# Nothing between the answers and the visualiser but what its own users write: a row, and classes as int.
SCRIPT = """
import json, sys
import numpy as np
from official.vision.utils.object_detection import visualization_utils as viewer
answer, category_index = np.load("answer.npz"), json.load(open("categories.json"))
image = answer["image"].copy()
viewer.visualize_boxes_and_labels_on_image_array(
    image,
    answer["detection_boxes"][0],
    answer["detection_classes"][0].astype(int),
    answer["detection_scores"][0],
    {item["id"]: item for item in category_index},
    use_normalized_coordinates=True,
    min_score_thresh=float(sys.argv[1]),
    line_thickness=1,
    skip_labels=True,
    skip_scores=True,
)
np.save("drawn.npy", image)
"""


def test_the_loaded_export_is_a_function(exported_cells, image_of):
    """What clients of that API call: the object that `tf.saved_model.load` gives, with one tensor."""
    detect = tf.saved_model.load(str(exported_cells.path))
    images = tf.constant(image_of(90, 130)[None])
    wanted = detect.signatures["serving_default"](input_tensor=images)
    for answer in (detect(images), detect(input_tensor=images)):
        assert answer.keys() == wanted.keys()
        for name, value in wanted.items():
            np.testing.assert_allclose(answer[name], value, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_visualiser_of_the_object_detection_api(exported_cells, image_of, tmp_path):
    python = os.environ.get("TF_MODELS_PYTHON")
    if not python:
        pytest.skip("TF_MODELS_PYTHON does not name the Python of an environment with tf-models-official")
    image = np.full([120, 160, 3], 120, np.uint8) + image_of(120, 160) // 16
    serve = tf.saved_model.load(str(exported_cells.path)).signatures["serving_bytes"]
    contents = cv2.imencode(".png", image[..., ::-1])[1].tobytes()
    answer = {key: value.numpy() for key, value in serve(image_bytes=tf.constant([contents])).items()}
    np.savez(tmp_path / "answer.npz", image=image_ops.from_bytes(contents, "image"), **answer)
    items = ", ".join(
        f'{{"id": {number}, "name": "{name}"}}'
        for number, name in enumerate(exported_cells.model.class_names, 1)
    )
    (tmp_path / "categories.json").write_text(f"[{items}]", encoding="utf-8")
    threshold = float(answer["detection_scores"][0, 2]) + 1e-6  # so that two are drawn
    subprocess.run([python, "-c", SCRIPT, str(threshold)], cwd=tmp_path, check=True)

    drawn = np.load(tmp_path / "drawn.npy")
    changed = (drawn != image).any(-1)
    assert changed.any()
    frames = np.zeros([120, 160], bool)
    for ymin, xmin, ymax, xmax in answer["detection_boxes"][0, :2] * [120, 160, 120, 160]:
        y, x = np.mgrid[:120, :160]
        outside = (x < xmin - 2) | (x > xmax + 2) | (y < ymin - 2) | (y > ymax + 2)
        inside = (x > xmin + 2) & (x < xmax - 2) & (y > ymin + 2) & (y < ymax - 2)
        frames |= ~(outside | inside)
    # It drew on the edges of those two boxes and nowhere else.
    assert not (changed & ~frames).any() and changed.sum() > 0.4 * frames.sum() / 5
