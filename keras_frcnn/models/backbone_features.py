"""What the methods have in common with their backbone: opening it, its defaults, its features."""

from types import MappingProxyType, SimpleNamespace

import keras

from keras_frcnn import backbones
from keras_frcnn import images as image_ops
from keras_frcnn.layers import PixelNormalization


class BackboneFeatures:
    """Mixin of `Detector`: the network that makes the features, and the recipe that goes with it."""

    def open_backbone(self, arguments):
        """The `Backbone` that a constructor's arguments name; a network of one's own is copied."""
        if isinstance(arguments["backbone"], dict):
            arguments["backbone"] = keras.saving.deserialize_keras_object(arguments["backbone"])
        elif isinstance(arguments["backbone"], keras.Model):
            arguments["backbone"] = backbones.copied_network(arguments["backbone"])
        parts = backbones.get(arguments["backbone"], arguments["backbone_weights"])
        if isinstance(arguments["backbone_weights"], dict):
            arguments["backbone_weights"] = parts.source  # the recipe would keep the arrays in memory
        return parts

    def resolve(self, arguments, parts, *defaults):
        """Fill what the constructor left open, and keep it as `recipe`.

        Args:
            arguments: dict of the constructor's arguments, None where left open.
            parts: `Backbone`.
            defaults: dicts of the method's own defaults, which those of the backbone override.

        Returns:
            Namespace of all arguments.
        """
        # A detector whose weights are to come counts as pretrained by where they come from.
        pretrained = (arguments["weights_source"] or parts.source) not in ("none", "as given")
        known = {
            "image_size": (600, 1000),
            "resize_rounding": "exact",
            "frozen_stages": 0,
            "frozen_batch_norm": pretrained,
            "batch_norm_epsilon": None,
            "preprocessing": parts.preprocessing,
            "anchor_sizes": parts.anchor_sizes,
            "weights_source": parts.source,
        }
        for table in (*defaults, parts.defaults):
            known |= table
        if not pretrained:
            known |= {"frozen_stages": 0, "frozen_batch_norm": False}
        recipe = {
            name: known[name] if value is None and name in known else value
            for name, value in arguments.items()
        }
        recipe["image_size"] = image_ops.checked_image_size(recipe["image_size"])
        recipe["canvas"] = bool(recipe["canvas"])
        if "max_detections" in recipe:
            recipe["max_detections"] = int(recipe["max_detections"])
        image_ops.checked_rounding(recipe.get("resize_rounding", "exact"))
        self.recipe = MappingProxyType(recipe)
        return SimpleNamespace(**recipe)

    def assemble_backbone(self, parts, recipe):
        """Take the network that makes the features, frozen as the recipe wants it.

        Args:
            parts: `Backbone`.
            recipe: namespace of the constructor's arguments, all resolved.
        """
        self.stride = max(parts.strides) if not parts.pyramid else parts.strides[parts.pooled_levels - 1]
        self.pooled_levels = parts.pooled_levels
        parts.freeze(recipe.frozen_stages, recipe.frozen_batch_norm)
        epsilon = self.recipe.get("batch_norm_epsilon")
        if epsilon is not None:
            for norm in parts.norms():
                norm.epsilon = float(epsilon)
        self.pixels = PixelNormalization(recipe.preprocessing, self.stride, name="pixels")
        self.pixels.build((None, None, None, 3), (None, 2))
        self.backbone = parts.network
        self.backbone_parts = parts

    def features(self, images, image_shapes, training):
        """Feature maps of images, a list from fine to coarse."""
        features = self.backbone(self.pixels(images, image_shapes), training=training)
        return list(features) if isinstance(features, (list, tuple)) else [features]
