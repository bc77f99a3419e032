"""Flags by path, whatever number Keras gives a layer in its name."""

import keras

from keras_frcnn.trainable_flags import set_trainable_flags, trainable_flags


def network():
    image = keras.Input((8, 8, 3))
    inner = keras.Sequential([keras.layers.Dense(2, name="first"), keras.layers.Dense(2)], name="inner")
    x = keras.layers.Conv2D(4, 3)(keras.layers.Conv2D(4, 3)(image))
    return keras.Model(image, inner(x))


def test_paths_are_the_same_of_every_instance():
    one, other = network(), network()
    assert [layer.name for layer in one.layers] != [layer.name for layer in other.layers]
    assert trainable_flags(one) == trainable_flags(other)
    assert {"conv2d_0", "conv2d_1", "inner", "inner/first", "inner/dense_0"} <= trainable_flags(one).keys()


def test_a_flag_reaches_its_layer_alone():
    model = network()
    model.get_layer("inner").trainable = False
    model.get_layer("inner").layers[0].trainable = True
    flags = trainable_flags(model)
    assert flags["inner/first"] and not flags["inner/dense_0"] and not flags["inner"] and flags["conv2d_1"]
    other = network()
    set_trainable_flags(
        other, {"inner": False, "inner/dense_0": False, "conv2d_1": False, "elsewhere": False}
    )
    assert trainable_flags(other) == {**flags, "conv2d_1": False}
