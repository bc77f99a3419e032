"""What every detector of the family shares: its backbone, fit, evaluate, save.

Letters: B images, M ground-truth boxes, K classes.
"""

from types import MappingProxyType

import keras
import tensorflow as tf

from keras_frcnn import backbones
from keras_frcnn.layers import PixelNormalization
from keras_frcnn.models import batches
from keras_frcnn.models.defaults import entries, resolve
from keras_frcnn.models.loading_report import loading_report
from keras_frcnn.models.resizing import Resizing
from keras_frcnn.models.saved_detector import SavedDetector

# Arguments by position, which no group of `arguments.py` holds.
POSITIONAL = ("class_names", "backbone", "backbone_weights")


class Detector(SavedDetector):
    """Base of the models: a subclass makes its layers and stages, and gives `infer` and `training_losses`.

    Args:
        class_names: names of the K classes, without background; their order gives the labels 0…K−1.
        backbone, backbone_weights: see `FasterRCNN`.
        arguments: dict of the other arguments of the constructor, those of `keras.Model` too.
        log_names: names of the losses and other figures that `training_losses` gives, for the logs.

    Attributes:
        arguments: read-only mapping from every argument of the constructor to its value.
        backbone: `keras.Model`, the network that makes the features.
        backbone_info: `Backbone`, which holds its strides, stages and defaults.
    """

    argument_group: type  # TypedDict of `arguments.py`, which the decorator `takes` sets
    head_names = ("head",)  # attributes that are a `DetectionHead`
    has_stages = False  # whether `finish_training` has work to do
    only_proposals = False  # whether `detect` answers with regions that may hold anything
    score_name = "val_voc_ap50"  # the log that says which epoch is best

    def __init__(self, class_names, backbone, backbone_weights, arguments, log_names):
        known = entries(self.argument_group)
        super().__init__(
            autocast=False, **{name: value for name, value in arguments.items() if name not in known}
        )
        self.class_names = _checked_class_names(class_names)
        self.restored = False
        self.weight_origins = {}
        self.built = True  # the constructor of a subclass makes and builds every part
        self.jit_compile = False  # also without `compile`: "auto" would take XLA on the first GPU
        self.sampling_seeds = keras.random.SeedGenerator(name="sampling_seeds")
        self._figures = [keras.metrics.Mean(name=name) for name in ("loss", *log_names)]
        if isinstance(backbone, dict):
            backbone = keras.saving.deserialize_keras_object(backbone)
        elif isinstance(backbone, keras.Model):
            backbone = backbones.copied_network(backbone)
        with self.dtype_scope():
            info = self.backbone_info = self.checked_backbone(backbones.get(backbone, backbone_weights))
        if isinstance(backbone_weights, dict):
            backbone_weights = info.source  # the arrays would stay in memory
        positional = (self.class_names, backbone, backbone_weights)
        values = resolve(self.argument_group, arguments, info, self.own_defaults(info, arguments))
        self.arguments = MappingProxyType({**dict(zip(POSITIONAL, positional)), **values})
        self.resizing = Resizing(values["image_size"], values["resize_rounding"], values["canvas"])
        self.stride = info.stride
        self.freeze_backbone(info)
        info.set_epsilon(values["batch_norm_epsilon"])
        with self.dtype_scope():
            self.pixels = PixelNormalization(values["preprocessing"], self.stride, name="pixels")
            self.pixels.build((None, None, None, 3), (None, 2))
        self.backbone = info.network

    def dtype_scope(self):
        """A `with` block in which layers are made with the dtype policy of the model."""
        return backbones.dtype_policy(self.dtype_policy)

    @property
    def detection_heads(self):
        """The `DetectionHead`s, a list; none of an RPN."""
        return [getattr(self, name) for name in self.head_names]

    def finish_assembly(self):
        """Connect the stages and remember what trains by the arguments; a constructor's last line."""
        self.connect_stages()
        self.remember_flags()

    # What a method gives, besides `infer`.

    def checked_backbone(self, backbone):
        """A `Backbone` as the method uses it; it raises ValueError where it cannot."""
        return backbone

    def own_defaults(self, backbone, arguments):
        """Defaults that the method works out from a `Backbone` and the arguments given: a dict."""
        return {}

    def freeze_backbone(self, backbone):
        """Stop what of a `Backbone` does not train."""
        backbone.freeze(self.arguments["frozen_stages"], self.arguments["frozen_batch_norm"])

    def connect_stages(self):
        """Make the stages around the layers; called again when an export has replaced layers."""

    def training_losses(self, x, y, training):
        """The training forward and its losses.

        Args:
            x: batch as in `call`.
            y: dict of "boxes" `[B, M, 4]`, "labels" `[B, M]`, "ignore" `[B, M]`.
            training: bool; false leaves out dropout and draws the same minibatch every time.

        Returns:
            Two dicts: the terms of the loss, float32 scalars; and figures for the logs, each a pair of a
            float32 scalar and the weight that it has in the mean of an epoch.
        """
        raise NotImplementedError

    # What a method does before and after `fit`; most do nothing.

    def prepare_training(self, dataset, flip=0.5):
        """Measure what training needs to know about the training set.

        Args:
            dataset: `DetectionDataset`, the one that `fit` gets batches of.
            flip: probability of mirroring an image, the one that `batches` has.
        """

    def finish_training(self, dataset, folder, progress=lambda done, total: None):
        """Go through the stages after `fit`.

        Args:
            dataset: `DetectionDataset`, the one that `fit` had.
            folder: path where the stages keep files.
            progress: function that is called after each image with the number done and the total.
        """

    def features(self, images, image_shapes, training):
        """Feature maps of images, a list from fine to coarse."""
        features = self.backbone(self.pixels(images, image_shapes), training=training)
        return list(features) if isinstance(features, (list, tuple)) else [features]

    # Keras.

    def compile(
        self,
        optimizer=None,
        loss=None,
        loss_weights=None,
        metrics=None,
        weighted_metrics=None,
        run_eagerly=False,
        steps_per_execution=1,
        jit_compile=False,
        auto_scale_loss=True,
    ):
        """Prepare for training; the losses are part of the model.

        Args:
            optimizer: any Keras optimizer; by default SGD with rate 0.01, momentum 0.9, global clip norm 10.
            loss, loss_weights, metrics, weighted_metrics: refused; a detector has its own.
            run_eagerly, steps_per_execution, auto_scale_loss: as in `keras.Model.compile`.
            jit_compile: whether XLA compiles the steps of `fit`, anew for each shape of a batch;
                see `keras_frcnn.kernels`.

        Raises:
            ValueError: a loss or metrics are given.
        """
        if loss is not None or loss_weights is not None:
            raise ValueError(
                "The losses are part of a detector; leave loss and loss_weights out of compile, and weigh "
                "them by arguments of its constructor."
            )
        if metrics is not None or weighted_metrics is not None:
            raise ValueError(
                "Metrics of Keras know no detections; leave metrics and weighted_metrics out of compile, and "
                "give fit the callback keras_frcnn.callbacks.DetectionMetrics(dataset)."
            )
        if optimizer is None:
            optimizer = keras.optimizers.SGD(0.01, momentum=0.9, global_clipnorm=10.0)
        super().compile(
            optimizer=optimizer,
            run_eagerly=run_eagerly,
            steps_per_execution=steps_per_execution,
            jit_compile=jit_compile,
            auto_scale_loss=auto_scale_loss,
        )

    def make_train_function(self, force=False):
        # Build the optimizer before tracing, or the graph keeps a copy of every weight.
        if not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)
        return super().make_train_function(force)

    def compile_from_config(self, config):
        config = keras.saving.deserialize_keras_object(config)
        ours = ("optimizer", "run_eagerly", "steps_per_execution", "jit_compile", "auto_scale_loss")
        self.compile(**{name: config[name] for name in ours if name in config})
        self.optimizer.build(self.trainable_variables)

    def train_step(self, data):
        with tf.GradientTape() as tape:
            loss, logs = self._loss_and_logs(data, training=True)
            scaled = self.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, self.trainable_variables)
        # Wait for all gradients first; otherwise the optimizer's temporaries stay in memory during the step.
        ready = [gradient for gradient in gradients if gradient is not None]
        with tf.control_dependencies(ready), tf.name_scope("update"):
            self.optimizer.apply(gradients, self.trainable_variables)
        return self._log(logs)

    def test_step(self, data):
        _, logs = self._loss_and_logs(data, training=False)
        return self._log(logs)

    @property
    def metrics(self):
        # These include the loss, so Keras's own loss tracker is left out.
        return list(self._figures)

    def _loss_and_logs(self, data, training):
        """The loss with the layers' own, such as weight decay; and the logs as pairs of value and weight."""
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        self.check_inputs(x)
        batches.check_targets(y, sample_weight)
        losses, figures = self.training_losses(x, y, training)
        loss = tf.add_n([*losses.values(), *(tf.cast(extra, tf.float32) for extra in self.losses)])
        return loss, {name: (value, 1.0) for name, value in {"loss": loss, **losses}.items()} | figures

    def _log(self, logs):
        for figure in self._figures:
            value, weight = logs[figure.name]
            figure.update_state(value, sample_weight=weight)
        return {figure.name: figure.result() for figure in self._figures}

    def sampling_seed(self, training):
        """Seed `[2]` of one random draw: new each time in training, always the same otherwise."""
        return tf.cast(self.sampling_seeds.next(), tf.int32) if training else tf.zeros([2], tf.int32)

    # Beyond Keras.

    def note_origin(self, weights, source):
        """Keep where weights came from, for `loading_report`.

        Args:
            weights: list of `keras.Variable` of this model.
            source: name of a file, or another word for it.
        """
        self.weight_origins |= {id(weight): source for weight in weights}

    def loading_report(self):
        """Table of the parts, for a look before training.

        Returns:
            str of several lines: for each stage of the backbone and each further part the number of tensors,
            parameters and trainable parameters, and where the weights came from: "imagenet", the name of a
            weights or model file, "as given" (a network of one's own), "saved model" or "new"; then how
            pixels are normalised.
        """
        return loading_report(self, self.backbone_info)


def _checked_class_names(names):
    if isinstance(names, (str, int)):
        raise ValueError(f"class_names must be a list of names, not the one value {names!r}.")
    names = tuple(str(name) for name in names)
    for name in names:
        if "".join(name.splitlines()) != name:
            raise ValueError(
                f"class_names has {name!r}, but labels.txt has one a line; leave the line break out."
            )
    twice = sorted({name for name in names if names.count(name) > 1 and name != "N/A"})
    if not names or twice:
        raise ValueError(
            f"class_names must be one or more different names; {', '.join(twice) or 'none'} given."
        )
    return names
