"""Base class of all detectors: backbone, fit, evaluate, save.

Letters: B images, M ground-truth boxes, K classes.
"""

import functools
from types import MappingProxyType

import keras
import tensorflow as tf

from keras_frcnn import _compat, backbones, replicas
from keras_frcnn.class_names import checked_class_names
from keras_frcnn.layers import DetectionHead, PixelNormalization
from keras_frcnn.layers.roi_layer import RoILayer
from keras_frcnn.models import batches, first_batch, shared_batches
from keras_frcnn.models.checked_arguments import checked_arguments
from keras_frcnn.models.consumed import Consumed
from keras_frcnn.models.defaults import entries, resolve
from keras_frcnn.models.figure import Figure, logged
from keras_frcnn.models.finite_update import FiniteUpdate
from keras_frcnn.models.loading_report import loading_report
from keras_frcnn.models.resizing import Resizing
from keras_frcnn.models.saved_detector import SavedDetector
from keras_frcnn.ops.maps import as_list

# Positional arguments, which belong to no group in `arguments.py`.
POSITIONAL = ("class_names", "backbone", "backbone_weights")


class Detector(SavedDetector):
    """Base of the models: a subclass builds layers and stages, and defines `infer` and `training_losses`.

    Args:
        class_names: names of the K classes, without background; their order defines the labels 0…K−1.
        backbone, backbone_weights: see `FasterRCNN`.
        arguments: dict of the other constructor arguments, including those of `keras.Model`.
        log_names: names of the losses and other figures that `training_losses` returns, for the logs.

    Attributes:
        arguments: read-only mapping from every constructor argument to its value.
        backbone: `keras.Model`, the network that computes the features.
        backbone_info: `Backbone`, with its strides, stages and defaults.
        roi_pooling: `RoILayer`, in detectors that pool RoIs from feature maps: not in `RPN` and `RCNN`.
    """

    argument_group: type  # TypedDict of `arguments.py`, set by the decorator `takes`
    roi_pooling: RoILayer
    assembled = False  # whether the constructor is done
    head_names = ("head",)  # attributes that hold a `DetectionHead`
    trains_in_stages = False  # whether `finish_training` does anything
    only_proposals = False  # whether detections are proposals, without classes
    score_name = "val_voc_ap50"  # the log that decides which epoch is best

    def __init__(self, class_names, backbone, backbone_weights, arguments, log_names):
        known = entries(self.argument_group)
        arguments = checked_arguments(type(self).__name__, arguments, known)
        super().__init__(
            autocast=False, **{name: value for name, value in arguments.items() if name not in known}
        )
        self.class_names = checked_class_names(class_names)
        self.restored = False
        self.weight_origins = {}
        self.built = True  # the constructor of a subclass builds every part
        self.jit_compile = False  # even without `compile`, because Keras's "auto" would use XLA on a GPU
        self.consumed = Consumed()
        self.finite_update = FiniteUpdate(self)
        self.sampling_seeds = keras.random.SeedGenerator(name="sampling_seeds")
        self._figures = [Figure(name=name) for name in ("loss", *log_names)]
        if isinstance(backbone, dict):
            backbone = keras.saving.deserialize_keras_object(backbone)
        else:
            backbone = backbones.copied(backbone)
        with self.dtype_scope():
            info = self.backbone_info = self.checked_backbone(backbones.get(backbone, backbone_weights))
        if isinstance(backbone_weights, dict):
            backbone_weights = info.source  # otherwise the arrays stay in memory
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
        """Context manager in which new layers get the dtype policy of the model."""
        return backbones.dtype_policy(self.dtype_policy)

    # A method, because Keras looks into every list among the attributes for layers to save.
    def detection_heads(self) -> list[DetectionHead]:
        """List of the `DetectionHead`s; empty for an RPN."""
        return [getattr(self, name) for name in self.head_names]

    def finish_assembly(self):
        """Connect the stages and record the trainable flags; a constructor calls it last."""
        self.connect_stages()
        self.remember_flags()
        self.assembled = True

    def __setattr__(self, name, value):
        super().__setattr__(name, value)
        if self.assembled and name in ("backbone", "rpn", "roi_pooling", *self.head_names):
            # The stages and the traced functions still hold the layer that was there before. The optimizer
            # too, so training needs `compile`, as in any Keras model.
            self.connect_stages()
            self.forget_functions()
            self.test_function = self.predict_function = None

    # Subclasses implement these, besides `infer`.

    def checked_backbone(self, backbone: backbones.Backbone) -> backbones.Backbone:
        """Return the `Backbone` as the method uses it; raise ValueError if it cannot use it."""
        return backbone

    def own_defaults(self, backbone, arguments):
        """Compute a dict of defaults from a `Backbone` and the given arguments."""
        return {}

    def freeze_backbone(self, backbone):
        """Freeze the parts of a `Backbone` that do not train."""
        backbone.freeze(self.arguments["frozen_stages"], self.arguments["frozen_batch_norm"])

    def connect_stages(self):
        """Create the stages around the layers; replacing a layer calls it again."""

    def training_losses(self, x, y, training):
        """Run the forward pass of training and compute its losses.

        Args:
            x: batch as in `infer`.
            y: dict of "boxes" `[B, M, 4]`, "labels" `[B, M]`, "ignore" `[B, M]`.
            training: bool; false disables dropout and samples the same minibatch every time.

        Returns:
            Two dicts: the terms of the loss, float32 scalars; and figures for the logs, each a pair of a
            float32 scalar and its weight in the mean over an epoch.
        """
        raise NotImplementedError

    # Hooks before and after `fit`; most methods leave them empty.

    def prepare_training(self, dataset, flip=0.5):
        """Measure statistics of the training set that training needs.

        Args:
            dataset: `DetectionDataset` that `fit` gets its batches from.
            flip: probability of mirroring an image, as given to `batches`.
        """

    def finish_training(self, dataset, folder, progress=lambda done, total: None):
        """Run the stages of training after `fit`.

        Args:
            dataset: `DetectionDataset` that `fit` trained on.
            folder: path where the stages keep their files.
            progress: function that is called after each image with the number done and the total.
        """

    def features(self, images, image_shapes, training) -> list:
        """Compute the feature maps of images, a list from fine to coarse."""
        return as_list(self.backbone(self.pixels(images, image_shapes), training=training))

    def pool(self, features, rois, training=False):
        """Pool RoIs `[B, R, 4]` from feature maps for the heads: `[B, R, …]`."""
        return self.roi_pooling(features[: self.backbone_info.pooled_levels], rois)

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
            jit_compile: whether XLA compiles the steps of `fit`, once for each shape of a batch;
                see `keras_frcnn.kernels`.

        Raises:
            ValueError: a loss or metric is given.
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
        shared_batches.synchronize_batch_norm(self)
        if optimizer is None:
            optimizer = keras.optimizers.SGD(0.01, momentum=0.9, global_clipnorm=10.0)
        super().compile(
            optimizer=optimizer,
            run_eagerly=run_eagerly,
            steps_per_execution=steps_per_execution,
            jit_compile=jit_compile,
            auto_scale_loss=auto_scale_loss,
        )

    @functools.wraps(keras.Model.fit)
    def fit(self, x=None, *args, **kwargs):
        self.consumed.begin(x)
        first_batch.warn_of_other_size(self, x, kwargs.get("validation_data"))
        try:
            with first_batch.checked(self, x, args, kwargs) as (x, kwargs):
                x, kwargs = shared_batches.of_fit(self.distribute_strategy, x, kwargs)
                return super().fit(x, *args, **kwargs)
        finally:
            self.consumed.end()

    @functools.wraps(keras.Model.evaluate)
    def evaluate(self, x=None, *args, **kwargs):
        with first_batch.checked(self, x, args, kwargs) as (x, kwargs):
            return super().evaluate(shared_batches.repeated(self.distribute_strategy, x), *args, **kwargs)

    def make_train_function(self, force=False):
        # Build the optimizer before tracing, or the graph keeps a copy of every weight.
        if not self.optimizer.built:
            with self.distribute_strategy.scope():
                self.optimizer.build(self.trainable_variables)
        _compat.expect_summed_gradients(self.optimizer)
        return super().make_train_function(force)

    def train_step(self, data):
        statistics = self.finite_update.moving_statistics()
        with tf.GradientTape() as tape:
            loss, logs = self._loss_and_logs(data, training=True)
            scaled = self.optimizer.scale_loss(loss)
        gradients = replicas.total_of_known(tape.gradient(scaled, self.trainable_variables))
        # Wait for all gradients first; otherwise the optimizer's temporaries stay in memory during the step.
        ready = [gradient for gradient in gradients if gradient is not None]
        with tf.control_dependencies(ready), tf.name_scope("update"):
            refused = self.finite_update.apply(logs["loss"][0], gradients, statistics)
        self.consumed.batches.assign_add(1)
        return self._log({name: self.finite_update.log(refused, *figure) for name, figure in logs.items()})

    def test_step(self, data):
        with replicas.alone():  # each has the whole batch, see `shared_batches.repeated`
            _, logs = self._loss_and_logs(data, training=False)
        return self._log(logs)

    @property
    def metrics(self):
        # These include the loss, so Keras's own loss tracker is left out.
        return list(self._figures)

    def _loss_and_logs(self, data, training):
        """Return the loss, with the layers' losses such as weight decay, and the logs as (value, weight)."""
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        self.check_inputs(x)
        batches.check_targets(y, sample_weight)
        losses, figures = self.training_losses(self.unpack(x), y, training)
        extras = [tf.cast(extra, tf.float32) / replicas.count() for extra in self.losses]
        loss = tf.add_n([*losses.values(), *extras])
        terms = replicas.total({"loss": loss, **losses})
        logs = {name: (value, 1.0) for name, value in terms.items()} | replicas.weighted_means(figures)
        return loss, logs

    def _log(self, logs):
        return logged(self._figures, logs, self.distribute_strategy)

    def sampling_seed(self, training):
        """Return a seed `[2]` for one random draw: new each time in training, otherwise always the same."""
        return tf.cast(self.sampling_seeds.next(), tf.int32) if training else tf.zeros([2], tf.int32)

    # Beyond Keras.

    def note_origin(self, weights, source):
        """Record the source of weights, a list of `keras.Variable`, such as a file's name."""
        self.weight_origins |= {id(weight): source for weight in weights}

    def loading_report(self) -> str:
        """Format a table of the model's parts, to check before training.

        Returns:
            str of several lines: for each part the number of tensors, parameters and trainable parameters,
            and the source of the weights: "imagenet", a file's name, "as given" (a custom network), "saved
            model" or "new"; then the normalization of the pixels.
        """
        return loading_report(self, self.backbone_info)
