"""One process of a training run: worker.py OUTPUT KIND DATA PRECISION BATCHES STEPS.

KIND is "none", "mirrored" or "multi_worker". It writes the changes of the weights in single steps of SGD at
rate 1, which are the gradients, then the losses
of some steps of `fit`.
"""

import json
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

import keras_frcnn as kf

output, kind, data, precision, batches, steps = sys.argv[1:]
batches, steps = int(batches), int(steps)
if kind == "mirrored":
    device = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(device, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
elif kind == "multi_worker":
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
else:
    strategy = tf.distribute.get_strategy()

# Of real sets few images have no object.
loaded = kf.data.load(data)
images = [loaded.image(index) for index in range(min(len(loaded), 24))]
boxes = [loaded.records[index].boxes for index in range(len(images))]
labels = [loaded.records[index].labels for index in range(len(images))]
for index in range(0, len(images), 5):
    boxes[index], labels[index] = np.zeros([0, 4], "float32"), np.zeros(0, "int32")
train = kf.data.from_arrays(images, boxes, labels, loaded.class_names)

keras.utils.set_random_seed(0)
with strategy.scope():
    model = kf.FasterRCNN(
        train.class_names,
        backbone="tiny_fpn",
        backbone_weights="none",
        image_size=(96, 160),
        rpn_batch_size=32,
        head_batch_size=16,
        head_units=(32,),
        rpn_post_nms=(60, 30),
        dtype=precision,
    )
    model.compile(keras.optimizers.SGD(1.0, global_clipnorm=10.0))


def batches_from(first, repeat=False):
    """Without `repeat`, each worker decodes the images of its own rows only."""
    return train.batches(
        4,
        image_size=model.image_size,
        training=True,
        seed=3,
        first_batch=first,
        repeat=repeat,
        drop_remainder=True,
    )


start = model.get_weights()
gradients = []
for number in range(batches):
    model.set_weights(start)
    model.sampling_seeds.state.assign([7, number])
    # Not `take`: only what `batches` returns is decoded in parts.
    model.fit(batches_from(number), steps_per_epoch=1, verbose=0)
    after = model.get_weights()
    gradients.append(np.concatenate([(a - b).ravel() for a, b in zip(after, start)]))
model.set_weights(start)
with strategy.scope():
    model.compile(keras.optimizers.SGD(0.005, momentum=0.9, global_clipnorm=1.0))
history = []


class Note(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        history.append({name: float(value) for name, value in logs.items()})


model.fit(batches_from(0, repeat=True), steps_per_epoch=steps, epochs=1, verbose=0, callbacks=[Note()])
np.savez(
    output, gradients=np.stack(gradients), final=np.concatenate([w.ravel() for w in model.get_weights()])
)
with open(output + ".json", "w") as file:
    json.dump(history, file)
