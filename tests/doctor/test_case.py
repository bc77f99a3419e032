"""The commands that a finding proposes."""

import dataclasses

import pytest


@pytest.mark.parametrize(
    "trained, settings, proposed",
    [
        ("train --train voc:a@b --epochs 3", {"epochs": 3}, "train --train voc:a@b --epochs 24"),
        ("train --epochs 20", {"epochs": 20}, "train --epochs 40"),
        # 30 images make 8 updates an epoch, and 300 are little training.
        ("train", {"epochs": 3, "batch_size": 4}, "train --epochs 38"),
        ("train --steps 30 --train 'voc:a b@c'", {"steps": 30}, "train --train 'voc:a b@c' --steps 300"),
        ("train --steps=100", {"steps": 100}, "train --steps 400"),
    ],
)
def test_longer_training_counts_what_the_recipe_counts(case, trained, settings, proposed):
    given = case(recipe=dataclasses.replace(case().recipe, **settings), training_command=trained)
    assert given.retrain_longer() == proposed


def test_longer_training_without_a_recipe(case):
    assert case(recipe=None, training_command="train").retrain_longer() == "train --epochs 24"
