"""The commands that a finding proposes."""

import dataclasses

import pytest


@pytest.mark.parametrize(
    "trained, steps, proposed",
    [
        ("train --train voc:a@b --epochs 3", 0, "train --train voc:a@b --epochs 24"),
        ("train --steps 30 --train 'voc:a b@c'", 30, "train --train 'voc:a b@c' --steps 300"),
        ("train --steps=100", 100, "train --steps 400"),
    ],
)
def test_longer_training_counts_what_the_recipe_counts(case, trained, steps, proposed):
    usual = case()
    given = case(recipe=dataclasses.replace(usual.recipe, steps=steps), training_command=trained)
    assert given.retrain_longer(24) == proposed
