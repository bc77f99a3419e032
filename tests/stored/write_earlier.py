"""Write the files of an earlier version that later ones must go on to read.

Those in `earlier/` were written by commit e8bef58 (version 0.1.0); written anew, they would test nothing.
"""

import pathlib
import shutil
import tempfile

import keras
import networks
import numpy as np

import keras_frcnn as kf

FOLDER = pathlib.Path(__file__).parent / "earlier"
COMMON = {
    "image_size": (96, 128),
    "rpn_channels": 12,
    "rpn_batch_size": 32,
    "head_batch_size": 16,
    "head_units": (16,),
    "max_detections": 12,
}


def pyramid():
    network = networks.pyramid((6, 8, 10, 12, 14), channels=10)
    return kf.FasterRCNN(
        ["red cell", "plate"], network, rpn_pre_nms=(200, 100), rpn_post_nms=(60, 30), **COMMON
    )


def one_map():
    network = networks.one_map((6, 8, 10, 12))
    sizes = ((24, 48, 96),)
    return kf.FasterRCNN(
        ["red cell", "plate"],
        network,
        anchor_sizes=sizes,
        rpn_pre_nms=(400, 300),
        rpn_post_nms=(40, 20),
        rpn_min_size=4.0,
        **COMMON,
    )


def excite(model):
    """Scores that differ, and boxes that move."""
    rng = np.random.default_rng(5)
    for layer, deviation in (
        (model.rpn.class_conv, 0.4),
        (model.rpn.box_conv, 0.05),
        (model.head.class_dense, 0.6),
        (model.head.box_dense, 0.6),
    ):
        kernel, bias = layer.get_weights()
        layer.set_weights([rng.normal(0, deviation, kernel.shape), bias])


def picture():
    return np.random.default_rng(8).integers(0, 256, (6, 8, 3), np.uint8).repeat(24, 0).repeat(24, 1)


def main():
    FOLDER.mkdir()
    for name, build in (("pyramid", pyramid), ("one_map", one_map)):
        keras.utils.set_random_seed(11)
        model = build()
        excite(model)
        image = picture()
        proposals = model.propose(image)
        sides = proposals["boxes"][:, 2:] - proposals["boxes"][:, :2]
        assert len(sides) == model.rpn.post_nms[1] and np.all(sides > 0), "no slot may stay free"
        answer = model.detect(image)
        assert len(answer["scores"]) >= 5
        model.save(FOLDER / f"{name}.keras")
        with tempfile.TemporaryDirectory() as folder:
            model.export(f"{folder}/{name}/1")
            shutil.make_archive(FOLDER / name, "zip", f"{folder}/{name}", "1")
        np.savez_compressed(FOLDER / f"{name}.npz", image=image, proposals=proposals["boxes"], **answer)
        print(name, len(answer["scores"]), answer["scores"][:5], model.count_params())


if __name__ == "__main__":
    main()
