"""Detectors on networks of `keras.applications`, each with a pyramid of `backbones.pyramid`.

    python benchmarks/other_networks.py [--data FOLDER] [--weights imagenet|none] [--mobilenet FILE]
                                        [--epochs 12] [--networks NAME ...]

Each is trained on `raccoon` and scored on its test set after the last epoch. `--data` is as in `accuracy.py`.
`imagenet` is downloaded by Keras; `--mobilenet` is a weights file for MobileNetV2 alone.
"""

import argparse
import time
from pathlib import Path

import keras

import keras_frcnn as kf

NETWORKS = ("MobileNetV2", "MobileNetV3Small", "EfficientNetV2B0", "ConvNeXtTiny")
IMAGE_SIZE, BATCH_SIZE, LEVELS = (240, 320), 4, (3, 4, 5, 6)
WARM_UP = 50


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of the set raccoon")
    parser.add_argument("--weights", choices=("imagenet", "none"), default="imagenet")
    parser.add_argument("--mobilenet", type=Path, help="weights file for MobileNetV2, instead of --weights")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--networks", nargs="*", choices=NETWORKS, default=NETWORKS)
    options = parser.parse_args()
    kf.keep_memory()
    sets = [kf.data.load(f"voc:{options.data}/raccoon@{split}") for split in ("train", "test")]
    print("| network | weights | preprocessing | parameters, millions | AP50 | minutes |")
    print("|---|---|---|---|---|---|", flush=True)
    for name in options.networks:
        file = options.mobilenet if name == "MobileNetV2" else None
        keras.utils.set_random_seed(0)
        network = getattr(keras.applications, name)(
            include_top=False,
            weights=None if file or options.weights == "none" else "imagenet",
            input_shape=(None, None, 3),
        )
        if file:
            network.load_weights(file)
        source = file.name if file else options.weights
        print(
            f"| `{name}` | {source} | {score(network, source != 'none', *sets, options.epochs)} |", flush=True
        )


def score(network, pretrained, train, test, epochs):
    """Train a detector on a network; return the last cells of its row."""
    began = time.monotonic()
    pyramid = kf.backbones.pyramid(network, LEVELS, channels=128)
    model = kf.FasterRCNN(
        train.class_names,
        pyramid,
        image_size=IMAGE_SIZE,
        frozen_stages=2 if pretrained else 0,
        frozen_batch_norm=pretrained,
        rpn_channels=128,
        head_units=(256, 256),
    )
    batches = train.batches(BATCH_SIZE, image_size=IMAGE_SIZE, training=True)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, epochs * len(batches) - WARM_UP, warmup_target=0.01, warmup_steps=WARM_UP
    )
    model.compile(keras.optimizers.SGD(rate, momentum=0.9, global_clipnorm=10.0))
    model.fit(batches, epochs=epochs, shuffle=False, verbose=0)
    found = [model.detect(test.image(index)) for index in range(len(test))]
    ap50 = kf.evaluation.voc.evaluate(found, test.records, test.class_names)["mean_ap"]
    minutes = (time.monotonic() - began) / 60
    return f"{pyramid.preprocessing} | {model.count_params() / 1e6:.1f} | {ap50:.3f} | {minutes:.1f}"


if __name__ == "__main__":
    main()
