"""Operations are timed only where both sides answer the same."""

import types

import numpy as np
import pytest


@pytest.mark.parametrize(
    "wrong, same, timed", [(0, True, True), (1, True, True), (5, True, False), (5, False, True)]
)
def test_other_answers_are_not_timed(benchmark_module, tmp_path, wrong, same, timed):
    operations = benchmark_module("operations")

    def side(values):
        def call(called, file=None, **_):
            if called == "answer":
                np.savez(file, values=values)

        return types.SimpleNamespace(call=call)

    values = np.ones(1000)
    other = np.where(np.arange(1000) < wrong, 2.0, values)
    workers = {operations.OURS: side(values), operations.PEER: side(other)}
    turns = []

    def in_turns(names, *_, **__):
        turns.extend(names)
        return {name: [1.0] for name in names}, 0.0

    sides = types.SimpleNamespace(workers=workers, in_turns=in_turns)
    if timed:
        row = operations.row(sides, tmp_path, 1, "NMS", False, same)
        assert row["agreement"] == ((1 - wrong / 1000) if same else None)
    else:
        with pytest.raises(
            SystemExit, match="Only 99.500% of the numbers of NMS are equal; it is not timed."
        ):
            operations.row(sides, tmp_path, 1, "NMS", False, same)
    assert bool(turns) == timed


def test_answers_of_other_shapes_do_not_agree(benchmark_module):
    assert benchmark_module("operations").agreement(np.ones([2, 3]), np.ones([1, 3])) == 0.0
