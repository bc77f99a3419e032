"""Write what annotation tools make of a few scenes: `python tests/stored/make_exports.py`.

Their packages need an environment of their own, with OpenCV; some do not go together with TensorFlow.

Those in `exports/` were written by globox 2.9.0, supervision 0.31.2, labelImg 1.8.6, labelme 6.3.1,
label-studio-sdk 2.1.2, pylabel 0.1.55, datumaro 1.13.12 and ultralytics 8.4.190. Scenes and pictures are
made up here; the pictures are not kept, because tests draw them again.
"""

import contextlib
import json
import pathlib
import shutil
import sys
import tempfile
import typing

import cv2
import numpy as np

FOLDER = pathlib.Path(__file__).parent / "exports"
CLASSES = ("star", "red ball", "box")


class Scene(typing.NamedTuple):
    """A picture: its file, its sides, and objects of a class and half-open corners."""

    file: str
    height: int
    width: int
    objects: tuple = ()


SCENES = (
    Scene("one.jpg", 64, 80, (("box", (4, 9, 30, 41)), ("red ball", (40, 20, 71, 50)))),
    Scene("two.jpg", 80, 64, (("star", (10, 30, 47, 71)),)),
    Scene("three.jpg", 60, 90, (("red ball", (50, 5, 88, 44)), ("red ball", (7, 21, 33, 52)))),
    Scene("four.jpg", 64, 64, (("star", (12, 8, 50, 29)), ("box", (20, 33, 61, 62)))),
    Scene("five.jpg", 64, 80),
)


def draw(scene):
    """The pixels of a scene, BGR."""
    image = np.full([scene.height, scene.width, 3], 20, np.uint8)
    for name, (x1, y1, x2, y2) in scene.objects:
        image[y1:y2, x1:x2] = np.roll((240, 120, 40), CLASSES.index(name))
    return image


def globox(scenes, pictures, out):
    import globox as tool

    annotations = tool.AnnotationSet()
    for scene in scenes:
        boxes = [
            tool.BoundingBox(label=name, xmin=x1, ymin=y1, xmax=x2, ymax=y2)
            for name, (x1, y1, x2, y2) in scene.objects
        ]
        annotations.add(tool.Annotation(scene.file, (scene.width, scene.height), boxes))
    numbers = {name: number for number, name in enumerate(CLASSES)}
    annotations.save_coco(out / "coco.json", auto_ids=True)
    annotations.save_pascal_voc(out / "voc")
    annotations.save_yolo_darknet(out / "yolo", label_to_id=numbers)
    annotations.save_labelme(out / "labelme")
    annotations.save_openimage(out / "openimages.csv")
    annotations.save_cvat(out / "cvat.xml")
    annotations.save_via_json(out / "via.json", image_folder=pictures)


def supervision(scenes, pictures, out):
    import supervision as tool

    boxes = {}
    for scene in scenes:
        corners = np.reshape([box for _, box in scene.objects], [-1, 4]).astype(np.float32)
        labels = np.array([CLASSES.index(name) for name, _ in scene.objects], int)
        boxes[str(pictures / scene.file)] = tool.Detections(corners, class_id=labels)
    dataset = tool.DetectionDataset(list(CLASSES), list(boxes), boxes)
    dataset.as_coco(str(out / "coco/train"), str(out / "coco/train/_annotations.coco.json"))
    dataset.as_pascal_voc(str(out / "voc/images"), str(out / "voc/annotations"))
    dataset.as_yolo(
        str(out / "yolo/train/images"), str(out / "yolo/train/labels"), str(out / "yolo/data.yaml")
    )


def labelimg(scenes, pictures, out):
    from libs.create_ml_io import CreateMLWriter
    from libs.pascal_voc_io import PascalVocWriter
    from libs.yolo_io import YOLOWriter

    (out / "voc").mkdir()
    (out / "yolo").mkdir()
    for scene in scenes:
        shape, stem = [scene.height, scene.width, 3], pathlib.Path(scene.file).stem
        voc = PascalVocWriter("photos", scene.file, shape, local_img_path=rf"C:\photos\{scene.file}")
        yolo = YOLOWriter("photos", scene.file, shape)
        shapes = []
        for name, (x1, y1, x2, y2) in scene.objects:
            voc.add_bnd_box(max(x1, 1), max(y1, 1), x2, y2, name, 0)
            yolo.add_bnd_box(max(x1, 1), max(y1, 1), x2, y2, name, 0)
            shapes.append({"label": name, "points": [(x1, y1), (x2, y1), (x2, y2), (x1, y2)]})
        voc.save(str(out / "voc" / f"{stem}.xml"))
        yolo.save(list(CLASSES), str(out / "yolo" / f"{stem}.txt"))
        CreateMLWriter("photos", scene.file, shape, shapes, str(out / "createml.json")).write()


def labelme(scenes, pictures, out):
    from labelme._label_file import LabelFile

    for scene in scenes:
        shapes = []
        for name, (x1, y1, x2, y2) in scene.objects:
            rest = {"group_id": None, "description": "", "shape_type": "rectangle", "flags": {}, "mask": None}
            shapes.append({"label": name, "points": [[x1, y1], [x2, y2]], **rest})
        file = out / f"{pathlib.Path(scene.file).stem}.json"
        LabelFile().save(str(file), shapes, scene.file, scene.height, scene.width, None, {}, {})


