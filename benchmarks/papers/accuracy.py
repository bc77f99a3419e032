"""Trainings of `cost.py --accuracy` and `--ablations`: BCCD, MobileNetV2 at stride 16, 300 proposals.

Every training is a run of `train.py`; `evaluate.py` scores its last model on the test split. AP50 is the area
under the curve. Proposals come from selective search (fast) or from the method's own RPN.
"""

import dataclasses
import json
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import keras
import yaml

import keras_frcnn as kf
from keras_frcnn.training import fit, recipe_files

ROOT = Path(__file__).resolve().parents[2]
SEEDS = (0, 1, 2)
BCCD = "voc:{data}/bccd@trainval", "voc:{data}/bccd@test"
RACCOON = "voc:{data}/raccoon@train", "voc:{data}/raccoon@test"
MOBILENET = "{weights}/mobilenet_v2_1.0_coco_ssd_notop.weights.h5"
COMMON = {
    "backbone": "mobilenet_v2",
    "backbone_weights": MOBILENET,
    "image_size": [360, 480],
    "batch_size": 2,
    "steps": 438,  # three epochs
    "learning_rate": 0.0003,
}
EXTERNAL = ("fast_rcnn", "sppnet", "rcnn")
# All methods have the same head.
HEAD = {"head_units": [512, 512], "head_batch_size": 64}
RPN = {"rpn_post_nms": [600, 300]}
ANCHORS = {"anchor_sizes": [[16, 32, 64, 128, 192]]}
FASTER = {"model": "faster_rcnn", "detector": {**HEAD, **RPN, **ANCHORS}}
FAST = {"model": "fast_rcnn", "detector": HEAD}

