"""Regression to the mean: with no effect at all the registered estimators say so and the tempting ones do not; the page is of this code."""

from functools import lru_cache

import numpy as np
import pandas as pd
import pytest

from tests.results_page import read_part

from .regression_to_the_mean import (
    CLAIMED,
    CLAIMED_A,
    CORRELATIONS,
    NAIVE_RULES,
    PART,
    PRINTED,
    REGISTERED,
    RESULTS,
    RULES,
    draw_pupils,
    inside_printed,
    run_all,
    run_one,
    summarise,
)

# Few replications in the fast tier: an estimate's standard deviation is at most 0.9 here, so that a mean over them strays by less than this.
FEW, NEAR_ZERO = 5, 1.2


@lru_cache
def few(correlation: float, rule: str) -> pd.DataFrame:
    return pd.DataFrame([run_one(correlation, rule, replicate) for replicate in range(FEW)])


@pytest.mark.parametrize(("correlation", "rule"), [(0.2, "level"), (0.9, "window")])
def test_only_symmetric_comparisons_by_the_same_rule_see_no_effect_where_there_is_none(correlation, rule):
    found = few(correlation, rule).mean(numeric_only=True)
    assert found[["symmetric", *REGISTERED]].abs().max() < NEAR_ZERO
    assert found["before_after"] > 2.3 and found["any_pupil"] < -NEAR_ZERO


def test_the_window_as_baseline_flatters_or_hides_by_what_referral_follows():
    assert few(0.2, "level")["window_as_baseline"].mean() < -0.3 < 0.3 < few(0.9, "window")["window_as_baseline"].mean()


def test_private_knowledge_biases_the_effect_on_referred_pupils_and_not_the_offer():
    pupils = {rule: few(0.2, rule).mean(numeric_only=True) for rule in ("decline", "engagement")}
    assert pupils["decline"]["referred"] < -NEAR_ZERO < NEAR_ZERO < pupils["engagement"]["referred"]
    assert max(abs(p["offer"]) for p in pupils.values()) < NEAR_ZERO


def test_one_replicate_draws_the_same_pupils_under_every_rule_and_nobody_is_referred_elsewhere():
    one, two = (draw_pupils(np.random.SeedSequence(1), 0.6, rule) for rule in ("level", "decline"))
    pd.testing.assert_frame_equal(one.drop(columns="referred"), two.drop(columns="referred"))
    assert (one["referred"] != two["referred"]).any()
    assert not one.loc[(one["mentor_school"] == 0) | ~one["eligible"], "referred"].any()
    assert one["eligible"].equals(one[0] > 10.0)


def test_processes_change_nothing():
    settings = [(0.6, "decline")]
    pd.testing.assert_frame_equal(run_all(settings, replications=2, processes=1), run_all(settings, replications=2, processes=2))


@pytest.fixture(scope="module")
def printed() -> pd.DataFrame:
    """Bias and Monte Carlo standard error as the page prints them, by correlation, rule and design."""
    rows = [line.strip("| ").split(" | ") for line in read_part(RESULTS, PART).splitlines() if line.startswith("| ") and "±" in line]
    found = {}
    titles = {title: design for design, (title, _) in PRINTED.items()} | {title: design for design, title in REGISTERED.items()}
    for cells in rows:
        rule = next((r for r, words in RULES.items() if words == cells[0]), None)
        design = titles[cells[1]] if rule else next(d for t, d in titles.items() if cells[0].startswith(t))
        settings = [(c, rule) for c in CORRELATIONS] if rule else [(c, r) for c in CORRELATIONS for r in NAIVE_RULES]
        for (correlation, by), cell in zip(settings, cells[2 if rule else 1:], strict=True):
            found[correlation, by, design] = [float(part) for part in cell.split(" ± ")]
    return pd.DataFrame.from_dict(found, orient="index", columns=["bias", "bias_se"]).set_index(pd.MultiIndex.from_tuples(found))


def test_the_printed_biases_are_what_is_claimed(printed):
    six = printed.loc[[(c, r, d) for c in CORRELATIONS for r in NAIVE_RULES for d in ("symmetric", *REGISTERED)]]
    assert len(six) == 18 and six["bias"].abs().max() < CLAIMED
    for design, (_, bounds) in PRINTED.items():
        assert inside_printed(printed, design, bounds), design
    offer = printed.loc[[(c, r, "offer") for c in CORRELATIONS for r in RULES]]
    assert (offer["bias"].abs() < CLAIMED_A + 2 * offer["bias_se"]).all()


@pytest.mark.slow
def test_the_printed_results_are_those_of_this_code():
    """One setting of each kind, in full; the command regenerates them all."""
    page = read_part(RESULTS, PART)
    runs = summarise(run_all([(0.6, "decline")]))
    for design in REGISTERED:
        cell = f"{runs.at[(0.6, 'decline', design), 'bias']:+.2f} ± {runs.at[(0.6, 'decline', design), 'bias_se']:.2f}"
        line = next(text for text in page.splitlines() if text.startswith(f"| {RULES['decline']} | {REGISTERED[design]}"))
        assert cell == line.strip("| ").split(" | ")[2 + CORRELATIONS.index(0.6)]
    runs = summarise(run_all([(0.2, "level")]))
    for design in (*PRINTED, *REGISTERED):
        title = PRINTED[design][0] if design in PRINTED else REGISTERED[design]
        line = next(text for text in page.splitlines() if text.startswith(f"| {title}"))
        assert line.strip("| ").split(" | ")[1] == f"{runs.at[(0.2, 'level', design), 'bias']:+.2f} ± {runs.at[(0.2, 'level', design), 'bias_se']:.2f}"