def label_studio(scenes, pictures, out):
    from label_studio_sdk.converter import Converter

    config = "<View><Image name='image' value='$image'/><RectangleLabels name='label' toName='image'>"
    config += "".join(f"<Label value='{name}'/>" for name in CLASSES) + "</RectangleLabels></View>"
    tasks, uploads = [], out / "media/upload/1"
    uploads.mkdir(parents=True)
    for number, scene in enumerate(scenes, start=1):
        file, result = f"{number:08x}-{scene.file}", []
        shutil.copy(pictures / scene.file, uploads / file)
        for name, (x1, y1, x2, y2) in scene.objects:
            value = {"x": 100 * x1 / scene.width, "width": 100 * (x2 - x1) / scene.width}
            value |= {"y": 100 * y1 / scene.height, "height": 100 * (y2 - y1) / scene.height}
            entry = {"type": "rectanglelabels", "from_name": "label", "to_name": "image", "image_rotation": 0}
            entry |= {"original_width": scene.width, "original_height": scene.height, "id": f"r{len(result)}"}
            result.append({**entry, "value": {**value, "rotation": 0, "rectanglelabels": [name]}})
        annotation = {"id": number, "result": result, "completed_by": 1, "was_cancelled": False}
        tasks.append({"id": number, "data": {"image": f"/data/upload/1/{file}"}, "annotations": [annotation]})
    source = out / "tasks.json"
    source.write_text(json.dumps(tasks))
    converter = Converter(config, str(out), upload_dir=str(out / "media/upload"))
    for layout in ("COCO", "VOC", "YOLO", "CSV"):
        converter.convert(str(source), str(out / layout.lower()), layout, is_dir=False)
    shutil.rmtree(out / "media")
    source.unlink()


def pylabel(scenes, pictures, out):
    from pylabel import importer

    write_coco(scenes, out / "source.json")
    dataset = importer.ImportCoco(str(out / "source.json"), path_to_images="images", name="photos")
    dataset.export.ExportToVoc(str(out / "voc"))
    with contextlib.chdir(out):
        dataset.export.ExportToYoloV5("yolo/labels", cat_id_index=0)
    dataset.export.ExportToCoco(str(out / "coco.json"))
    (out / "source.json").unlink()


def datumaro(scenes, pictures, out):
    """CVAT's exports are made by it."""
    import datumaro as tool

    items = []
    for scene in scenes:
        boxes = [
            tool.Bbox(x1, y1, x2 - x1, y2 - y1, label=CLASSES.index(name))
            for name, (x1, y1, x2, y2) in scene.objects
        ]
        image = tool.Image.from_file(str(pictures / scene.file), size=(scene.height, scene.width))
        stem = pathlib.Path(scene.file).stem
        items.append(tool.DatasetItem(stem, subset="train", media=image, annotations=boxes))
    dataset = tool.Dataset.from_iterable(items, categories=list(CLASSES))
    for layout in ("coco_instances", "voc_detection", "yolo", "label_me", "cvat", "open_images"):
        dataset.export(str(out / layout), layout, save_media=True)
    val = tool.DatasetItem("six", subset="val", media=items[-1].media)
    both = tool.Dataset.from_iterable([*items, val], categories=list(CLASSES))
    both.export(str(out / "yolo_ultralytics"), "yolo_ultralytics", save_media=True)


def ultralytics(scenes, pictures, out):
    from ultralytics.data.converter import convert_coco

    (out / "source").mkdir()
    write_coco(scenes, out / "source/instances_train.json")
    convert_coco(str(out / "source"), str(out / "yolo"), cls91to80=False)
    shutil.rmtree(out / "source")


def write_coco(scenes, file):
    content = {"images": [], "annotations": [], "categories": []}
    content["categories"] = [{"id": number, "name": name} for number, name in enumerate(CLASSES, start=1)]
    for number, scene in enumerate(scenes, start=1):
        size = {"height": scene.height, "width": scene.width}
        content["images"].append({"id": number, "file_name": scene.file, **size})
        for name, (x1, y1, x2, y2) in scene.objects:
            row = {"id": len(content["annotations"]) + 1, "image_id": number}
            row |= {"category_id": CLASSES.index(name) + 1, "bbox": [x1, y1, x2 - x1, y2 - y1]}
            row |= {"area": (x2 - x1) * (y2 - y1), "iscrowd": 0, "segmentation": []}
            content["annotations"].append(row)
    file.write_text(json.dumps(content))


TOOLS = (globox, supervision, labelimg, labelme, label_studio, pylabel, datumaro, ultralytics)


def main(names):
    """Run the tools of these names, or all."""
    for tool in TOOLS:
        if names and tool.__name__ not in names:
            continue
        with tempfile.TemporaryDirectory() as place:
            pictures, out = pathlib.Path(place, "photos"), pathlib.Path(place, "out")
            pictures.mkdir()
            out.mkdir()
            for scene in SCENES:
                cv2.imwrite(str(pictures / scene.file), draw(scene))
            tool(SCENES, pictures, out)
            shutil.rmtree(FOLDER / tool.__name__, ignore_errors=True)
            shutil.copytree(out, FOLDER / tool.__name__, ignore=shutil.ignore_patterns("*.jpg", "*.meta"))


if __name__ == "__main__":
    main(sys.argv[1:])
