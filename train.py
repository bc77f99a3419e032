"""Train a detector: `python train.py --help`."""

if __name__ == "__main__":
    from keras_frcnn.commands.train import main

    main()
