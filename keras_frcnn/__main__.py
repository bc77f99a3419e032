"""`keras-frcnn COMMAND`, or `python -m keras_frcnn COMMAND`: all commands."""

import importlib
import os
import sys
from pathlib import Path

from keras_frcnn.names import remedy

COMMANDS = {
    "train": "train a detector on a named data set",
    "evaluate": "measure a detector by the rules of PASCAL VOC and COCO",
    "predict": "draw and list what a detector finds in image files",
    "convert": "make a detector of another library's weights, such as torchvision's",
    "check-data": "list what is wrong in data sets, and write a clean copy",
    "convert-data": "write data sets in the layout of COCO, VOC or YOLO",
    "show": "draw anchors, targets, proposals, features, RoIs or errors of one image",
    "proposals": "write the proposals of selective search or an RPN, and their recall",
    "doctor": "find out why a detector finds nothing",
    "export": "write a model as the next version of a folder that TF-Serving watches",
    "profile": "print where the time of a training step and of an inference goes",
    "serve-client": "send image files to TF-Serving, draw and list what it finds",
}


def script():
    """The console script `keras-frcnn`."""
    try:
        status = main(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:  # who reads the answer has seen enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 0
    sys.exit(status)


def main(arguments):
    """Run a command.

    Args:
        arguments: list of words, the command first.

    Returns:
        Exit status.
    """
    name, *rest = arguments or [None]
    if name in COMMANDS:
        sys.argv = [f"{_program()} {name}", *rest]
        importlib.import_module(f"keras_frcnn.commands.{name.replace('-', '_')}").main()
        return 0
    if name in ("-h", "--help"):
        print(_help())
        return 0
    print(
        _help() if name is None else f"There is no command {name!r}; {_listed(name)}",
        file=sys.stderr,
    )
    return 2


def _listed(name):
    return remedy(name, COMMANDS, f"use {', '.join(COMMANDS)}.")


def _program():
    """The words that the user has called it by."""
    called = Path(sys.argv[0]).stem
    return called if called == "keras-frcnn" else "python -m keras_frcnn"


def _help():
    program, width = _program(), max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {purpose}" for name, purpose in COMMANDS.items()]
    return "\n".join(
        [f"usage: {program} COMMAND ...", "", *lines, "", f"{program} COMMAND --help tells more."]
    )


if __name__ == "__main__":
    script()