METHODS = {
    # Warp regions to the pixels of 7 × 7 bins of stride 16, with the paper's share of context.
    "R-CNN": {"model": "rcnn", "detector": {**HEAD, "warp_size": 112, "context": 8}},
    "SPPnet": {"model": "sppnet", "detector": HEAD},
    "Fast R-CNN": FAST,
    "Faster R-CNN, joint": FASTER,
    "Cascade R-CNN": {**FASTER, "model": "cascade_rcnn"},
    # Each network trains twice, half as long, so both see as many images as in joint training.
    "Faster R-CNN, 4 steps": {**FASTER, "schedule": "alternating", "steps": COMMON["steps"] // 2},
}
CLASSES_ALONE = {**FAST, "detector": {**HEAD, "box_loss_weight": 0.0}}
SIDES = [240, 300, 360, 420, 480]


def with_detector(variant, **arguments):
    """A variant with further arguments of its model."""
    return {**variant, "detector": {**variant["detector"], **arguments}}


ABLATIONS = {
    "Is it the RoI pooling?": {
        "RoIPooling": with_detector(FASTER, pooling="roi_pooling"),
        "ExactRoIPooling": with_detector(FASTER, pooling="exact"),
        "RoIAlign": with_detector(FASTER, pooling="roi_align"),
        "RoIAlign, and a pyramid of features": {
            "model": "faster_rcnn",
            "backbone": "mobilenet_v2_fpn",
            "detector": {**HEAD, **RPN},
        },
    },
    "Does the joint loss beat boxes regressed afterwards?": {
        "classes and boxes together": FAST,
        "classes alone, no box moved": CLASSES_ALONE,
        # The box layer alone trains for as long as the classes did, so this has twice the budget.
        "classes alone, boxes afterwards": {**CLASSES_ALONE, "boxes_afterwards": True},
    },
    "What does the depth of fine-tuning buy?": {
        "the fully connected layers (fc6+)": with_detector(FAST, frozen_stages=5),
        "from the third stage on (conv3_1+)": FAST,
        "from the second stage on (conv2_1+)": with_detector(FAST, frozen_stages=1),
    },
    "One scale or the pyramid of images?": {
        "one scale": FAST,
        "five scales": {
            **with_detector(FAST, pyramid_sides=SIDES, pyramid_limit=720),
            "image_size": [360, 720],
            "short_sides": SIDES,
        },
    },
}
# The paper's network and widths.
VGG16 = {
    "model": "faster_rcnn",
    "backbone": "vgg16",
    "backbone_weights": "{weights}/vgg16_hed_bsds500_notop.weights.h5",
    "image_size": [160, 240],
    "batch_size": 2,
    "steps": 0,
    "epochs": 5,
    "learning_rate": 0.0001,
    "detector": {"anchor_sizes": [[48, 96, 144]], "head_units": [4096, 4096]},
}


def methods(options):
    """Print AP50 of every method, mean and spread over seeds, and of VGG16 before and after the SVD."""
    with Trainings(options) as trainings:
        figures = {}
        for name, variant in METHODS.items():
            runs = [trainings.run(variant, seed) for seed in SEEDS]
            scores = [run.score for run in runs]
            figures[name] = {"ap50": scores, "minutes": [run.minutes for run in runs]}
            mean, spread = statistics.mean(scores), statistics.stdev(scores)
            each = ", ".join(f"{score:.3f}" for score in scores)
            minutes = sum(figures[name]["minutes"])
            print(f"{name:24}AP50 {mean:.3f} ± {spread:.3f}  ({each})  {minutes:.1f} minutes", flush=True)
        figures["SVD"] = trainings.compressed()
        print(
            "VGG16 on raccoon: AP50 {whole:.3f}, fc6 and fc7 by SVD {compressed:.3f}".format(**figures["SVD"])
        )
    return figures


def ablations(options):
    """Print AP50 of each variant with one seed."""
    with Trainings(options) as trainings:
        figures = {}
        for question, variants in ABLATIONS.items():
            print(f"\n{question}", flush=True)
            for name, variant in variants.items():
                run = trainings.run(variant, SEEDS[0])
                figures[f"{question} {name}"] = run.score
                print(f"  {name:36} AP50 {run.score:.3f}  {run.minutes:.1f} minutes", flush=True)
    return figures


@dataclasses.dataclass(frozen=True)
class Run:
    """A finished training."""

    folder: Path
    score: float
    minutes: float


class Trainings:
    """Run train.py in a temporary folder and score with evaluate.py, each variant only once."""

    def __init__(self, options):
        self._options = options
        self._done = {}

    def __enter__(self):
        self._temporary = tempfile.TemporaryDirectory()
        self.folder = Path(self._temporary.name)
        self._names = {"data": self._options.data.resolve(), "weights": self._options.weights.resolve()}
        self._search = (self._options.proposals or self.folder / "search").resolve()
        sets = f"--data {BCCD[0]} --data {BCCD[1]} --top 300"
        self._call("-m", "keras_frcnn", "proposals", *self._words(sets), "--output", self._search)
        return self

    def __exit__(self, *_):
        self._temporary.cleanup()

    def run(self, variant, seed, sets=BCCD):
        """Return the `Run` of a variant, which is trained now unless it was before."""
        key = json.dumps([variant, seed, sets])
        if key not in self._done:
            folder = self.folder / f"run{len(self._done)}"
            started = time.monotonic()
            if variant.get("boxes_afterwards"):
                self._boxes_afterwards(self.run(CLASSES_ALONE, seed).folder, folder)
            else:
                self._train({**COMMON, **variant}, seed, sets[0], folder)
            score = self._score(folder / "last.keras", variant["model"], sets[1])
            self._done[key] = Run(folder, score, (time.monotonic() - started) / 60)
        return self._done[key]

    def compressed(self):
        """AP50 of a detector with layers of width 4096, whole and factored by `compress`."""
        run = self.run(VGG16, SEEDS[0], RACCOON)
        model = keras.saving.load_model(run.folder / "last.keras", compile=False)
        file = self.folder / "compressed.keras"
        kf.models.compress(model).save(file)
        return {"whole": run.score, "compressed": self._score(file, VGG16["model"], RACCOON[1])}

    def _train(self, variant, seed, data, folder):
        fields = {name: value for name, value in variant.items() if name != "schedule"}
        fields["backbone_weights"] = fields["backbone_weights"].format(**self._names)
        config = self.folder / "config.yaml"
        config.write_text(yaml.safe_dump(fields))
        schedule = variant.get("schedule", "joint")
        words = f"--train {data} --seed {seed} --schedule {schedule}"
        external = ["--proposals", self._search] if variant["model"] in EXTERNAL else []
        self._call("train.py", *self._words(words), *external, "--config", config, "--output", folder)

    def _boxes_afterwards(self, first, folder):
        """Train only the box layer of a Fast R-CNN with trained classes, for as long as those trained."""
        keras.utils.set_random_seed(SEEDS[0])
        train = kf.data.load(*self._words(BCCD[0])).with_proposals(kf.data.proposals.load(self._search))
        model = keras.saving.load_model(first / "last.keras", compile=False)
        for layer in (model.backbone, *model.head.dense_layers, model.head.class_dense):
            layer.trainable = False
        model.arguments = {**model.arguments, "box_loss_weight": 1.0}
        model.connect_stages()
        config = recipe_files.from_yaml((first / "config.yaml").read_text(), "the first run")
        fit.fit(config, model, train, None, folder)

    def _score(self, file, model, data):
        answer = self.folder / "scores.json"
        external = ["--proposals", self._search] if model in EXTERNAL else []
        words = self._words(f"--data {data}")
        self._call("evaluate.py", "--model", file, *words, *external, "--json", answer)
        return json.loads(answer.read_text())["voc_ap50"]

    def _words(self, text):
        return shlex.split(text.format(**self._names))

    @staticmethod
    def _call(*words):
        subprocess.run([sys.executable, *words], check=True, cwd=ROOT, stdout=sys.stderr)
