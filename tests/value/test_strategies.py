"""Dominance and extended dominance, by hand and against published cost-effectiveness examples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evaluation.errors import DataError
from evaluation.value import compare_strategies


REFERENCE = Path(__file__).parents[1] / "reference"


def means(**strategies: tuple[float, float]) -> tuple[pd.DataFrame, pd.DataFrame]:
    return (pd.DataFrame({k: [float(v[0])] for k, v in strategies.items()}), pd.DataFrame({k: [float(v[1])] for k, v in strategies.items()}))


def statuses(frame: pd.DataFrame) -> dict[str, str]:
    return dict(zip(frame["strategy"], frame["status"], strict=True))


def test_six_strategies_with_both_kinds_of_dominance():
    """Published example: UC, B, D, E on the frontier; C extendedly dominated, A dominated."""
    found = compare_strategies(*means(UC=(5000, 1), B=(10000, 2), A=(12000, 1.5), C=(25000, 3), D=(35000, 4), E=(55000, 5))).frame
    assert statuses(found) == {"UC": "ND", "B": "ND", "D": "ND", "E": "ND", "C": "ED", "A": "D"}
    assert found["strategy"].tolist() == ["UC", "B", "D", "E", "C", "A"]
    assert found["icer"].tolist()[1:4] == pytest.approx([5000, 12500, 20000])
    assert found["icer"].isna().tolist() == [True, False, False, False, True, True]


def test_the_hiv_example():
    """Published example: 37,500, 58,285.71 and 100,800 a year of life; the last strategy dominated."""
    cost = pd.DataFrame([[26000.0, 27000.0, 28020.0, 28440.0, 29440.0]], columns=list("abcde"))
    effect = pd.DataFrame([[277.25, 277.57, 277.78, 277.83, 277.76]], columns=list("abcde")) / 12
    found = compare_strategies(cost, effect).frame
    assert found["icer"].tolist()[1:4] == pytest.approx([37500, 58285.714, 100800], rel=1e-6)
    assert statuses(found)["e"] == "D"


def test_the_c_difficile_example(published):
    folder = published / "published"
    found = compare_strategies(pd.read_csv(folder / "cdiff_cost.csv"), pd.read_csv(folder / "cdiff_effect.csv")).frame
    frontier = found.loc[found["status"].eq("ND")]
    assert frontier["strategy"].tolist() == ["s3", "s27", "s33", "s31", "s43", "s44"]
    assert frontier["icer"].tolist()[1:] == pytest.approx([2769.855, 4065.031, 5056.222, 8504.216, 38362.652], abs=5e-4)
    rest = statuses(found.loc[found["status"].ne("ND")])
    assert rest == {"s39": "ED", "s4": "D", "s13": "D", "s37": "D", "s20": "D"}


@pytest.mark.parametrize("case", ["dampack_icers.csv", "dampack_icers_dominance.csv"])
def test_the_reference_draws_with_and_without_dominated_strategies(case):
    """Computed by dampack 1.0.2.1000 on 2,000 draws; the second case adds two strategies given by their means alone."""
    draws = pd.read_csv(REFERENCE / "data" / "psa.csv")
    expected = pd.read_csv(REFERENCE / "results" / case).set_index("strategy")
    cost, effect = ({name: draws[f"{what}_{name}"] for name in ("usual", "mentor", "mentor_plus")} for what in ("cost", "effect"))
    for name in expected.index.difference(list(cost)):
        cost[name], effect[name] = expected.loc[name, "cost"], expected.loc[name, "effect"]
    found = compare_strategies(pd.DataFrame(cost), pd.DataFrame(effect)).frame.set_index("strategy").loc[expected.index]
    np.testing.assert_allclose(found["mean_cost"], expected["cost"], rtol=1e-10)
    np.testing.assert_allclose(found["mean_effect"], expected["effect"], rtol=1e-10)
    # Ratios are of small differences between means: 1e-8 relative is all that nine printed decimals give.
    np.testing.assert_allclose(found["icer"], expected["icer"], rtol=1e-8)
    assert found["status"].tolist() == expected["status"].tolist()


def test_removing_one_strategy_can_bring_down_the_one_before_it():
    # D's ratio (10) is below C's (30): C goes; then B's ratio (20) is above D's from A's side: B goes too.
    found = compare_strategies(*means(A=(0, 0), B=(20, 1), C=(50, 2), D=(51, 3))).frame
    assert statuses(found) == {"A": "ND", "D": "ND", "B": "ED", "C": "ED"}
    assert found.loc[1, "icer"] == pytest.approx(17)


def test_every_strategy_off_the_frontier_lies_above_it():
    random = np.random.default_rng(7)
    for _ in range(50):
        cost, effect = (pd.DataFrame([random.uniform(0, 100, 8)], columns=list("abcdefgh")) for _ in range(2))
        found = compare_strategies(cost, effect).frame
        frontier = found.loc[found["status"].eq("ND")]
        assert (frontier["icer"].dropna().diff().dropna() > 0).all()
        for row in found.loc[found["status"].ne("ND")].itertuples():
            reachable = np.interp(row.mean_effect, frontier["mean_effect"], frontier["mean_cost"])
            assert row.mean_cost > reachable
            others = found.loc[found["strategy"].ne(row.strategy)]
            beaten = (others["mean_cost"].le(row.mean_cost) & others["mean_effect"].ge(row.mean_effect)).any()
            assert beaten == (row.status == "D")


def test_equal_cost_keeps_the_larger_effect_and_exact_equals_keep_the_first():
    assert statuses(compare_strategies(*means(a=(10, 1), b=(10, 2))).frame) == {"a": "D", "b": "ND"}
    assert statuses(compare_strategies(*means(first=(10, 1), second=(10, 1))).frame) == {"first": "ND", "second": "D"}


def test_draws_are_averaged_and_columns_matched_by_name():
    cost = pd.DataFrame({"usual": [0.0, 0.0], "mentor": [900.0, 1100.0]})
    effect = pd.DataFrame({"mentor": [3.0, 5.0], "usual": [2.0, 2.0]})
    found = compare_strategies(cost, effect).frame
    assert found.loc[1, ["strategy", "mean_cost", "mean_effect", "icer"]].tolist() == ["mentor", 1000.0, 4.0, 500.0]


@pytest.mark.parametrize(
    ("cost", "effect", "words"),
    [
        ({"a": [1.0]}, {"b": [1.0]}, "same strategies"),
        ({"a": [1.0, 2.0]}, {"a": [1.0]}, "2 draws of cost and 1 of effect"),
        ({"a": [float("nan")]}, {"a": [1.0]}, "missing or infinite"),
        ({}, {}, "0 draws"),
    ],
)
def test_what_cannot_be_compared_is_refused(cost, effect, words):
    with pytest.raises(DataError, match=words):
        compare_strategies(pd.DataFrame(cost), pd.DataFrame(effect))
