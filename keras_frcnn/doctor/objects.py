"""Whether the sets have objects that count, and of which classes."""

import numpy as np

from keras_frcnn.doctor.case import Case
from keras_frcnn.doctor.findings import Finding, Result, Skipped

# In VOC 2007, 10 % of the objects are difficult; in COCO, 1 % are crowds.
MOST_IGNORED = 0.5
# COCO has 1 % of images without objects.
MOST_EMPTY = 0.8
# Likelihood if some images have objects: the sets of camera traps are healthy, with 80 % of empty pictures.
SPARSE = 0.4
# Objects of the trained model's set whose class it does not know.
MOST_UNKNOWN = 0.02


def check_objects(case: Case) -> Result:
    """Look for sets whose objects are ignored, or that have none."""
    figures, findings = [], []
    for role, dataset in case.sets.items():
        ignore = np.concatenate([np.zeros(0, bool), *(record.ignore for record in dataset.records)])
        empty = sum(not len(record.labels) for record in dataset.records)
        figures.append(f"{role} set: {len(ignore)} objects in {len(dataset)} images, {ignore.sum()} ignored")
        check = case.check_data(role)
        weight = 1.0 if role == "training" else 0.95
        if len(ignore) and ignore.mean() >= MOST_IGNORED:
            what = "All" if ignore.all() else f"{ignore.mean():.0%} of the"
            findings.append(
                Finding(
                    "ignored objects",
                    weight,
                    f"{what} objects of the {role} set {dataset.name} are marked as ignored (difficult or "
                    "iscrowd), so they are neither learned nor scored; set their flag to 0.",
                    f"{ignore.sum()} of {len(ignore)} objects are ignored",
                    check,
                )
            )
        elif not len(ignore) or empty >= MOST_EMPTY * len(dataset):
            what = "Most images" if len(ignore) else "All images" if len(dataset) else "There are no images"
            what += f" of the {role} set {dataset.name}" + (" have no object" if len(dataset) else "")
            findings.append(
                Finding(
                    "no objects",
                    SPARSE if len(ignore) else weight,
                    f"{what}; check its split and whether its annotations are found.",
                    f"{empty} of {len(dataset)} images have no object",
                    check,
                )
            )
    return Result("; ".join(figures), findings)


def check_class_names(case: Case) -> Result:
    """Compare the classes of the set that the model is tried on with those of the model."""
    assert case.model is not None and case.tried is not None
    if getattr(case.model, "only_proposals", False):
        raise Skipped("an RPN knows no classes")
    names = case.tried.class_names
    labels = np.concatenate([np.zeros(0, int), *(record.labels for record in case.tried.records)])
    unknown = [name for name in names if name not in case.model.class_names]
    lost = sum(int((labels == names.index(name)).sum()) for name in unknown)
    figure = f"{len(labels) - lost} of {len(labels)} objects have a class of the model"
    if lost <= MOST_UNKNOWN * len(labels):
        return Result(figure)
    listed = ", ".join(unknown[:5]) + (" …" if len(unknown) > 5 else "")
    return Result(
        figure,
        [
            Finding(
                "class names",
                0.85 + 0.1 * lost / len(labels),
                f"{case.tried.name} has objects of {listed}, which the model does not know (only "
                f"{', '.join(case.model.class_names[:10])}); rename its classes, or train on them.",
                f"{lost} of {len(labels)} objects have a class that the model does not know",
                case.check_data(case.role_of_tried),
            )
        ],
    )
