"""Size of the tests by school and coverage of their intervals, with few schools, unequal sizes, school shocks and matching weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from evaluation.inference import linear, randomisation_test
from tests.results_page import read_part

from . import inference_size
from .inference_size import (
    DRAWS,
    ENOUGH_DF,
    FIXED_DESIGNS,
    LAYOUTS,
    LEAST_COVERAGE,
    LEVEL,
    METHODS,
    PART,
    RANDOMISATION,
    RESULTS,
    TERMS,
    draw_outcome,
    error,
    make_pupils,
    read,
    replicate,
    results_text,
    run,
    run_all,
)

# Size of CR2 where it has at least ENOUGH_DF degrees of freedom; with 3 treated schools of 40 it is cautious or a little above.
LEAST_SIZE, MOST_SIZE, MOST_SIZE_OF_THREE = 0.01, 0.07, 0.08
# Fewer or more than this share of binomial draws would fall outside: once in a thousand.
RARE = 0.001
# Two routes of our own through one problem differ by rounding only.
ROUNDING = 1e-9
SMALL = 120


@pytest.fixture(scope="module")
def full():
    return run_all()


@pytest.mark.slow
def test_size_of_cr2_where_it_has_degrees_of_freedom(full):
    cr2 = full[0].query("method == 'CR2'").set_index("layout")
    enough = cr2[cr2["df"] >= ENOUGH_DF]
    assert set(enough.index) >= {"40/20", "16/8"}
    assert enough["rejected"].between(LEAST_SIZE, MOST_SIZE).all()
    assert cr2.loc["40/3", "rejected"] <= MOST_SIZE_OF_THREE


@pytest.mark.slow
def test_size_of_randomisation_inference(full):
    rows = full[0][full[0]["method"].str.startswith("randomisation")]
    assert len(rows) == 2 * len(LAYOUTS)
    assert (rows["rejected"] <= LEVEL + 2 * error(LEVEL, int(rows["replications"].iloc[0]))).all()


@pytest.mark.slow
def test_coverage_of_the_tests_that_decide(full):
    for runs in full[:2]:
        decides = runs[(runs["method"] == "CR2") & (runs["df"] >= ENOUGH_DF)]
        assert (decides["held"] >= LEAST_COVERAGE).all()
    randomisation = full[0][full[0]["method"].str.startswith("randomisation")]  # exact for an effect that does not vary
    assert (randomisation["held"] >= LEAST_COVERAGE).all()


@pytest.mark.slow
def test_designs_held_fixed_are_printed_for_both_ways_of_weighting(full):
    fixed = full[2][full[2]["method"].isin(RANDOMISATION)]
    assert len(fixed) == 2 * FIXED_DESIGNS and (fixed["replications"] == full[0]["replications"].iloc[0]).all()
    assert fixed["rejected"].nunique() > 2  # designs differ, so that one alone would say little


@pytest.mark.slow
def test_the_printed_results_are_those_of_this_code(full):
    assert read_part(RESULTS, PART) == results_text(*full), "regenerate it: python -m tests.simulation.inference_size"


# In the fast tier: few replications, and that the fast path is the one that users take


@pytest.mark.parametrize("layout", [LAYOUTS[2], LAYOUTS[3]], ids=lambda layout: layout.name)
def test_a_few_replications_are_within_chance_of_the_gates(layout):
    runs = run(layout, SMALL).set_index("method")
    most = {"CR2": MOST_SIZE, "randomisation": LEVEL, "randomisation_shares": LEVEL}
    for method, share in most.items():
        assert runs.loc[method, "rejected"] * SMALL <= binom.isf(RARE, SMALL, share), method
        assert runs.loc[method, "held"] * SMALL >= binom.ppf(RARE, SMALL, LEAST_COVERAGE), method
    assert runs.loc["CR1", "rejected"] >= runs.loc["CR2", "rejected"]


@pytest.mark.parametrize("effect", [0.0, 2.0])
def test_each_replication_is_what_the_public_functions_give(effect):
    pupils = make_pupils(LAYOUTS[3])
    columns, unscaled = read(pupils), read(pupils, "share")
    outcome = draw_outcome(columns, np.random.default_rng(1), effect, 1.0)
    found = replicate(replace(columns, outcome=outcome), replace(unscaled, outcome=outcome), effect, seed=1)
    data = pupils.assign(outcome=outcome)  # pupils are in order of school, as the estimators sort them
    shifted = data.assign(outcome=outcome - effect * data["treated"])
    for kind in ("CR2", "CR1"):
        fit = linear(shifted, "outcome", TERMS, weights="weight", absorb="area", cluster="school", kind=kind)
        row = fit.frame.iloc[0]
        assert [found[kind]["p"], found[kind]["df"]] == pytest.approx([row["p_value"], row["df"]], rel=ROUNDING)
        assert found[kind]["held"] == (row["conf_low"] <= 0 <= row["conf_high"])
    test = fit.wild_test("treated", draws=DRAWS, seed=1)
    assert found["wild"]["p"] == test.p_value and found["wild_with_ties"]["p"] == test.p_value_with_ties
    assert found["wild"]["held"] == (test.conf_low <= 0 <= test.conf_high)
    fit = linear(shifted, "outcome", TERMS, weights="share", absorb="area", cluster="school")
    assert found["wild_shares"]["p"] == fit.wild_test("treated", draws=DRAWS, seed=1).p_value
    for method, weights in (("randomisation", "weight"), ("randomisation_shares", "share")):
        dealt = randomisation_test(data, "outcome", "treated", cluster="school", block="area", covariates="prior_absence", weights=weights,
                                   null=effect, draws=DRAWS)  # fmt: skip
        assert dealt.enumerated and found[method]["p"] == dealt.p_value
        assert found[method]["held"] == (dealt.conf_low <= effect <= dealt.conf_high)


def test_weights_are_those_of_matching():
    for layout in LAYOUTS:
        pupils = make_pupils(layout)
        totals = pupils.pivot_table(index="area", columns="treated", values="weight", aggfunc="sum")
        np.testing.assert_allclose(totals[0.0], totals[1.0])
        assert (pupils.loc[pupils["treated"] == 1, "weight"] == 1).all()
        assert pupils.groupby("treated")["school"].nunique().tolist() == [layout.schools - layout.treated, layout.treated]
        assert pupils.groupby("school").size().nunique() > 5


def page_runs(held=0.96, rejected=0.04):
    return pd.DataFrame([(layout.name, method, 100, rejected, held, 7.25) for layout in LAYOUTS for method in METHODS],
                        columns=["layout", "method", "replications", "rejected", "held", "df"])  # fmt: skip


def fixed_runs():
    return pd.concat([page_runs(rejected=share).query("layout == '40/3'").assign(design=number) for number, share in ((1, 0.07), (2, 0.05))])


def test_the_page_prints_every_layout_and_method():
    text = results_text(page_runs(), page_runs(), fixed_runs())
    assert "| Method | 40/20 | 40/6 | 16/8 | 12/4 | 40/3 |" in text
    assert text.count("| CR2, Satterthwaite df | 4.0% |") == 1 and text.count("| CR2, Satterthwaite df | 96.0% |") == 1
    assert "*7.2*" in text and "Monte Carlo standard error of 5%: 2.18%" in text
    for name in METHODS.values():
        assert text.count(f"| {name} | 4.0% |") == 1


def test_the_page_prints_designs_held_fixed_and_their_mean():
    text = results_text(page_runs(), page_runs(), fixed_runs())
    assert "| Method | design 1 | design 2 | mean |" in text
    assert text.count(" | 7.0% | 5.0% | 6.0% |") == 2


def test_the_page_names_coverage_that_falls_short():
    mixed = page_runs()
    assert "None of the methods that decide is below 93%." in results_text(page_runs(), mixed, fixed_runs())
    mixed.loc[(mixed["layout"] == "40/3") & (mixed["method"] == "randomisation"), "held"] = 0.929
    mixed.loc[mixed["method"] == "wild", "held"] = 0.5
    mixed.loc[(mixed["layout"] == "12/4") & (mixed["method"] == "CR2"), ["held", "df"]] = 0.9, 4.9  # does not decide there
    assert "Below 93%, of the methods that decide: randomisation with scaled weights at 40/3 (92.9%). Recommended" in results_text(
        page_runs(), mixed, fixed_runs())  # fmt: skip


def test_a_design_held_fixed_is_one_design(monkeypatch):
    made = []
    monkeypatch.setattr(inference_size, "make_pupils", lambda layout, seed: made.append(seed) or make_pupils(layout, seed))
    run(LAYOUTS[3], 3, per_design=3)
    run(LAYOUTS[3], 3, per_design=1)
    assert made == [20_260, 20_260, 20_261, 20_262]
