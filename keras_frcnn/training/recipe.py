"""A recipe: every setting of a training run that is not a path."""

import dataclasses
import inspect
import math
from typing import Annotated, Any, Literal

import keras
import tyro

from keras_frcnn import models
from keras_frcnn.names import remedy
from keras_frcnn.training.caffe_sgd import CaffeSGD
from keras_frcnn.training.kernel_decay import KernelAdamW, KernelSGD
from keras_frcnn.training.step_decay import StepDecay

# Classes of keras_frcnn.models by their names in recipes.
MODELS = {
    "faster_rcnn": "FasterRCNN",
    "cascade_rcnn": "CascadeRCNN",
    "fast_rcnn": "FastRCNN",
    "rpn": "RPN",
    "sppnet": "SPPNet",
    "rcnn": "RCNN",
}
# Values of `cache` for `DetectionDataset.batches`.
CACHE = {"auto": None, "always": True, "never": False}
# Model arguments that only make sense with pretrained weights.
FROZEN = ("frozen_stages", "frozen_batch_norm")
# Lengths of the four steps, instead of the recipe's own.
ALTERNATING = ("alternating_steps", "alternating_rate_steps")


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How to train a detector; the defaults fine-tune a pretrained network on hundreds of images or more."""

    model: Literal[*MODELS] = "faster_rcnn"  # pyright: ignore[reportInvalidTypeForm]
    """Detection method."""
    backbone: str = "mobilenet_v2_fpn"
    """Network that computes the features: vgg16, zf, resnet50, resnet50_fpn, resnet50_fpn_v2, mobilenet_v2,
    mobilenet_v2_fpn, mobilenet_v3_large_fpn, mobilenet_v3_large_320_fpn or tiny_fpn."""
    backbone_weights: str = "imagenet"
    """imagenet, none, or a file: .weights.h5, or a state dict of torchvision for its networks."""
    image_size: tuple[int, int] = (600, 1000)
    """Short side and limit of the long side, pixels."""
    canvas: bool = False
    """Letterbox every image into one square, so that a served batch of any images is one pass."""
    epochs: int = 12
    """Passes over the training set."""
    steps: int = 0
    """Weight updates; above 0, they set the length of training instead of epochs."""
    batch_size: int = 4
    """Images per batch."""
    accumulate: int = 1
    """Batches whose mean gradient makes one update; Caffe's iter_size."""
    learning_rate: float = 0.0005
    """Peak learning rate."""
    rate_schedule: Literal["cosine", "steps"] = "cosine"
    """Rate after the warm-up: a cosine down to zero, or constant with a drop at each of rate_steps."""
    rate_steps: tuple[int, ...] = ()
    """Updates after which the rate drops."""
    rate_factor: float = 0.1
    """Factor by which each drop multiplies the rate."""
    alternating_steps: tuple[int, ...] = ()
    """Updates in each of the four steps of --schedule alternating; by default those of the recipe."""
    alternating_rate_steps: tuple[int, ...] = ()
    """Updates after which the rate drops in each of these steps, instead of rate_steps."""
    alternating_rpn: Literal["new", "first"] = "new"
    """Start of the RPN in the third of these steps: new layers, or those of the RPN in the first step."""
    warmup_steps: int = 200
    """Updates over which the rate rises to its peak; at most a tenth of all."""
    warmup_factor: float = 0.01
    """Fraction of the peak rate at which the warm-up starts."""
    optimizer: Literal["sgd", "adamw", "caffe"] = "adamw"
    """AdamW, SGD, or Caffe's SGD: weight decay in the gradient and separate rules for biases."""
    momentum: float = 0.9
    """Momentum of SGD."""
    weight_decay: float = 0.0001
    """Decoupled weight decay, without biases and batch normalization; with caffe, L2 in the gradient."""
    bias_rate: float = 2.0
    """With caffe: learning rate of biases divided by that of weights."""
    bias_decay: bool = True
    """With caffe: apply weight decay to biases too."""
    clip_norm: float = 10.0
    """Global norm to clip gradients to; 0 for no clipping."""
    flip: float = 0.5
    """Probability of mirroring a training image."""
    short_sides: tuple[int, ...] = ()
    """Short sides to choose from in training; by default those of the image pyramid or image_size."""
    photometric: float = 0.0
    """Probability of distorting the colors of a training image."""
    crop: float = 0.0
    """Probability of cropping a training image to a window that keeps an object."""
    scale_jitter: tuple[float, ...] = ()
    """Range of a random scale factor for training images, such as 0.1 2.0; by default none."""
    balance: float = 0.0
    """Show the images of classes that fewer than this share of the images have more often, such as 0.1; 0 for
    all alike."""
    cache: Literal["auto", "always", "never"] = "auto"
    """Keep decoded images in memory; auto: if they fit into a quarter of the free memory."""
    mixed_precision: Literal["none", "float16", "bfloat16"] = "none"
    """Compute dtype; box arithmetic and losses stay float32."""
    seed: int = 0
    """Random seed of the initial weights, the order of the images, augmentation and sampling."""
    deterministic: bool = False
    """Only use operations that give the same bits in every run; slower on a GPU."""
    checkpoint_minutes: float = 5.0
    """Minutes between two checkpoints, from which --resume goes on."""
    early_stopping: int = 0
    """Epochs without a better validation score after which training stops; 0 for none."""
    tensorboard: bool = False
    """Write a log for TensorBoard into the run folder: losses, scores, rate, pictures of detections."""
    on_nonfinite: Literal["stop", "skip"] = "stop"
    """What to do where the loss or a gradient is not finite: stop, or skip the batch, at most 20 times."""
    detector: Annotated[dict[str, Any], tyro.conf.Suppress] = dataclasses.field(default_factory=dict)
    """Further arguments of the model's constructor; only in YAML."""

    def __repr__(self):
        usual, own = vars(Recipe()), vars(self)
        changed = [f"{name}={own[name]!r}" for name in usual if own[name] != usual[name]]
        return f"{type(self).__name__}({', '.join(changed)})"  # what differs from the defaults

    def __post_init__(self):
        if self.model not in MODELS:
            listed = remedy(self.model, MODELS, f"use one of {', '.join(MODELS)}.")
            raise ValueError(f"Unknown model {self.model!r}; {listed}")
        for name in (
            "epochs",
            "batch_size",
            "accumulate",
            "learning_rate",
            "rate_factor",
            "checkpoint_minutes",
        ):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be above 0 and finite.")
        for name in ALTERNATING:
            if len(getattr(self, name)) not in (0, 4):
                raise ValueError(
                    f"{name} is {getattr(self, name)}; give one number for each of the four steps."
                )
        if not 0 <= self.balance <= 1:
            raise ValueError(
                f"balance is {self.balance}; it must be a share of the images from 0 (off) to 1."
            )
        for name in ("steps", "early_stopping", "warmup_steps", "momentum", "weight_decay", "clip_norm"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be finite and not below 0.")

    def build(self, class_names, weights_source=None):
        """Build the model, not compiled; without pretrained weights, nothing is frozen.

        Args:
            class_names: names of the K classes.
            weights_source: source of the weights that are loaded afterwards, such as a file's name.

        Returns:
            `Detector`.

        Raises:
            ValueError: an entry of `detector` is not an argument of the model, or has the wrong type.
        """
        own = {
            "class_names": class_names,
            "backbone": self.backbone,
            "backbone_weights": self.backbone_weights,
            "image_size": self.image_size,
            "canvas": self.canvas,
            "weights_source": weights_source,
            "dtype": "float32" if self.mixed_precision == "none" else f"mixed_{self.mixed_precision}",
        }
        kind = getattr(models, MODELS[self.model])
        parameters = inspect.signature(kind).parameters
        if "class_names" not in parameters:
            del own["class_names"]  # an RPN knows objects, not classes
        known = [name for name in parameters if name not in (*own, "kwargs")]
        wrong = [str(name) for name in self.detector if name not in known]
        if wrong:
            raise ValueError(
                f"The recipe's `detector` has {', '.join(wrong)}, but takes of {self.model} only "
                f"{', '.join(known)}; {remedy(wrong[0], known, 'take the others out.')}"
            )
        detector = self.detector
        if self.backbone_weights == "none" and not weights_source:
            detector = {name: value for name, value in detector.items() if name not in FROZEN}
        try:
            return kind(**own, **detector)
        except TypeError as error:
            reason = str(error).splitlines()[0]
            raise ValueError(f"The recipe's `detector` has a value of the wrong kind ({reason}).") from error

    def batches(self, dataset, model, training):
        """Batches of a data set with this recipe's settings; see `DetectionDataset.batches`."""
        short, long = model.image_size
        sides = model.arguments.get("pyramid_sides")
        if training and sides:
            long = model.arguments["pyramid_limit"]
        return dataset.batches(
            self.batch_size,
            image_size=(short, long),
            training=training,
            seed=self.seed,
            flip=self.flip,
            short_sides=self.short_sides or sides or None,
            canvas=self.canvas,
            photometric=self.photometric,
            crop=self.crop,
            scale_jitter=self.scale_jitter or None,
            cache=CACHE[self.cache],
            balance=self.balance,
            drop_remainder=training and model.distribute_strategy.num_replicas_in_sync > 1,
        )

    def epochs_for(self, batches):
        """Number of epochs of the run: `epochs`, or as many as `steps` need.

        Args:
            batches: int, batches of one pass over the training set.
        """
        return math.ceil(self.steps * self.accumulate / batches) if self.steps else self.epochs

    def batches_an_epoch(self, batches):
        """Batches per epoch: one pass, or slightly less, so that all epochs together make `steps`.

        Args:
            batches: int, batches of one pass over the training set.
        """
        if not self.steps:
            return batches
        return math.ceil(self.steps * self.accumulate / self.epochs_for(batches))

    def make_optimizer(self, batches):
        """Build the optimizer with its schedule.

        Args:
            batches: int, batches of the whole run.
        """
        common = {
            "global_clipnorm": self.clip_norm or None,
            "gradient_accumulation_steps": self.accumulate if self.accumulate > 1 else None,
        }
        rate: Any = self._rate(batches)
        if self.optimizer == "caffe":
            return CaffeSGD(rate, self.momentum, self.weight_decay, self.bias_rate, self.bias_decay, **common)
        if self.optimizer == "adamw":
            return KernelAdamW(rate, weight_decay=self.weight_decay, **common)
        decay = self.weight_decay or None
        return KernelSGD(rate, momentum=self.momentum, weight_decay=decay, **common)

    def _rate(self, batches):
        # Keras counts the steps of a schedule in batches, even when several batches make one update.
        warmup = min(self.warmup_steps * self.accumulate, batches // 10)
        if self.rate_schedule == "steps":
            drops = [step * self.accumulate for step in self.rate_steps]
            return StepDecay(self.learning_rate, drops, self.rate_factor, warmup, self.warmup_factor)
        return keras.optimizers.schedules.CosineDecay(
            self.learning_rate * self.warmup_factor if warmup else self.learning_rate,
            decay_steps=max(batches - warmup, 1),
            warmup_target=self.learning_rate if warmup else None,
            warmup_steps=warmup,
        )


def of_detector(model, name):
    """Make the recipe that builds a detector like another and trains it by the default rules.

    Args:
        model: `Detector`.
        name: str, source of the model, for the error message.

    Returns:
        `Recipe`; its `detector` has every other argument of the model, except the source of its weights.

    Raises:
        ValueError: the model has a custom network, which a recipe cannot name.
    """
    arguments = dict(model.arguments)
    if not isinstance(arguments["backbone"], str):
        raise ValueError(f"{name} has a network of its own, which no recipe can name; train it with `fit`.")
    policy = model.dtype_policy.name
    (kind,) = [word for word, kind in MODELS.items() if kind == type(model).__name__]
    recipe = Recipe(
        model=kind,  # pyright: ignore[reportArgumentType]
        backbone=arguments["backbone"],
        backbone_weights="none",
        image_size=model.image_size,
        canvas=model.canvas,
        mixed_precision=policy.removeprefix("mixed_") if policy.startswith("mixed_") else "none",
    )
    elsewhere = ("class_names", "backbone", "backbone_weights", "image_size", "canvas", "weights_source")
    detector = {key: _plain(value) for key, value in arguments.items() if key not in elsewhere}
    return dataclasses.replace(recipe, detector=detector)


def _plain(value):
    """Convert tuples to lists, as in YAML."""
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value
