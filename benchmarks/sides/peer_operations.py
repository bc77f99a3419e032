"""torchvision's side of `operations.py`; it does not need this package.

Letters: B images, H height, W width, C channels, R RoIs per image, N boxes, M objects, P bins per side.
"""

import os

import numpy as np

from sides.subject import Subject, serve


def operations(file, bins, stride, proposals):
    """Make a subject that runs one operation at a time; see `our_operations.py` for the arguments."""
    import torch
    from torchvision import ops
    from torchvision.models.detection._utils import Matcher

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    given = {name: torch.from_numpy(array) for name, array in np.load(file).items()}
    features = given["features"].permute(0, 3, 1, 2).contiguous()
    rois = list(given["rois"])
    weights = given["weights"].flatten(0, 1).permute(0, 3, 1, 2).contiguous()
    match = Matcher(0.7, 0.3, allow_low_quality_matches=True)
    poolings = {
        "RoIAlign": lambda maps: ops.roi_align(maps, rois, bins, 1 / stride, 2, aligned=True),
        "RoIPooling": lambda maps: ops.roi_pool(maps, rois, bins, 1 / stride),
        "exact RoI pooling": lambda maps: ops.roi_pool(maps, rois, bins, 1 / stride),
    }

    def forward(pool):
        def run():
            with torch.inference_mode():
                pooled = pool(features).permute(0, 2, 3, 1)
            return {"values": pooled.unflatten(0, given["rois"].shape[:2])}

        return run

    def with_gradient(pool):
        def run():
            maps = features.detach().requires_grad_()
            pool(maps).backward(weights)
            return {"values": maps.grad.permute(0, 2, 3, 1)}

        return run

    def suppression():
        kept = [
            scores[ops.nms(boxes, scores, 0.7)[:proposals]]
            for boxes, scores in zip(given["boxes"], given["scores"])
        ]
        return {"values": torch.stack(kept)}

    def matching():
        pairs = zip(given["objects"], given["boxes"])
        return {"values": torch.stack([match(ops.box_iou(objects, boxes)) for objects, boxes in pairs])}

    plain = {"NMS": suppression, "matching": matching}
    subject = Subject()

    def select(name, gradient):
        if name in poolings:
            subject.run = (with_gradient if gradient else forward)(poolings[name])
        else:
            subject.run = plain[name]

    subject.calls["select"] = select
    return subject


if __name__ == "__main__":
    serve({"operations": (("torch", "torchvision"), operations)})
