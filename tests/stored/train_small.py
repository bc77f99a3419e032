"""Train a small detector that tests run on: `python tests/stored/train_small.py pyramid`, or `one_map`.

Tests of fresh weights do not see what trained ones do: a trained RPN's logits are far below 0 for nearly all
anchors. Each takes minutes on two CPU cores and writes `trained/NAME.keras`, without the optimizer.
Run it with the oldest Keras that setup.cfg allows: an older one cannot read the files of a newer one.
"""

import pathlib
import sys
import zipfile

import keras
import ml_dtypes
import networks

import keras_frcnn as kf

FOLDER = pathlib.Path(__file__).parent / "trained"
EPOCHS = 8
BATCH = 4


def pyramid(class_names):
    return kf.FasterRCNN(
        class_names,
        networks.pyramid((12, 16, 24, 32, 48), channels=24),
        image_size=(256, 320),
        anchor_sizes=((16, 24), (32, 48), (64, 96), (128, 192)),
        rpn_channels=24,
        rpn_pre_nms=(500, 300),
        rpn_post_nms=(300, 150),
        head_units=(64,),
        head_batch_size=64,
    )


def one_map(class_names):
    """The papers' path: one map, a softmax RPN, RoI pooling, and anchors scaled down to 256 × 320."""
    return kf.FasterRCNN(
        class_names,
        networks.one_map((12, 16, 32, 64)),
        image_size=(256, 320),
        anchor_sizes=((24, 48, 96, 160),),
        rpn_channels=48,
        rpn_pre_nms=(2000, 1000),
        rpn_post_nms=(300, 150),
        rpn_min_size=8.0,
        head_units=(48,),
        head_batch_size=64,
    )


def main(name):
    keras.utils.set_random_seed(0)
    train = kf.data.load("shapes@train")
    model = {"pyramid": pyramid, "one_map": one_map}[name](train.class_names)
    batches = train.batches(BATCH, image_size=model.image_size, training=True)
    steps = EPOCHS * len(batches)
    rate = keras.optimizers.schedules.CosineDecay(2e-5, steps - 200, warmup_target=2e-3, warmup_steps=200)
    model.compile(keras.optimizers.AdamW(rate, weight_decay=1e-4, global_clipnorm=10.0))
    model.fit(
        batches,
        epochs=EPOCHS,
        shuffle=False,
        verbose=2,
        callbacks=[kf.callbacks.DetectionMetrics(kf.data.load("shapes@val"), every=4)],
    )
    keep(model, FOLDER / f"{name}.keras")


def keep(model, path):
    """Save without the optimizer, and with weights of 16 bits, which a ZIP packs to half the size."""
    plain = type(model).from_config(model.get_config())
    plain.set_weights([weight.astype(ml_dtypes.bfloat16).astype("float32") for weight in model.get_weights()])
    path.parent.mkdir(exist_ok=True)
    plain.save(path)
    with zipfile.ZipFile(path) as archive:
        parts = {entry: archive.read(entry) for entry in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for entry, contents in parts.items():
            archive.writestr(entry, contents)


if __name__ == "__main__":
    main(sys.argv[1])
