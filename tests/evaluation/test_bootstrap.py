import numpy as np
import pytest

from keras_frcnn.evaluation import bootstrap, coco, matches, voc
from keras_frcnn.evaluation.coco_matching import HIT, MISS


def test_weights_of_one_give_the_numbers_of_coco(random_set):
    for seed in range(4):
        detections, records, names = random_set(seed)
        matched = matches.match(detections, records, names)
        numbers = bootstrap.resampled_numbers(matched, 0.5, np.ones([1, len(records)], np.int32))
        expected = coco.evaluate(detections, records, names)
        for name in ("ap", "ap50", "ap75"):
            assert numbers[f"coco_{name}"][0] == pytest.approx(expected[name], abs=1e-12)
        for name, metric in (("voc_ap50", "area"), ("voc07_ap50", "11point")):
            mean = voc.evaluate(detections, records, names, metric=metric)["mean_ap"]
            assert numbers[name][0] == pytest.approx(mean, abs=1e-12)
        per_class = [expected["per_class"][name]["ap50"] for name in names]
        np.testing.assert_allclose(numbers["per_class"][0], per_class, atol=1e-12)


def test_a_resample_scores_like_the_set_with_its_images_repeated(random_set):
    detections, records, names = random_set(1)
    matched = matches.match(detections, records, names)
    weights = bootstrap.resamples(len(records), 5, seed=7)
    numbers = bootstrap.resampled_numbers(matched, 0.5, weights)
    for row, counts in enumerate(weights):
        chosen = np.repeat(np.arange(len(records)), counts)
        parts = [detections[index] for index in chosen], [records[index] for index in chosen]
        expected = coco.evaluate(*parts, names)
        assert numbers["coco_ap50"][row] == pytest.approx(expected["ap50"], abs=1e-12)
        assert numbers["coco_ap"][row] == pytest.approx(expected["ap"], abs=1e-12)
        for name, metric in (("voc_ap50", "area"), ("voc07_ap50", "11point")):
            mean = voc.evaluate(*parts, names, metric=metric)["mean_ap"]
            assert numbers[name][row] == pytest.approx(mean, abs=1e-12)


def test_blocks_change_nothing(random_set, monkeypatch):
    detections, records, names = random_set(2)
    matched = matches.match(detections, records, names)
    weights = bootstrap.resamples(len(records), 9)
    whole = bootstrap.WeightedAP(matched)(weights)
    monkeypatch.setattr(bootstrap, "BLOCK", 1)
    np.testing.assert_array_equal(bootstrap.WeightedAP(matched)(weights), whole)


def test_a_seed_gives_the_same_samples():
    assert (bootstrap.resamples(30, 4, seed=1) == bootstrap.resamples(30, 4, seed=1)).all()
    assert (bootstrap.resamples(30, 4, seed=1) != bootstrap.resamples(30, 4, seed=2)).any()
    assert (bootstrap.resamples(30, 4).sum(1) == 30).all()


def test_an_interval_leaves_out_what_is_not_defined():
    assert bootstrap.interval(np.array([np.nan, 1.0, np.nan])) == [1.0, 1.0]
    assert bootstrap.interval(np.full(3, np.nan)) == [None, None]


def test_resamples_apart_from_the_number_are_biased():
    values = np.random.default_rng(0).normal(0.5, 0.02, 1000)
    assert not bootstrap.is_biased(0.5, values) and not bootstrap.is_biased(0.49, values)
    assert bootstrap.is_biased(0.45, values) and bootstrap.is_biased(0.55, np.append(values, np.nan))
    assert not bootstrap.is_biased(1.0, np.ones(5)) and not bootstrap.is_biased(0.0, np.full(5, np.nan))


def first_ap(matched, weights):
    """Average precision at IoU 0.5 alone."""
    return bootstrap.WeightedAP(matched, bootstrap.coco_curves(matched, [0]))(weights)


def population(rng, images):
    """Detections and objects of images that are easy or hard as a whole: dicts of arrays by image."""
    parts = {name: [] for name in ("images", "scores", "hits", "object_images")}
    for image in range(images):
        objects = rng.integers(1, 6)
        found = rng.binomial(objects, rng.beta(4, 2))
        strays = rng.poisson(2)
        parts["object_images"] += [image] * objects
        parts["images"] += [image] * (found + strays)
        parts["scores"] += [*rng.beta(5, 2, found), *rng.beta(2, 4, strays)]
        parts["hits"] += [HIT] * found + [MISS] * strays
    return {name: np.array(values) for name, values in parts.items()}


def sample(whole, chosen):
    """`Matches` of some images of the population, each as often as it was chosen."""

    def rows(images):
        bounds = np.searchsorted(images, [chosen, chosen + 1])
        places = [np.arange(*pair) for pair in bounds.T]
        return np.concatenate(places), np.repeat(np.arange(len(chosen)), bounds[1] - bounds[0])

    places, images = rows(whole["images"])
    _, object_images = rows(whole["object_images"])
    order = np.argsort(-whole["scores"][places], kind="stable")
    places, images = places[order], images[order]
    nothing, count = np.zeros(len(places), int), len(object_images)
    return matches.Matches(
        class_names=("object",),
        shapes=np.ones([len(chosen), 2], int),
        images=images,
        labels=nothing,
        scores=whole["scores"][places],
        boxes=np.zeros([len(places), 4]),
        verdicts=whole["hits"][places].astype(np.int8)[:, None],
        objects=nothing - 1,
        truth={
            "images": object_images,
            "labels": np.zeros(count, int),
            "boxes": np.zeros([count, 4]),
            "area": np.ones(count),
            "crowd": np.zeros(count, bool),
        },
    )


@pytest.mark.slow
def test_an_interval_of_95_percent_covers_the_truth_that_often():
    rng = np.random.default_rng(0)
    images, drawn, draws = 4000, 300, 2000
    whole = population(rng, images)
    ones = np.ones([1, images], np.int32)
    truth = first_ap(sample(whole, np.arange(images)), ones).item()
    weights = bootstrap.resamples(drawn, 300)
    inside = 0
    for _ in range(draws):
        ap = first_ap(sample(whole, rng.integers(0, images, drawn)), weights)
        low, high = bootstrap.interval(ap.reshape(-1))
        inside += low <= truth <= high
    assert 0.92 <= inside / draws <= 0.98
