"""Acceptability, frontier and expected loss: against BCEA and dampack on the reference draws, published numbers, and by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from evaluation.errors import DataError
from evaluation.value import acceptability, compare_strategies, value_of_information

REFERENCE = Path(__file__).parents[1] / "reference"
NAMES = ["usual", "mentor", "mentor_plus"]
EXACT = 1e-6
# dampack calls values within 1e-5 of each other tied and breaks ties at random: a draw or two of 2,000 can go the other way.
BROKEN_TIES = 1e-3


def reference_draws() -> tuple[pd.DataFrame, pd.DataFrame]:
    draws = pd.read_csv(REFERENCE / "data" / "psa.csv")
    return tuple(pd.DataFrame({name: draws[f"{what}_{name}"] for name in NAMES}) for what in ("cost", "effect"))


def results(name: str) -> pd.DataFrame:
    return pd.read_csv(REFERENCE / "results" / name)


def test_probabilities_frontier_and_information_agree_with_bcea():
    expected = results("bcea_k.csv")
    found = acceptability(*reference_draws(), expected["k"])
    wide = found.frame.pivot(index="threshold", columns="strategy", values="probability")
    for name, column in (("usual", "p_best_usual"), ("mentor", "p_best_mentor"), ("mentor_plus", "p_best_plus")):
        np.testing.assert_allclose(wide[name], expected[column], atol=EXACT)
    np.testing.assert_allclose(found.frontier["probability"], expected["ceaf"], atol=EXACT)
    assert found.frontier["strategy"].tolist() == expected["best"].tolist()
    np.testing.assert_allclose(value_of_information(*reference_draws(), expected["k"]).frame["evpi"], expected["evi"], atol=EXACT)


def test_pairs_agree_with_bcea():
    cost, effect = reference_draws()
    expected = results("bcea_k.csv")
    ratios = results("bcea_pairs.csv").set_index("comparison")
    for other, benefit, curve in (("usual", "eib_vs_usual", "ceac_vs_usual"), ("mentor_plus", "eib_vs_plus", "ceac_vs_plus")):
        pair = ["mentor", other]
        found = acceptability(cost[pair], effect[pair], expected["k"]).frame
        means = found.pivot(index="threshold", columns="strategy", values="mean_net_benefit")
        np.testing.assert_allclose(means["mentor"] - means[other], expected[benefit], atol=EXACT)
        np.testing.assert_allclose(found.loc[found["strategy"].eq("mentor"), "probability"], expected[curve], atol=EXACT)
        line = compare_strategies(cost[pair], effect[pair]).frame.iloc[1]
        assert line["icer"] == pytest.approx(ratios.loc[f"mentor vs {other}", "icer"], rel=EXACT)


def test_curves_losses_and_information_agree_with_dampack_up_to_its_random_ties():
    cost, effect = reference_draws()
    curve, loss, evpi = (results(f"dampack_{name}.csv") for name in ("ceac", "exploss", "evpi"))
    found = acceptability(cost, effect, evpi["k"])
    own = found.frame.rename(columns={"threshold": "k"}).set_index(["k", "strategy"]).sort_index()
    curve, loss = (table.set_index(["k", "strategy"]).sort_index() for table in (curve, loss))
    np.testing.assert_allclose(own["probability"], curve["proportion"], atol=BROKEN_TIES)
    np.testing.assert_allclose(own["expected_loss"], loss["expected_loss"], atol=BROKEN_TIES)
    assert own["on_frontier"].equals(curve["on_frontier"]) and own["on_frontier"].equals(loss["on_frontier"])
    np.testing.assert_allclose(value_of_information(cost, effect, evpi["k"]).frame["evpi"], evpi["evpi"], atol=BROKEN_TIES)
    # Near ties are said where dampack's answer is left to chance
    moved = {k for (k, _), apart in (own["probability"] - curve["proportion"]).items() if abs(apart) > 1e-9}
    assert moved and moved <= set(found.frontier.loc[found.frontier["near_tie"] > 0, "threshold"])


def test_the_vaccine_example(published):
    """Published with BCEA: ICER, expected benefit at 0, information and probability at four thresholds."""
    cost, effect = (pd.read_csv(published / "published" / f"vaccine_{what}.csv") for what in ("cost", "effect"))
    assert compare_strategies(cost, effect).frame["icer"].iloc[1] == pytest.approx(20097.5915, abs=5e-5)
    values = [0, 20_000, 20_100, 25_000, 30_000]
    found = acceptability(cost, effect, values)
    means = found.frame.pivot(index="threshold", columns="strategy", values="mean_net_benefit")
    assert means.loc[0, "1"] - means.loc[0, "0"] == pytest.approx(-5.035983, abs=EXACT)
    evpi = value_of_information(cost, effect, values).frame["evpi"]
    assert evpi.tolist() == pytest.approx([0.05620997, 2.505627, 2.526826, 2.414467, 2.373572], abs=EXACT)
    curve = found.frame.loc[found.frame["strategy"].eq("1")].set_index("threshold")["probability"]
    assert curve[[20_000, 25_000, 30_000]].tolist() == pytest.approx([0.457, 0.529, 0.586], abs=1e-12)


def test_three_draws_by_hand():
    cost = pd.DataFrame({"usual": [0.0, 0.0, 0.0, 0.0], "mentor": [100.0, 100.0, 100.0, 100.0]})
    effect = pd.DataFrame({"mentor": [3.0, 1.0, -1.0, 2.0], "usual": [0.0, 0.0, 0.0, 0.0]})
    found = acceptability(cost, effect, [0, 60])
    at = found.frame.loc[found.frame["threshold"].eq(60)].set_index("strategy")
    # Net benefit of the mentor: 80, -40, -160, 20; mean -25. The best of each: 80, 0, 0, 20; mean 25.
    assert at["probability"].to_dict() == {"usual": 0.5, "mentor": 0.5}
    assert at["mean_net_benefit"].to_dict() == {"usual": 0.0, "mentor": -25.0}
    assert at["expected_loss"].to_dict() == {"usual": 25.0, "mentor": 50.0}
    assert at["on_frontier"].to_dict() == {"usual": True, "mentor": False}
    assert found.frame.loc[found.frame["threshold"].eq(0), "probability"].tolist() == [1.0, 0.0]
    assert found.limits.set_index("strategy").loc["mentor", "probability_largest_effect"] == 0.75


def test_the_frontier_follows_the_mean_and_not_the_strategy_most_often_best():
    cost = pd.DataFrame({"usual": [0.0] * 4, "mentor": [10.0] * 4})
    effect = pd.DataFrame({"usual": [0.0] * 4, "mentor": [0.0, 0.0, 0.0, 9.0]})
    found = acceptability(cost, effect, [10.0])
    # Net benefit of the mentor: -10, -10, -10, 80; best in one draw of four, mean 12.5
    assert found.frontier[["strategy", "probability"]].iloc[0].tolist() == ["mentor", 0.25]


def test_the_curve_tends_to_its_limit_and_its_least_loss_is_the_information():
    cost, effect = reference_draws()
    found = acceptability(cost, effect, [0, 100, 1e9])
    last = found.frame.loc[found.frame["threshold"].eq(1e9)].set_index("strategy")["probability"]
    np.testing.assert_allclose(found.limits.set_index("strategy")["probability_largest_effect"].loc[last.index], last)
    least = found.frame.groupby("threshold")["expected_loss"].min()
    np.testing.assert_allclose(least, value_of_information(cost, effect, [0, 100, 1e9]).frame["evpi"], atol=1e-6)
    assert found.frame.groupby("threshold")["probability"].sum().tolist() == pytest.approx([1.0, 1.0, 1.0])


def test_probability_agrees_with_the_normal_distribution():
    random = np.random.default_rng(5)
    days = random.normal(2.0, 1.0, 200_000)
    cost, effect = (pd.DataFrame({"usual": 0.0, "mentor": values}) for values in (np.full(200_000, 300.0), days))
    found = acceptability(cost, effect, [100, 200, 400]).frame
    got = found.loc[found["strategy"].eq("mentor"), "probability"]
    assert got.tolist() == pytest.approx(norm.cdf((np.array([100, 200, 400]) * 2.0 - 300) / [100, 200, 400]).tolist(), abs=0.005)


def test_order_of_draws_columns_and_units_do_not_matter():
    cost, effect = reference_draws()
    first = acceptability(cost, effect, [100]).frame.set_index("strategy").sort_index()
    shuffled = np.random.default_rng(1).permutation(len(cost))
    again = acceptability(cost.iloc[shuffled, ::-1], effect.iloc[shuffled], [100]).frame.set_index("strategy").sort_index()
    pd.testing.assert_frame_equal(first, again, rtol=1e-12)
    pence = acceptability(100 * cost, effect, [10_000]).frame.set_index("strategy").sort_index()
    assert pence["probability"].equals(first["probability"])


def test_near_ties_of_strategies_are_said():
    def means(**pairs):
        return [pd.DataFrame({name: [float(pair[place])] for name, pair in pairs.items()}) for place in (0, 1)]

    assert compare_strategies(*means(a=(0, 0), b=(10, 1), c=(30, 2))).near_ties == ()
    (same,) = compare_strategies(*means(a=(0, 0), b=(10, 1), c=(10.00001, 1.0000005))).near_ties
    assert "`b` and `c` cost and do nearly the same" in same
    (line,) = compare_strategies(*means(a=(0, 0), b=(10, 1), c=(20.00001, 2))).near_ties
    assert "`b` lies nearly on the line between `a` and `c`" in line


@pytest.mark.parametrize("thresholds", [[], [-1], [float("nan")], [float("inf")]])
def test_thresholds_that_no_one_can_mean_are_refused(thresholds):
    with pytest.raises(DataError, match="thresholds"):
        acceptability(*reference_draws(), thresholds)
