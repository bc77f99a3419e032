"""A new model by the recipe on eight images, for short experiments that begin again from the same weights."""

import dataclasses
import math
import time
from typing import Any

import numpy as np
import tensorflow as tf

from keras_frcnn.data import DetectionDataset
from keras_frcnn.data.sources import Subset
from keras_frcnn.models import Detector
from keras_frcnn.training.recipe import Recipe

IMAGES = 8
# Images of a step at most.
BATCH = 4


class Probe:
    """Train a new model on the same few images, without augmentation, at rates that are set by hand.

    Args:
        recipe: `Recipe`.
        model: `Detector`, new and not compiled; its weights change.
        train: `DetectionDataset`, the training set.

    Attributes:
        rate: the learning rate of the recipe.
        dataset: the images, a `DetectionDataset`.
        model: the new model.
        seconds: of the last step.
    """

    def __init__(self, recipe: Recipe, model: Detector, train: DetectionDataset):
        recipe = dataclasses.replace(recipe, batch_size=min(recipe.batch_size, BATCH), accumulate=1)
        self.rate, self.model, self.dataset = recipe.learning_rate, model, few_images(train)
        self.model.prepare_training(self.dataset, 0.0)
        self.batches = list(recipe.batches(self.dataset, self.model, training=False))
        optimizer = recipe.make_optimizer(len(self.batches))
        config = {**optimizer.get_config(), "learning_rate": self.rate}
        self.model.compile(type(optimizer).from_config(config))
        self.optimizer: Any = self.model.optimizer
        self.optimizer.build(self.model.trainable_variables)
        self._start = [variable.numpy() for variable in self._variables()]
        self._step: Any = tf.function(self.model.train_step, autograph=False, reduce_retracing=True)
        self.seconds = 0.0
        self.step(0)  # traces the graph, which takes long
        self.step(0)
        self.begin_again()

    def step(self, number: int, rate: float | None = None) -> float:
        """Make one update.

        Args:
            number: counts the batches.
            rate: learning rate; by default that of the recipe.

        Returns:
            The loss before the update; NaN if the update was refused, because a number was not finite.
        """
        begin, refused = time.monotonic(), int(self.model.finite_update.refused)
        self.optimizer.learning_rate = self.rate if rate is None else rate
        self.model.reset_metrics()
        loss = float(self._step(self.batches[number % len(self.batches)])["loss"])
        self.seconds = time.monotonic() - begin
        return loss if int(self.model.finite_update.refused) == refused else math.nan

    def begin_again(self) -> None:
        """Give the model the weights it began with, and the optimizer an empty memory."""
        for variable, value in zip(self._variables(), self._start, strict=True):
            variable.assign(value)

    def _variables(self):
        return [*self.model.variables, *self.optimizer.variables]


def few_images(dataset: DetectionDataset) -> DetectionDataset:
    """Eight images with objects, evenly spaced, as a set of their own."""
    places = [place for place, record in enumerate(dataset.records) if (~record.ignore).any()]
    chosen = np.linspace(0, len(places) - 1, min(IMAGES, len(places))).round().astype(int)
    indices = [places[place] for place in chosen]
    return DetectionDataset(
        f"{len(indices)} images of {dataset.name}",
        dataset.class_names,
        [dataset.records[index] for index in indices],
        Subset(dataset.source, indices),
        proposals=dataset.proposals and [dataset.proposals[index] for index in indices],
    )
