"""Evaluate a detector: `python evaluate.py --help`."""

if __name__ == "__main__":
    from keras_frcnn.commands.evaluate import main

    main()
