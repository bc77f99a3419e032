"""What every detector of the family shares: fit, evaluate, predict, save.

Letters: B images, N detections, M ground-truth boxes, K classes.
"""

from types import MappingProxyType

import keras
import numpy as np
import tensorflow as tf

from keras_frcnn import images as image_ops
from keras_frcnn.models import batches
from keras_frcnn.models.argument import Argument
from keras_frcnn.models.backbone_features import BackboneFeatures
from keras_frcnn.models.loading_report import loading_report
from keras_frcnn.models.whole_images import WholeImages
from keras_frcnn.trainable_flags import set_trainable_flags, trainable_flags

# In a weights file, among the model's own variables: the states of all random generators, int64 `[G, 2]`.
RANDOM_STATE = "random_state"


class Detector(WholeImages, BackboneFeatures, keras.Model):
    """Base of the models: a subclass gives the forward pass for detections and the one for losses.

    Args:
        class_names: names of the K classes, without background; their order gives the labels 0…K−1.
        loss_names: names of the losses and other figures that `training_losses` gives, for the logs.

    Attributes:
        image_size: `(short side, limit of the long side)` that `detect` and the export resize to, pixels.
        resize_rounding: how its sides are rounded, see `images.resized_shape`.
        canvas: whether every image is letterboxed into one square, so that a batch of any images is one pass.
        max_detections: rows of the answer (N).
    """

    image_size = Argument()
    resize_rounding = Argument(default="exact")
    canvas = Argument()
    max_detections = Argument()

    needs_proposals = False
    has_stages = False  # whether `finish_training` has work to do
    only_proposals = False  # whether `detect` answers with regions that may hold anything
    score_name = "val_voc_ap50"  # the log that says which epoch is best

    def __init__(self, class_names, loss_names, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.class_names = _checked_class_names(class_names)
        self.restored = False
        self.weight_origins = {}
        self.built = True  # the constructor of a subclass makes and builds every part
        self.jit_compile = False  # also without `compile`: "auto" would take XLA on the first GPU
        self.sampling_seeds = keras.random.SeedGenerator(name="sampling_seeds")
        self._figures = [keras.metrics.Mean(name=name) for name in ("loss", *loss_names)]

    def finish_assembly(self):
        """Remember what trains by the arguments alone; the last line of a subclass's constructor."""
        flags = trainable_flags(self)
        if isinstance(self.recipe["backbone"], keras.Model):
            flags = {}  # the config of a network of one's own does not tell what is frozen deep inside
        self._flags_by_arguments = MappingProxyType(flags)

    # What a subclass gives: `recipe`, its arguments, all resolved; and two methods.

    def infer(self, x, training=False):
        """Detections of images that share one padded shape.

        Args:
            x: dict of "images" `[B, H, W, 3]`, RGB 0–255, "image_shapes" int32 `[B, 2]`, height and width
                within the padding, and what else the batch brought.
            training: bool, of the layers inside.

        Returns:
            dict of "boxes" `[B, N, 4]`, "scores" `[B, N]`, "labels" `[B, N]` and "num_detections" `[B]`,
            padded with −1.
        """
        raise NotImplementedError

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

    def prepare_training(self, dataset):
        """Measure what training needs to know of the training set."""

    def finish_training(self, dataset, folder, progress=lambda done, total: None):
        """Go through the stages after `fit`.

        Args:
            dataset: `DetectionDataset`, the one that `fit` had.
            folder: for what the stages keep on disk.
            progress: function that hears after each image how many are through, and how many will be.
        """

    # Keras.

    def __call__(self, x, *args, **kwargs):
        self.check_inputs(x)  # here, because Keras would add its own words to what `call` raises
        return super().__call__(x, *args, **kwargs)

    def call(self, x, training=False):
        """Detections in pixels of the given images, which are not resized.

        Args:
            x: images `[B, H, W, 3]`, RGB, uint8 or float 0–255; or a dict of "images" and "image_shapes" int
                `[B, 2]`; models on external proposals need the dict, with "proposals" float32 `[B, P, 4]`
                in pixels, padded with −1.
            training: bool.

        Returns:
            dict of "boxes" float32 `[B, N, 4]`, "scores" float32 `[B, N]`, "labels" int32 `[B, N]`, padded
            with −1, and "num_detections" int32 `[B]`. An image's answer never depends on the others of the
            batch: images share a pass only where their padded shapes are equal.
        """
        shapes_known = isinstance(x, dict) and "image_shapes" in x
        x = self.unpack(x)
        if self.canvas or not shapes_known:
            return self.infer(x, training)

        padded = -(-x["image_shapes"] // self.stride) * self.stride
        batch = tf.shape(padded)[0]
        step = tf.where(tf.reduce_all(padded == padded[:1]), batch, 1)
        answers = self._answer_arrays(batch)

        def one_pass(start, answers):
            part = {name: value[start : start + step] for name, value in x.items()}
            part["images"] = part["images"][:, : padded[start, 0], : padded[start, 1]]
            answer = self.infer(part, training)
            return start + step, {name: answers[name].write(start // step, answer[name]) for name in answers}

        _, answers = tf.while_loop(lambda start, _: start < batch, one_pass, [0, answers])
        return {name: array.concat() for name, array in answers.items()}

    def _answer_arrays(self, batch):
        shapes = {
            "boxes": (tf.float32, [None, self.max_detections, 4]),
            "scores": (tf.float32, [None, self.max_detections]),
            "labels": (tf.int32, [None, self.max_detections]),
            "num_detections": (tf.int32, [None]),
        }
        return {
            name: tf.TensorArray(dtype, size=0, dynamic_size=True, infer_shape=False, element_shape=shape)
            for name, (dtype, shape) in shapes.items()
        }

    def check_inputs(self, x):
        """Refuse what is no batch for this model, in one sentence."""
        batches.check_images(x, type(self).__name__)

    def unpack(self, x):
        """A batch as a dict with "image_shapes", out of a dict or of plain images; with `canvas`, in the one
        square."""
        x = dict(x) if isinstance(x, dict) else {"images": x}
        images = x["images"] = tf.convert_to_tensor(x["images"])
        shape = tf.shape(images)
        image_shapes = tf.cast(x.get("image_shapes", tf.tile(shape[None, 1:3], [shape[0], 1])), tf.int32)
        if self.canvas:
            side = self.canvas_side
            fits = tf.debugging.assert_less_equal(
                image_shapes, side, f"An image is larger than the canvas of {side} pixels; resize it first."
            )
            with tf.control_dependencies([fits] if fits is not None else []):
                images = image_ops.pad(images[:, :side, :side], side, side)
        return {**x, "images": images, "image_shapes": image_shapes}

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
        # Built while the step is traced, its variables would leave copies of the weights in the graph.
        if not self.optimizer.built:
            self.optimizer.build(self.trainable_variables)
        return super().make_train_function(force)

    def make_predict_function(self, force=False):
        # `call` groups images by their shapes, which XLA would have to know beforehand.
        compiled, self.jit_compile = self.jit_compile, False
        try:
            return super().make_predict_function(force)
        finally:
            self.jit_compile = compiled

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
        # Else the optimizer's first products, as large as the weights, would wait in memory all the step.
        ready = [gradient for gradient in gradients if gradient is not None]
        with tf.control_dependencies(ready), tf.name_scope("update"):
            self.optimizer.apply(gradients, self.trainable_variables)
        return self._log(logs)

    def test_step(self, data):
        _, logs = self._loss_and_logs(data, training=False)
        return self._log(logs)

    @property
    def metrics(self):
        # Without the tracker that Keras adds for the loss, which is among these.
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

    def get_config(self):
        recipe = {name: value for name, value in self.recipe.items() if name != "backbone_weights"}
        if isinstance(recipe["backbone"], keras.Model):
            recipe["backbone"] = keras.saving.serialize_keras_object(recipe["backbone"])
        flags = trainable_flags(self).items()
        changed = {path: flag for path, flag in flags if flag != self._flags_by_arguments.get(path, True)}
        return {
            **recipe,
            **super().get_config(),
            "class_names": list(self.class_names),
            "image_size": list(self.image_size),
            **({"trainable_flags": changed} if changed else {}),
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        # Not an argument: what was frozen or thawed after construction.
        flags = config.get("trainable_flags", {})
        arguments = {name: value for name, value in config.items() if name != "trainable_flags"}
        model = super().from_config(arguments, custom_objects)
        set_trainable_flags(model, flags)
        return model

    def save(self, filepath, overwrite=True, zipped=None, **kwargs):
        """Save as a `.keras` file; see `keras.Model.save`.

        Raises:
            ValueError: the name ends in `.h5` or `.hdf5`, Keras's older format, which cannot hold a detector.
        """
        if str(filepath).endswith((".h5", ".hdf5")):
            raise ValueError(
                f"A detector cannot be loaded from the older format of {filepath}; name it .keras, or "
                ".weights.h5 with save_weights and ModelCheckpoint(save_weights_only=True)."
            )
        super().save(filepath, overwrite=overwrite, zipped=zipped, **kwargs)

    def save_own_variables(self, store):
        super().save_own_variables(store)
        store[RANDOM_STATE] = np.stack([state.numpy() for state in self._random_states()])

    def load_own_variables(self, store):
        self.restored = True
        super().load_own_variables({name: store[name] for name in store.keys() if name != RANDOM_STATE})
        # Files of version 0.1.0 have none; those of a model without dropout have that of the sampling alone.
        if RANDOM_STATE in store.keys():
            for state, value in zip(self._random_states(), store[RANDOM_STATE]):
                state.assign(value)

    def _random_states(self):
        """The states of all generators of random numbers: that of the sampling, of dropout …"""
        weights = {id(weight) for weight in self.weights}
        return [variable for variable in self.variables if id(variable) not in weights]

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
        return loading_report(self, self.backbone_parts)


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
