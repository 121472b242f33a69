"""The choice of pupils that would explain the effect away: by hand, and that doing what it says takes the effect away."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from evaluation.impact import estimate_change
from evaluation.impact.judge import interval
from evaluation.impact.selection import ALREADY, INCLUDES_ZERO, REACHES, ZERO, largest_bias, referral_selection, spread_of_changes

PLACEBOS = pd.DataFrame([("placebo start", "B", 0.4), ("placebo cohort", "A", -0.9), ("placebo referral", "B", np.nan)], columns=["check", "analysis", "estimate"])


def leading(drawn):
    return next(item for item in drawn.found if item.comparison.estimand == "B" and item.comparison.headline and item.share == 1.0)


def decided(item, estimate, low, high):
    return replace(item, decision=replace(item.decision, estimate=estimate, conf_low=low, conf_high=high))


@pytest.mark.parametrize(("interval_of", "points", "first"), [
    ((1.2, 0.3, 2.1), 1.2, 0.3), ((-1.2, -2.0, -0.5), -1.2, -0.5), ((1.2, -0.3, 2.7), 1.2, 0.0), ((1.2, -np.inf, 2.0), 1.2, 0.0), ((1.2, 0.4, np.inf), 1.2, 0.4),
])  # fmt: skip
def test_it_is_the_estimate_and_the_limit_next_to_zero(drawn, interval_of, points, first):
    table = referral_selection([decided(leading(drawn), *interval_of)], PLACEBOS).set_index("reaches")
    assert table.index.tolist() == list(REACHES)
    assert table.loc[ZERO, "points"] == pytest.approx(points, abs=1e-12) and table.loc[INCLUDES_ZERO, "points"] == pytest.approx(first, abs=1e-12)
    assert (table.loc[INCLUDES_ZERO, "text"] == ALREADY) == (first == 0.0)
    assert table["times_placebo"].tolist() == pytest.approx([abs(points) / 0.9, abs(first) / 0.9])
    assert table["placebo"].eq("placebo cohort").all() and table["placebo_bias"].eq(-0.9).all()
    assert (table["share_of_sd"] * table["sd_of_changes"]).tolist() == pytest.approx([abs(points), abs(first)])


def test_a_change_of_so_many_points_without_a_mentor_takes_the_effect_and_then_its_interval_to_zero(drawn):
    item = leading(drawn)
    table = referral_selection(drawn.found, PLACEBOS).set_index(["analysis", "reaches"])["points"]
    assert item.decision.test == "cr2_satterthwaite" and item.interval[0] > 0, "the drawn trial has an effect to explain away"
    for reaches, held in ((ZERO, lambda e, ends: e), (INCLUDES_ZERO, lambda e, ends: ends[0])):
        rows = item.change.rows.copy()
        rows["change"] += rows["treated"] * table[item.comparison.key, reaches]  # absence: what they would have gained anyway is taken back
        again = estimate_change(rows, within_area=item.comparison.within_area, weight="weight")
        assert held(again.estimate, interval(again, drawn.rules.confidence_level)) == pytest.approx(0.0, abs=1e-9)


def test_only_leading_effects_on_referred_pupils_not_divided_by_a_share_are_there(drawn):
    table = referral_selection(drawn.found, PLACEBOS)
    expected = [item.comparison.key for item in drawn.found if item.comparison.headline and item.comparison.level == "referred" and item.comparison.estimand == "B"]
    assert expected and table["analysis"].drop_duplicates().tolist() == expected


def test_the_spread_is_that_of_comparison_pupils_with_weights_as_frequencies():
    rows = pd.DataFrame({"treated": [1, 0, 0, 0], "weight": [1.0, 2.0, 1.0, 1.0], "change": [50.0, 1.0, 4.0, 6.0]})
    assert spread_of_changes(rows, "change") == pytest.approx(np.std([1.0, 1.0, 4.0, 6.0]))
    assert spread_of_changes(rows.iloc[[3, 1, 0, 2]], "change") == pytest.approx(spread_of_changes(rows, "change"), rel=1e-14)


def test_without_a_placebo_that_gave_a_number_nothing_is_set_beside(drawn):
    none = PLACEBOS.assign(estimate=np.nan)
    assert largest_bias(none)[0] is None
    table = referral_selection(drawn.found, none)
    assert table[["placebo", "placebo_bias", "times_placebo"]].isna().all(axis=None) and table["points"].notna().all()
