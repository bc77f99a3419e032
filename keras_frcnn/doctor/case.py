"""What is examined: data sets, a recipe, a model, and what several checks need of them."""

import dataclasses
import shlex
import time
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_frcnn.data import DetectionDataset
from keras_frcnn.data.records import Mended
from keras_frcnn.detects import Detects
from keras_frcnn.doctor.findings import Finding, Skipped
from keras_frcnn.doctor.probe import Probe
from keras_frcnn.export.settings import with_settings
from keras_frcnn.models import Detector, transfer
from keras_frcnn.training.recipe import Recipe

# Images that the trained model is tried on, and the time after which a part of them must do.
TRIED, FEWEST_TRIED = 40, 12
SECONDS_TRIED = 30.0
# Detections are asked for down to this score, whatever the model's own threshold.
LOWEST_SCORE = 0.01
# Why an input is not there; and the cause of the refusal that says so itself.
LACKING = {
    "recipe": ("there is no training recipe", None),
    "train": ("there is no training set", "data"),
    "model": ("there is no trained model", "model"),
    "tried": ("there is no set to try the model on", "data"),
    "sets": ("there is no data set", "data"),
}
# What is little training: fewer updates teach hardly anything.
LEAST_STEPS, LEAST_EPOCHS = 300, 24


@dataclasses.dataclass
class Case:
    """The inputs of the checks; what is None was not given, and checks that need it are skipped.

    Args:
        output: folder for pictures, which is made for the first one.
        train, val: the sets of a training run.
        recipe: its recipe.
        initial: the model whose weights the run began with, if any, and the name of its file.
        run: folder of the run.
        model: the trained model.
        model_name: name of the model in commands.
        tried: the set that the model is tried on, with class names of its own.
        specs: the specs of the sets as they were given, by role (see `sets`); a set without them goes by its
            name.
        mended: what had to be mended in the sets.
        refusals: what could not be read.
        training_command: the command that trains, without the options that mend it.
        unbuildable: whether a new model was refused.
    """

    output: Path
    train: DetectionDataset | None = None
    val: DetectionDataset | None = None
    recipe: Recipe | None = None
    initial: tuple[Detector, str] | None = None
    run: Path | None = None
    model: Detects | None = None
    model_name: str = "MODEL"
    tried: DetectionDataset | None = None
    specs: dict[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    mended: list[Mended] = dataclasses.field(default_factory=list)
    refusals: list[Finding] = dataclasses.field(default_factory=list)
    training_command: str = "python -m keras_frcnn train"
    unbuildable: bool = False

    @property
    def sets(self) -> dict[str, DetectionDataset]:
        """The sets by their role."""
        known = {
            id(dataset): (role, dataset)
            for role, dataset in reversed(self._roles.items())
            if dataset is not None  # an empty set is one too
        }
        return {role: dataset for role, dataset in reversed(known.values())}

    @property
    def _roles(self):
        return {"training": self.train, "validation": self.val, "given": self.tried}

    def lacking(self, *names: str) -> str:
        """Why a check that needs some attributes cannot be made; "" if all are there."""
        for name in names:
            if getattr(self, name) in (None, {}):
                reason, cause = LACKING[name]
                refused = cause in [finding.cause for finding in self.refusals]
                return f"the {cause} cannot be read" if refused else reason
        return ""

    @property
    def role_of_tried(self) -> str:
        """The role of the set that the model is tried on."""
        return next(role for role, dataset in self.sets.items() if dataset is self.tried)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes of the model, or else of the training set."""
        if self.model is not None:
            return tuple(self.model.class_names)
        return self.train.class_names if self.train is not None else ()

    @cached_property
    def fresh(self) -> Detector:
        """A new model by the recipe, as it was before training."""
        if self.recipe is None or not self.class_names:
            raise Skipped(self.lacking("recipe", "train"))
        if self.unbuildable:
            raise Skipped("no new model can be built")
        weights = self.recipe.backbone_weights
        if self.model is not None and weights not in ("none", "imagenet") and not Path(weights).is_file():
            raise Skipped(f"the weights {weights} that the run began with are gone")
        self.unbuildable = True
        keras.utils.set_random_seed(self.recipe.seed)
        model = self.recipe.build(self.class_names, self.initial and self.initial[1])
        if self.initial:
            transfer(self.initial[0], model, self.initial[1])
        self.unbuildable = False
        return model

    @cached_property
    def probe(self) -> Probe:
        """The experiments on eight images."""
        if self.recipe is None or self.train is None:
            raise Skipped(self.lacking("recipe", "train"))
        return Probe(self.recipe, self.fresh, self.train)

    @cached_property
    def patient(self) -> Detects:
        """The trained model with a low score threshold."""
        if isinstance(self.model, Detector) and "score_threshold" in self.model.arguments:
            return with_settings(self.model, score_threshold=LOWEST_SCORE)
        if self.model is None:
            raise Skipped(self.lacking("model"))
        return self.model

    @cached_property
    def sample(self) -> list[int]:
        """Places of images with objects in the set that is tried, evenly spaced."""
        if self.tried is None:
            raise Skipped(self.lacking("tried"))
        places = [index for index, record in enumerate(self.tried.records) if (~record.ignore).any()]
        if not places:
            raise Skipped("no image of the set has an object that counts")
        chosen = np.linspace(0, len(places) - 1, min(TRIED, len(places))).round().astype(int)
        # Every third one first, so that a part of them is evenly spaced too.
        return [places[index] for start in range(3) for index in chosen[start::3]]

    @cached_property
    def answers(self) -> list[dict[str, Any]]:
        """Detections of the sample, and with "swapped", those with the channels in the other order."""
        needs = getattr(self.patient, "needs_proposals", False)
        given = self.tried.proposals if self.tried is not None and needs else None
        answers, begin = [], time.monotonic()
        for place in self.sample:
            image = np.asarray(self.tried.image(place)) if self.tried is not None else np.zeros([1, 1, 3])
            proposals = [] if given is None else [given[place]]
            plain = self.patient.detect(image, *proposals)
            swapped = self.patient.detect(np.ascontiguousarray(image[..., ::-1]), *proposals)
            answers.append({**plain, "swapped": swapped, "place": place})
            if time.monotonic() - begin > SECONDS_TRIED and len(answers) >= FEWEST_TRIED:
                break
        return answers

    def specs_of(self, role: str) -> Sequence[str]:
        """The specs of a set by its role, see `sets`."""
        dataset = self._roles[role]
        return self.specs.get(role) or ([dataset.name] if dataset is not None else [])

    def check_data(self, *roles: str) -> str:
        """The command that shows some sets."""
        specs = [spec for role in roles for spec in self.specs_of(role)]
        return f"python -m keras_frcnn check-data {shlex.join(specs)}"

    @property
    def updates(self) -> int:
        """The number of updates that the recipe makes; 0 if it or the training set is not known."""
        if self.recipe is None or self.train is None:
            return 0
        batches = -(-len(self.train) // self.recipe.batch_size)
        return self.recipe.steps or self.recipe.epochs * batches // self.recipe.accumulate

    def retrain(self, options: str) -> str:
        """The command that trains again with other options."""
        names = [word for word in shlex.split(options) if word.startswith("--")]
        return f"{shlex.join(self._words_without(names))} {options}".strip()

    def retrain_longer(self) -> str:
        """The command that trains twice as long and long enough, in steps if the recipe counts these."""
        recipe = self.recipe
        if recipe is None:
            return self.retrain(f"--epochs {LEAST_EPOCHS}")
        if recipe.steps:
            return self.retrain(f"--steps {max(LEAST_STEPS, 4 * recipe.steps)}")
        enough = -(-LEAST_STEPS * recipe.epochs // self.updates) if self.updates else 0
        return self.retrain(f"--epochs {max(LEAST_EPOCHS, 2 * recipe.epochs, enough)}")

    def retrain_on(self, **sets: Sequence[str]) -> str:
        """The command that trains again on other sets, given as the specs of `train` and `val`."""
        options = {f"--{name}": specs for name, specs in sets.items()}
        given = [word for option, specs in options.items() for spec in specs for word in (option, spec)]
        return shlex.join([*self._words_without(options), *given])

    def _words_without(self, options):
        """The words of the training command without some options and their values."""
        words, kept = iter(shlex.split(self.training_command)), []
        for word in words:
            if word in options:
                next(words, None)
            elif word.partition("=")[0] not in options:
                kept.append(word)
        return kept
