"""The peers that a user would pick instead; `worker.py` starts each subject in its own process.

This module needs NumPy, torch and torchvision, and for single subjects onnx, onnxruntime or openvino. It does
not need this package.
"""

import os

import numpy as np

from sides.subject import Subject, serve

CORES = int(os.environ["OMP_NUM_THREADS"])
CLASSES = 91
RATE = 1e-4
OUR_NAMES = {
    "loss_objectness": "rpn_class_loss",
    "loss_rpn_box_reg": "rpn_box_loss",
    "loss_classifier": "class_loss",
    "loss_box_reg": "box_loss",
}
# Deviations of the logits and deltas of random detectors, large enough for a hundred detections.
SPREAD = {"cls_logits": 2.0, "cls_score": 1.5, "bbox_pred": 0.5}


def build(model, state):
    """Build torchvision's detector, with the weights of a `.npz` file for detecting, or new for training."""
    import torch
    from torchvision.models import detection

    torch.set_num_threads(CORES)
    network = getattr(detection, f"fasterrcnn_{model}")(
        weights=None, weights_backbone=None, num_classes=CLASSES
    )
    return load(network, state).eval() if state else network


def load(network, state):
    """Fill a detector with the state dict of a `.npz` file."""
    import torch

    with np.load(state) as arrays:
        network.load_state_dict({name: torch.from_numpy(arrays[name]) for name in arrays})
    return network


def picture(file):
    """The image of a `.npz` file as torchvision takes it: float32 `[3, H, W]`, 0–1."""
    import torch

    return torch.from_numpy(np.load(file)["images"][0]).permute(2, 0, 1).float() / 255.0


def weights(model, file, state):
    """Draw the weights of a detector and write them as its state dict.

    The predictors are scaled to the image, so that objectness and scores spread as those of a trained
    detector do. Small gains of batch normalization, with biases, keep rounding errors from growing.

    Args:
        model: torchvision's name without `fasterrcnn_`.
        file: `.npz` file with "images".
        state: `.npz` file to write.
    """
    import torch

    torch.manual_seed(0)
    network, image = build(model, None).eval(), picture(file)
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.weight.fill_(0.5)
                layer.bias.normal_(0.0, 0.5)
        for name, layer in network.named_modules():
            spread = SPREAD.get(name.rpartition(".")[2])
            if spread:
                _spread(network, image, layer, spread)
    np.savez(state, **{name: tensor.numpy() for name, tensor in network.state_dict().items()})
    return Subject()


def _spread(network, image, layer, spread):
    """Scale a predictor so that each output has mean 0 and deviation `spread` over the image."""
    import torch

    seen = []
    hook = layer.register_forward_hook(lambda _, inputs, output: seen.append(output))
    network([image])
    hook.remove()
    rows = torch.cat([output.movedim(1, -1).reshape(-1, output.shape[1]) for output in seen])
    gain = spread / rows.std(dim=0).clamp_min(1e-12)
    layer.weight.mul_(gain.reshape(-1, *[1] * (layer.weight.ndim - 1)))
    layer.bias.copy_((layer.bias - rows.mean(dim=0)) * gain)


def eager(model, state, file, precision="float32"):
    """torchvision without compilation."""
    import torch

    network, image = build(model, state), picture(file)
    if precision == "float64":
        network, image = network.double(), image.double()

    def run():
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            (answer,) = network([image])
        return {name: value.float().numpy() for name, value in answer.items()}

    return Subject(run)


def training(model, state, file, precision="float32"):
    """A step of torchvision with FrozenBatchNorm2d and three trainable stages of the backbone."""
    import torch
    from torchvision.models.detection import backbone_utils
    from torchvision.ops import FrozenBatchNorm2d

    network, wanted = (
        build(model, None),
        {"weights": None, "norm_layer": FrozenBatchNorm2d, "trainable_layers": 3},
    )
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if isinstance(child, torch.nn.BatchNorm2d):
                setattr(parent, name, FrozenBatchNorm2d(child.num_features, child.eps))
    if model.startswith("resnet50"):
        frozen = backbone_utils.resnet_fpn_backbone(backbone_name="resnet50", **wanted)
    else:
        frozen = backbone_utils.mobilenet_backbone(backbone_name="mobilenet_v3_large", fpn=True, **wanted)
    trains = {name: parameter.requires_grad for name, parameter in frozen.named_parameters()}
    for name, parameter in network.backbone.named_parameters():
        parameter.requires_grad_(trains.get(name, True))
    load(network, state).train()

    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(parameters, RATE, momentum=0.9)
    with np.load(file) as arrays:
        images = [torch.from_numpy(image).permute(2, 0, 1).float() / 255.0 for image in arrays["images"]]
        targets = [
            {"boxes": torch.from_numpy(boxes), "labels": torch.from_numpy(labels).long() + 1}
            for boxes, labels in zip(arrays["boxes"], arrays["labels"])
        ]

    def run():
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            losses = network(images, targets)
        sum(losses.values()).backward()
        optimizer.step()
        return {OUR_NAMES[name]: loss.item() for name, loss in losses.items()}

    def facts():
        """Settings that must be equal on both sides."""
        norms = [layer for layer in network.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
        return {
            "trainable parameters": sum(parameter.numel() for parameter in parameters),
            "trainable normalization": len(norms),
            "trainable stages": wanted["trainable_layers"],
            "sampled RoIs": network.roi_heads.fg_bg_sampler.batch_size_per_image,
            "proposals": network.rpn.post_nms_top_n(),
            "objects": len(targets[0]["labels"]),
        }

    return Subject(run, facts=facts)


def compiled(model, state, file):
    """torchvision under `torch.compile`."""
    import torch

    network, image = torch.compile(build(model, state)), picture(file)

    def run():
        with torch.inference_mode():
            (answer,) = network([image])
        return {name: value.numpy() for name, value in answer.items()}

    return Subject(run)


def graph(model, state, file, path):
    """Export torchvision's detector to ONNX."""
    import torch

    network, image = build(model, state), picture(file)
    names = ["boxes", "labels", "scores"]
    with torch.no_grad():
        torch.onnx.export(
            network,
            ([image],),
            path,
            opset_version=17,
            dynamo=False,
            input_names=["image"],
            output_names=names,
        )
    return Subject()


def onnx_runtime(path, file):
    """ONNX Runtime on torchvision's graph."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = CORES
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names, image = [output.name for output in session.get_outputs()], _pixels(file)
    return Subject(lambda: dict(zip(names, session.run(names, {"image": image}))))


def openvino(path, file, precision):
    """OpenVINO on torchvision's graph, tuned for the latency of one image."""
    from openvino import Core

    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[precision],
        "INFERENCE_NUM_THREADS": CORES,
    }
    network = Core().compile_model(path, "CPU", settings)
    request, image = network.create_infer_request(), _pixels(file)

    def run():
        answer = request.infer({"image": image})
        return {name: np.array(answer[name]) for name in ("boxes", "labels", "scores")}

    return Subject(run)


def _pixels(file):
    image = np.load(file)["images"][0]
    return np.ascontiguousarray(image.transpose(2, 0, 1), np.float32) / np.float32(255)


if __name__ == "__main__":
    torchvision = ("torch", "torchvision")
    serve(
        {
            "weights": (torchvision, weights),
            "eager": (torchvision, eager),
            "training": (torchvision, training),
            "compiled": (torchvision, compiled),
            "graph": ((*torchvision, "onnx"), graph),
            "onnx_runtime": (("onnxruntime",), onnx_runtime),
            "openvino": (("openvino",), openvino),
        }
    )
