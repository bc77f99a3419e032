"""Measure a detector: `python evaluate.py --help`."""

import os

if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before TensorFlow is imported
    from keras_frcnn.commands.evaluate import main

    main()
