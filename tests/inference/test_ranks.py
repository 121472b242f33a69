"""The place of one effect among placebo effects."""

import numpy as np
import pandas as pd
import pytest

from evaluation.errors import DataError
from evaluation.inference import placebo_rank_test

PLACEBOS = [-3.0, -1.0, -0.5, 0.0, 0.2, 1.5, 2.5, 4.0, 0.1]


def test_ranks_by_hand():
    result = placebo_rank_test(-2.5, PLACEBOS)
    # As large either way: -3, 2.5, 4; as low: -3; as high: all but -3.
    assert (result.n, result.rank) == (9, 4)
    assert result.p_two_sided == pytest.approx(0.4)
    assert result.p_less == pytest.approx(0.2)
    assert result.p_greater == pytest.approx(0.9)
    assert result.floor == pytest.approx(0.1)


def test_the_largest_effect_stands_at_the_floor():
    result = placebo_rank_test(9, np.array(PLACEBOS))
    assert result.rank == 1
    assert result.p_two_sided == result.p_greater == result.floor
    assert result.p_less == 1


def test_floor_above_five_per_cent_is_said():
    assert "9 placebos" in placebo_rank_test(9, PLACEBOS).warnings[0]
    assert placebo_rank_test(9, np.arange(19)).warnings == ()
    assert placebo_rank_test(9, np.arange(18)).warnings != ()


def test_ties_up_to_rounding_count_against_the_effect():
    result = placebo_rank_test(0.3, [0.1 + 0.2 - 1e-16, -(0.1 + 0.2), 0.0])
    assert (result.p_two_sided, result.p_greater, result.p_less) == (0.75, 0.5, 1.0)


def test_order_does_not_matter_and_sign_swaps_sides():
    one = placebo_rank_test(1.2, PLACEBOS)
    assert one == placebo_rank_test(1.2, sorted(PLACEBOS))
    turned = placebo_rank_test(-1.2, [-value for value in PLACEBOS])
    assert (one.p_two_sided, one.p_greater, one.p_less) == (turned.p_two_sided, turned.p_less, turned.p_greater)


def test_p_values_are_uniform_when_the_effect_is_one_of_the_placebos():
    values = np.random.default_rng(1).normal(size=20)
    p_values = sorted(placebo_rank_test(values[i], np.delete(values, i)).p_two_sided for i in range(20))
    assert p_values == pytest.approx(np.arange(1, 21) / 20)


def test_frame_and_freezing():
    result = placebo_rank_test(-2.5, pd.Series(PLACEBOS))
    assert result.frame["alternative"].tolist() == ["two_sided", "greater", "less"]
    assert result.frame["rank"].tolist() == [4, 9, 2]
    assert result.frame["p_value"].tolist() == [0.4, 0.9, 0.2]
    assert "two_sided" in result._repr_html_()
    with pytest.raises(AttributeError):
        result.n = 3


@pytest.mark.parametrize(
    ("effect", "placebos", "message"),
    [
        (1.0, pd.Series([0.1, np.nan, np.nan], index=["a", "b", "c"]), "placebo b: 2 placebo effects are missing"),
        (1.0, [0.1, np.inf], "placebo 1: 1 placebo effect is missing or infinite"),
        (1.0, pd.Series([0.1, None], dtype="Float64"), "placebo 1"),
        (np.nan, [0.1], "the effect is missing or infinite"),
        (1.0, [], "no placebo effect"),
        (1.0, ["much"], "must be numbers"),
    ],
)
def test_what_cannot_be_ranked_is_refused(effect, placebos, message):
    with pytest.raises(DataError, match=message) as refusal:
        placebo_rank_test(effect, placebos)
    assert refusal.value.mend
