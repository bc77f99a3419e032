"""Write small files with PyTorch, and what it reads from them: `python tests/stored/make_torch_files.py`.

PyTorch needs an environment of its own. The files in `torch_files/` were written by torch 2.14.1. Each
NAME.npz has the tensors of NAME.pth as PyTorch itself reads them; bfloat16 as float32.
"""

import pathlib
import warnings
import zipfile

import numpy as np
import torch

FOLDER = pathlib.Path(__file__).parent / "torch_files"
OLDER = {"_use_new_zipfile_serialization": False}
# PyTorch writes these in the older form too, and cannot read them back.
NEWER = ("torch.uint16", "torch.uint32")


def tensors():
    """One tensor of each kind: how it lies in its storage, and what its numbers are."""
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6) / 8
    made = {
        "whole": base.clone(),
        "first_rows": base[:2],  # these share a storage
        "columns": base[1:, ::2],
        "turned": base.t(),
        "repeated": torch.ones(1).expand(3, 4),
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 3),
        "parameter": torch.nn.Parameter(torch.linspace(-1, 1, 5)),
        "flag": torch.tensor([True, False, True]),
    }
    for dtype in (torch.float64, torch.float16, torch.bfloat16):
        made[str(dtype)] = torch.linspace(-3, 3, 7).to(dtype)
    for dtype in (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.uint16, torch.uint32):
        made[str(dtype)] = torch.arange(5).to(dtype)
    return made


def network():
    """A module with normalization, whose state dict has attributes of its own."""
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))


def checkpoint():
    """What a training program saves: more than the model."""
    model = torch.nn.DataParallel(network())
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    model.module(torch.ones(1, 3, 5, 5)).sum().backward()
    optimizer.step()
    others = {
        "epoch": 3,
        "best": 0.25,
        "size": torch.Size([5, 5]),
        "device": torch.device("cpu"),
        "names": ["a", None],
    }
    return {"model": model.state_dict(), "optimizer": optimizer.state_dict(), **others}


def main():
    FOLDER.mkdir(exist_ok=True)
    write("tensors", tensors())
    older = {name: tensor for name, tensor in tensors().items() if name not in NEWER}
    write("tensors_older", older, **OLDER)
    write("network", network().state_dict())
    write("network_older", network().state_dict(), **OLDER)
    write("checkpoint", checkpoint())
    write("checkpoint_older", checkpoint(), **OLDER)
    write("protocol_4", network().state_dict(), pickle_protocol=4)
    torch.serialization.set_crc32_options(False)
    write("no_checksums", network().state_dict())
    torch.serialization.set_crc32_options(True)
    deflated("network", "compressed")


def write(name, state, **options):
    torch.save(state, FOLDER / f"{name}.pth", **options)
    note(name)


def deflated(source, name):
    """The same members in a compressed archive, and without the order of bytes, as before torch 2.0."""
    with zipfile.ZipFile(FOLDER / f"{source}.pth") as whole:
        with zipfile.ZipFile(FOLDER / f"{name}.pth", "w", zipfile.ZIP_DEFLATED) as smaller:
            for member in whole.namelist():
                if not member.endswith("/byteorder"):
                    smaller.writestr(member, whole.read(member))
    note(name)


def note(name):
    """Write what PyTorch reads."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # protocol 4 is not its own
        state = torch.load(FOLDER / f"{name}.pth", weights_only=name != "protocol_4")
    state = state.get("model", state)
    arrays = {key.removeprefix("module."): _array(tensor.detach()) for key, tensor in state.items()}
    np.savez_compressed(FOLDER / f"{name}.npz", **arrays)


def _array(tensor):
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()


if __name__ == "__main__":
    main()
