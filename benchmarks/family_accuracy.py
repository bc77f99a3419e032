"""What `family.py --accuracy` and `--ablations` train: BCCD, MobileNetV2 at stride 16, 300 proposals.

Every training is a run of `train.py`; AP50 is the area under the curve of the model after the last epoch on
the test split. Proposals come from selective search (fast) or from an RPN of the method's own.
"""

import json
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
SEEDS = (0, 1, 2)
WEIGHTS = "--backbone-weights {weights}/mobilenet_v2_1.0_coco_ssd_notop.weights.h5"
DATA = "--train voc:{data}/bccd@trainval --val voc:{data}/bccd@test"
SEARCH = "--proposals {folder}/search"
# The same head for all; R-CNN's regions are warped to what its 7 × 7 bins come from.
HEAD = {"head_units": [512, 512], "head_batch_size": 64}
ANCHORS = {"anchor_sizes": [[16, 32, 64, 128, 256]], "rpn_post_nms": [600, 300]}
COMMON = {
    "backbone": "mobilenet_v2",
    "image_size": [480, 640],
    "batch_size": 2,
    "epochs": 4,
    "learning_rate": 0.0003,
}

# For each method the words of train.py and the fields of its recipe beyond COMMON.
METHODS = {
    "R-CNN": (f"--model rcnn {SEARCH}", {"detector": {**HEAD, "warp_size": 112}}),
    "SPPnet": (f"--model sppnet {SEARCH}", {"detector": HEAD}),
    "Fast R-CNN": (f"--model fast_rcnn {SEARCH}", {"detector": HEAD}),
    "Faster R-CNN, joint": ("--model faster_rcnn", {"detector": {**HEAD, **ANCHORS}}),
    # Each of its two networks trains twice, so that both see as many images as in joint training.
    "Faster R-CNN, 4 steps": (
        "--model faster_rcnn --schedule alternating",
        {"detector": {**HEAD, **ANCHORS}, "epochs": COMMON["epochs"] // 2},
    ),
}
FASTER = "--model faster_rcnn"
FAST = f"--model fast_rcnn {SEARCH}"
SCALES = [320, 400, 480, 560, 640]
ABLATIONS = {
    "Is it the RoI pooling?": {
        "RoIPooling": (FASTER, {"detector": {**HEAD, **ANCHORS, "pooling": "roi_pooling"}}),
        "ExactRoIPooling": (FASTER, {"detector": {**HEAD, **ANCHORS, "pooling": "exact"}}),
        "RoIAlign": (FASTER, {"detector": {**HEAD, **ANCHORS, "pooling": "roi_align"}}),
        "RoIAlign over a pyramid": (FASTER, {"backbone": "mobilenet_v2_fpn"}),
    },
    "Does the joint loss help?": {
        "classes and boxes together": (FAST, {"detector": HEAD}),
        "classes alone, boxes never": (FAST, {"detector": {**HEAD, "box_loss_weight": 0.0}}),
        "classes alone, boxes afterwards": (f"--model sppnet {SEARCH}", {"detector": HEAD}),
    },
    "What does the depth of fine-tuning buy?": {
        "the fully connected layers (fc6+)": (FAST, {"detector": {**HEAD, "frozen_stages": 5}}),
        "from stage 3 on (conv3_1+)": (FAST, {"detector": {**HEAD, "frozen_stages": 2}}),
        "from stage 2 on (conv2_1+)": (FAST, {"detector": {**HEAD, "frozen_stages": 1}}),
    },
    "One scale or the pyramid?": {
        "one scale": (FAST, {"detector": HEAD}),
        "five scales": (
            FAST,
            {"detector": {**HEAD, "pyramid_sides": SCALES, "pyramid_limit": 960}, "short_sides": SCALES},
        ),
    },
}


def methods(options):
    """AP50 of every method, mean and spread over the seeds."""
    with Trainings(options) as trainings:
        figures = {}
        for name, (words, recipe) in METHODS.items():
            scores, minutes = zip(*(trainings.run(words, recipe, seed) for seed in SEEDS))
            figures[name] = {"ap50": scores, "minutes": minutes}
            mean, spread = statistics.mean(scores), statistics.stdev(scores)
            each = ", ".join(f"{score:.3f}" for score in scores)
            print(f"{name:24}  AP50 {mean:.3f} ± {spread:.3f}  ({each})", flush=True)
    return figures


def ablations(options):
    """AP50 of each variant, one seed."""
    with Trainings(options) as trainings:
        figures, done = {}, {}
        for question, variants in ABLATIONS.items():
            print(f"\n{question}", flush=True)
            for name, (words, recipe) in variants.items():
                key = json.dumps([words, recipe])
                if key not in done:
                    done[key] = trainings.run(words, recipe, SEEDS[0])
                figures[f"{question} {name}"] = done[key]
                print(f"  {name:36} AP50 {done[key][0]:.3f}  {done[key][1]:.1f} minutes", flush=True)
    return figures


class Trainings:
    """Runs of train.py in a temporary folder that also holds the proposals of selective search."""

    def __init__(self, options):
        self._options = options

    def __enter__(self):
        self._temporary = tempfile.TemporaryDirectory()
        self.folder = Path(self._temporary.name)
        self._names = {
            "folder": self.folder,
            "data": self._options.data.resolve(),
            "weights": self._options.weights.resolve(),
        }
        words = "proposals --data voc:{data}/bccd@trainval --data voc:{data}/bccd@test --top 300 "
        self._call("-m", "keras_frcnn", *self._split(words + "--output {folder}/search"))
        return self

    def __exit__(self, *_):
        self._temporary.cleanup()

    def run(self, words, recipe, seed):
        """AP50 and minutes of one training."""
        output = self.folder / "run"
        config = self.folder / "config.yaml"
        config.write_text(yaml.safe_dump({**COMMON, **recipe}))
        words = self._split(f"{DATA} {WEIGHTS} {words} --config {config} --seed {seed} --output {output}")
        started = time.monotonic()
        self._call(ROOT / "train.py", *words)
        minutes = (time.monotonic() - started) / 60
        score = json.loads((output / "metrics.json").read_text())["voc_ap50"]
        shutil.rmtree(output)
        return score, minutes

    def _split(self, words):
        return shlex.split(words.format(**self._names))

    @staticmethod
    def _call(*words):
        subprocess.run([sys.executable, *words], check=True, cwd=ROOT, stdout=sys.stderr)
