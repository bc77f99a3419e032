"""Description of the network that computes a detector's features."""

import contextlib
import dataclasses
import io
import warnings
from collections.abc import Callable
from pathlib import Path

import keras

from keras_frcnn.checkpoints import check_finite


@keras.saving.register_keras_serializable("keras_frcnn")
@dataclasses.dataclass(frozen=True)
class Backbone:
    """A network that turns images into feature maps, and the defaults that go with it.

    Args:
        network: `keras.Model` `[B, H, W, 3]` → list of feature maps, fine to coarse.
        strides: pixels between the cells of each map.
        pooled_levels: number of maps that the head pools RoIs from, starting with the first.
        anchor_sizes: one or more anchor sides for each map, pixels.
        preprocessing: "caffe", "torch", "tf" or "none", as the weights expect; see `PixelNormalization`.
        stages: layer names by stage, from the image up, for freezing.
        head: network for the RoIs, if the backbone provides one (conv5 of a ResNet).
        defaults: detector arguments that suit this network better than the detector's own defaults.
        source: "none", "imagenet", the name of a weights file, "state dict", or "as given" for a
            network of the caller's own.
        load_fc: function that reads the pretrained fully connected layers for the head; see `fc`.
    """

    network: keras.Model
    strides: tuple
    pooled_levels: int
    anchor_sizes: tuple
    preprocessing: str
    stages: tuple = ()
    head: keras.Model | None = None
    defaults: dict = dataclasses.field(default_factory=dict)
    source: str = "none"
    load_fc: Callable | None = None

    def __repr__(self):
        maps = f"{self.channels} channels at stride {', '.join(map(str, self.strides))}"
        return f"<Backbone {self.network.name}: {maps}, weights: {self.source}>"

    @property
    def name(self):
        """Name of the network."""
        return self.network.name

    @property
    def pyramid(self):
        """Whether there are several maps."""
        return len(self.strides) > 1

    @property
    def stride(self):
        """Padded image sides are a multiple of this many pixels, so that every pooled map fits."""
        return self.strides[self.pooled_levels - 1] if self.pyramid else max(self.strides)

    @property
    def channels(self):
        """Channels of each map."""
        return self.network.outputs[0].shape[-1]

    @property
    def fc(self):
        """Pretrained fully connected layers fc6 and fc7: pairs of kernel and bias (NumPy), or empty.

        The layers of VGG16 take half a gigabyte, so they are not kept: each access reads them again, and the
        first access for "imagenet" downloads them.
        """
        return self.load_fc() if self.load_fc else ()

    def freeze(self, stages, batch_norm):
        """Freeze the first stages and, if asked, all batch normalization.

        Args:
            stages: number of stages to freeze, counted from the image.
            batch_norm: whether batch normalization keeps its statistics and scale.

        Raises:
            ValueError: the network has fewer stages.
        """
        if not 0 <= stages <= len(self.stages):
            raise ValueError(
                f"frozen_stages={stages}, but backbone {self.network.name!r} has {len(self.stages)} stages; "
                f"use 0 to {len(self.stages)}, or set `trainable` on the layers of your own network."
            )
        frozen = {name for stage in self.stages[:stages] for name in stage}
        stopped = [layer for layer in self.layers() if layer.name in frozen]
        for layer in [*stopped, *(self.norms() if batch_norm else [])]:
            layer.trainable = False

    def set_epsilon(self, epsilon):
        """Set the epsilon of all batch normalization; None changes nothing."""
        if epsilon is not None:
            for norm in self.norms():
                norm.epsilon = float(epsilon)

    def layers(self):
        """All layers of the network and of its head, if any."""
        return [*self.network.layers, *(self.head.layers if self.head else [])]

    def norms(self):
        """All batch normalization layers, including those inside a pyramid."""
        norms = [layer for layer in self.layers() if isinstance(layer, keras.layers.BatchNormalization)]
        return norms + [norm for layer in self.layers() for norm in getattr(layer, "norms", [])]

    def get_config(self):
        """The fields, with the networks as dicts; without `load_fc`, which only a new detector calls."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        networks = {name: keras.saving.serialize_keras_object(fields[name]) for name in ("network", "head")}
        return {**fields, **networks, "load_fc": None}

    @classmethod
    def from_config(cls, config):
        """Build the backbone again, with new weights."""
        networks = {name: keras.saving.deserialize_keras_object(config[name]) for name in ("network", "head")}
        return cls(**{**config, **networks})

    def parts(self):
        """Layers with weights by stage, followed by those outside the stages, such as a pyramid.

        Returns:
            list of (name, list of layers).
        """
        rest = {layer.name: layer for layer in self.network.layers if layer.weights}
        stages = [[rest.pop(name) for name in stage if name in rest] for stage in self.stages]
        if not stages:
            return [(self.network.name, list(rest.values()))]
        return [
            *((f"backbone stage {index}", layers) for index, layers in enumerate(stages, start=1) if layers),
            *((name, [layer]) for name, layer in rest.items()),
        ]


@contextlib.contextmanager
def dtype_policy(policy):
    """Set the policy for layers that take no dtype argument, such as those of keras.applications."""
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(previous)


def application(build, name, weights):
    """Build a network of `keras.applications` with random weights, ImageNet weights or those of a file.

    Args:
        build: function of `keras.applications`.
        name: name of the backbone, for messages.
        weights: "none", "imagenet" or the path of a `.weights.h5` file of the network without its top.

    Returns:
        The `keras.Model` and the source of its weights: "none", "imagenet" or the file's name.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the weights do not fit, or cannot be downloaded.
    """
    weights = str(weights)
    if weights == "imagenet":
        network = imagenet(build, name, include_top=False, input_shape=(None, None, 3))
        mark_source(network, weights)
        return network, weights
    network = build(include_top=False, weights=None, input_shape=(None, None, 3))
    if weights == "none":
        return network, "none"
    load_file(network, name, weights)
    return network, Path(weights).name


def imagenet(build, name, **arguments):
    """Build a network of `keras.applications` with its ImageNet weights, downloaded on first use.

    Args:
        build: function of `keras.applications`.
        name: name of the backbone, for messages.
        **arguments: further arguments of `build`.

    Raises:
        ValueError: the weights cannot be downloaded.
    """
    try:
        return build(weights="imagenet", **arguments)
    except Exception as error:  # keras.utils.get_file raises a bare Exception when the network is down
        raise ValueError(
            f"The ImageNet weights of {name} could not be downloaded ({error}); check the network, give a "
            'weights file with --backbone-weights (backbone_weights), or begin with random ones, "none".'
        ) from error


def load_file(network, name, path):
    """Load a weights file into a network; the file must fit the network completely.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not a weights file, does not fit this network, or is not finite.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(
            f"There is no weights file {path}; backbone_weights is 'imagenet', 'none' or the path of a "
            ".weights.h5 file."
        )
    if not str(path).endswith(".weights.h5"):
        raise ValueError(
            f"Weights file {path} is not a .weights.h5 file; save one with `network.save_weights`."
        )
    try:
        # Silence Keras: it announces that training goes on with a file that does not fit, which is untrue.
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            network.load_weights(path)
    except Exception as error:  # Keras and h5py pass on any error of a damaged file
        raise ValueError(
            f"Weights file {path} does not fit backbone {name!r}; it must hold the network without its top, "
            f"as saved from {network.name!r}."
        ) from error
    check_finite(((weight.path, weight.numpy()) for weight in network.weights), path)
    mark_source(network, Path(path).name)


def mark_source(network, source):
    """Record on every layer where its weights came from, for `Detector.loading_report`."""
    for layer in network.layers:
        layer.weights_source = source


def stages_by_prefix(network, prefixes):
    """Split the layers of a network into stages; each stage begins at the first layer with its prefix."""
    stages = [[] for _ in prefixes]
    current = 0
    for layer in network.layers:
        for index in range(current + 1, len(prefixes)):
            if layer.name.startswith(prefixes[index]):
                current = index
        stages[current].append(layer.name)
    return tuple(tuple(stage) for stage in stages)
