"""The 4-step alternating training of Faster R-CNN (section 3.2 of the paper)."""

import dataclasses
import hashlib
import inspect
import shutil

import keras

from keras_frcnn.callbacks import checkpoint_files
from keras_frcnn.callbacks.progress import ImageLines
from keras_frcnn.data import proposals as proposal_files
from keras_frcnn.evaluation import proposal_recall
from keras_frcnn.files import write_json, write_text
from keras_frcnn.models import RPN, FastRCNN
from keras_frcnn.training.fit import CHECKPOINTS, fit

STEPS = ("1-rpn", "2-fast-rcnn", "3-rpn-shared", "4-fast-rcnn-shared")
# Number of proposals per image that Fast R-CNN trains on, as in the paper.
PROPOSALS = 2000


def alternate(recipe, train, val, folder):
    """Train an RPN and a Fast R-CNN in turn until they share their convolutions.

    1. Train an RPN from the pretrained network.
    2. Train a Fast R-CNN from the pretrained network, on the proposals of step 1.
    3. Train an RPN on the frozen convolutions of step 2.
    4. Train the head of step 2 again, on the proposals of step 3.

    The paper only says that step 3 fine-tunes the layers of the RPN. They start new, as in py-faster-rcnn, or
    from those of step 1, as the recipe's `alternating_rpn` says. Each step has a folder with its model; that
    of an RPN also has its proposals and their recall. A complete step is not repeated; an incomplete one
    goes on from its last checkpoint. The seed of a step is the recipe's plus its index from 0.

    Args:
        recipe: `Recipe` of a FasterRCNN. Every step has its epochs and its schedule, unless its
            `alternating_steps` and `alternating_rate_steps` override them.
        train, val: `DetectionDataset`; `val` may be None.
        folder: `pathlib.Path` of the run.

    Returns:
        `FasterRCNN` with one set of convolutions.

    Raises:
        ValueError: a set has two images with the same id.
    """
    for dataset in filter(None, (train, val)):
        proposal_files.check_names(dataset)  # fail now, not after the first step
    alternation = _Alternation(recipe, train, val, folder)
    return alternation.run()


class _Alternation:
    def __init__(self, recipe, train, val, folder):
        # Fast R-CNN predicts no boxes for the background.
        detector = {**recipe.detector, "head_background_box": False}
        self.recipe = dataclasses.replace(recipe, detector=detector)
        self.train, self.val, self.folder = train, val, folder

    def run(self):
        first = self._step(0, lambda: self._part(RPN))
        second = self._step(1, lambda: self._part(FastRCNN))
        third = self._step(2, lambda: self._share(self._third(first), second))
        fourth = self._step(3, lambda: self._share(second, second))
        return unite(self.recipe.build(self.train.class_names), third, fourth)

    def _step(self, number, build):
        """Train the model of one step, or load it if the step is complete."""
        folder = self.folder / STEPS[number]
        complete = folder / "complete"
        if not complete.exists():
            if not checkpoint_files.all_of(folder / CHECKPOINTS):
                shutil.rmtree(folder, ignore_errors=True)
            recipe = self._recipe(number)
            keras.utils.set_random_seed(recipe.seed)
            print(f"\nStep {number + 1} of 4: {STEPS[number][2:]}", flush=True)
            sets = self._sets(number)
            model = build()
            fit(recipe, model, *sets, folder)
            if isinstance(model, RPN):
                self._write_proposals(model, folder)
            complete.touch()
        # Always load from the file, so that an interrupted run continues with the same numbers.
        return keras.saving.load_model(folder / "last.keras", compile=False)

    def _recipe(self, number):
        """The recipe of one step."""
        recipe = dataclasses.replace(self.recipe, seed=self.recipe.seed + number)
        if recipe.alternating_steps:
            recipe = dataclasses.replace(recipe, steps=recipe.alternating_steps[number])
        if recipe.alternating_rate_steps:
            recipe = dataclasses.replace(recipe, rate_steps=(recipe.alternating_rate_steps[number],))
        return recipe

    def _sets(self, number):
        """The training and validation sets of a step, with proposals if it needs them."""
        if number % 2 == 0:
            return self.train, self.val
        folder = self.folder / STEPS[number - 1]
        return (
            self.train.with_proposals(proposal_files.load(folder / "train"), PROPOSALS),
            self.val and self.val.with_proposals(proposal_files.load(folder / "val"), PROPOSALS),
        )

    def _part(self, kind):
        """Build an RPN or a FastRCNN with the recipe's arguments for it."""
        known = inspect.signature(kind).parameters
        detector = {name: value for name, value in self.recipe.detector.items() if name in known}
        if kind is FastRCNN:
            # Proposals of an RPN are few and good, so all that are not foreground count as background.
            detector.setdefault("head_negative_iou", (0.0, 0.5))
        name = {RPN: "rpn", FastRCNN: "fast_rcnn"}[kind]
        return dataclasses.replace(self.recipe, model=name, detector=detector).build(self.train.class_names)

    def _third(self, first):
        """Build the RPN that step 3 starts from, without its convolutions."""
        model = self._part(RPN)
        if self.recipe.alternating_rpn == "first":
            model.rpn.set_weights(first.rpn.get_weights())
        return model

    @staticmethod
    def _share(model, detector):
        """Copy the convolutions of a detector into a model, and freeze them."""
        model.backbone.set_weights(detector.backbone.get_weights())
        model.backbone.trainable = False
        return model

    def _write_proposals(self, rpn, folder):
        """Write the proposals for every image, and their recall."""
        _remove_those_of_another(folder)
        curves = {}
        for name, dataset in (("train", self.train), ("val", self.val)):
            if dataset is None:
                continue
            proposal_files.write(
                folder / name,
                dataset,
                lambda image: rpn.propose(image, PROPOSALS, training=True)["boxes"],
                progress=ImageLines(f"proposals, {name}"),
            )
            found = proposal_files.load(folder / name)
            boxes = [found[str(record.image_id)] for record in dataset.records]
            curves[name] = proposal_recall.recall_curve(boxes, dataset.records)
            print(f"{name}: {proposal_recall.report(curves[name])}", flush=True)
        write_json(folder / "recall.json", curves)


def _remove_those_of_another(folder):
    """Remove proposals of an interrupted run unless the model is the same: it may have trained on since."""
    with open(folder / "last.keras", "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    note = folder / "proposals.sha256"
    if not note.exists() or note.read_text() != digest:
        for name in ("train", "val"):
            shutil.rmtree(folder / name, ignore_errors=True)
        write_text(note, digest)


def unite(model, rpn, detector):
    """Fill a `FasterRCNN` with an RPN and a Fast R-CNN that share their convolutions.

    Args:
        model: `FasterRCNN`.
        rpn: `RPN`.
        detector: `FastRCNN`.

    Returns:
        `model`.
    """
    model.backbone.set_weights(detector.backbone.get_weights())
    model.rpn.set_weights(rpn.rpn.get_weights())
    # Fast R-CNN predicts plain deltas; Faster R-CNN's head predicts them times its coder weights.
    model.head.copy_from(detector.head, model.regions.coder.weights)
    return model
