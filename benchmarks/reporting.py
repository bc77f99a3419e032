"""Time the report about 5,000 images with 36,000 objects, without the detector's time.

    python benchmarks/reporting.py [--images N] [--keep FOLDER] [--json FILE]

Images have about seven random objects of 80 classes and 100 made-up detections, as in `evaluation.py`; their
pixels are noise of 480 x 640. "Report" is the time of scores, analysis, plots, pictures and page.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
from evaluation import CLASSES, HEIGHT, WIDTH, made_up
from measures.report import Report

from keras_frcnn import evaluation
from keras_frcnn.evaluation import matches as matching
from keras_frcnn.evaluation.analysis import analyze
from keras_frcnn.evaluation.detecting import Found
from keras_frcnn.report import write_report

MEGABYTE = 1_000_000


class Noise:
    """A data set of noise."""

    name = "noise"
    proposals = None

    def __init__(self, records):
        self.records = records
        self.class_names = tuple(f"class {index}" for index in range(CLASSES))

    def image(self, number):
        """uint8 `[480, 640, 3]`; coarse, so that a JPEG of it is as large as one of a photograph."""
        coarse = np.random.default_rng(number).integers(0, 256, [HEIGHT // 8, WIDTH // 8, 3], np.uint8)
        return coarse.repeat(8, axis=0).repeat(8, axis=1)


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=5000, help="number of images")
    parser.add_argument("--keep", type=Path, help="folder for the report; by default it is deleted")
    parser.add_argument("--json", type=Path, help="file that gets the figures")
    options = parser.parse_args(arguments)
    records, detections = made_up(options.images)
    objects = sum(len(record.labels) for record in records)
    report = Report(f"the report about {options.images} images with {objects} objects", {})
    dataset, found = Noise(records), Found(detections, [0.1] * len(records))
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        started, used = time.perf_counter(), time.process_time()
        matches = matching.match(detections, records, dataset.class_names)
        analyze(matches)
        analyzed = time.perf_counter() - started, time.process_time() - used
        started, used = time.perf_counter(), time.process_time()
        results = evaluation.score_found(found, dataset)
        write_report(folder, results, found, dataset, "made-up detections")
        whole = time.perf_counter() - started, time.process_time() - used
        page = (folder / "report.html").stat().st_size / MEGABYTE
        numbers = (folder / "report.json").stat().st_size / MEGABYTE
    # On a machine with other work, the processor's time tells more than the clock's.
    for name, (clock, processor) in (("analysis", analyzed), ("report", whole)):
        figures = {"clock": clock, "processor": processor}
        report.say(name, figures, f"{name}: {clock:.1f} s, {processor:.1f} s of a processor")
    report.say("page_mb", page, f"report.html: {page:.1f} MB")
    report.say("json_mb", numbers, f"report.json: {numbers:.1f} MB")
    report.write(options.json)


if __name__ == "__main__":
    main()
