"""The value of information against closed forms, and what it refuses."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm, qmc

from evaluation.errors import DataError
from evaluation.value import decision_population, value_of_information, why_no_information_value
from evaluation.value.metamodel import smoother

SPREADS = {"a": 2.0, "b": 1.0, "c": 0.5}
DRAWS = 2**16


def unit_loss(mean: float, spread: float) -> float:
    """Mean of max(x, 0) less max(mean, 0) for a normal x: the value of knowing it."""
    z = abs(mean) / spread
    return spread * (norm.pdf(z) - z * norm.sf(z))


@pytest.fixture(scope="module")
def two_arms() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Net benefit is normal: 1 day and three normal parts of it, cost 1,500 with standard deviation 200. Draws are balanced."""
    drawn = norm.ppf(qmc.Sobol(4, seed=3).random(DRAWS))
    parts = pd.DataFrame(drawn[:, :3] * list(SPREADS.values()), columns=list(SPREADS))
    cost = pd.DataFrame({"usual": 0.0, "mentor": 1_500 + 200 * drawn[:, 3]})
    return cost, pd.DataFrame({"usual": 0.0, "mentor": 1 + parts.sum(axis=1)}), parts


@pytest.mark.parametrize("value", [500.0, 1_000.0, 1_500.0, 2_500.0])
def test_everything_and_each_part_agree_with_the_normal_case(two_arms, value):
    cost, effect, parts = two_arms
    found = value_of_information(cost, effect, [value], parameters=parts, groups={"a and b": ["a", "b"]}).frame.set_index("parameter")
    mean = value - 1_500
    assert found["evpi"].iloc[0] == pytest.approx(unit_loss(mean, np.hypot(value * np.sqrt(5.25), 200)), rel=0.02)
    wanted = {name: unit_loss(mean, value * spread) for name, spread in SPREADS.items()} | {"a and b": unit_loss(mean, value * np.sqrt(5))}
    for name, answer in wanted.items():
        # Below a pound the answer is a tail of few draws; it is then held to 1% of the whole.
        assert found.loc[name, "evppi"] == pytest.approx(answer, rel=0.02, abs=0.01 * found["evpi"].iloc[0]), name


def test_parts_that_act_together_are_seen_together_only():
    """Net benefit is the product of two signs' worth: each alone says nothing, both say all."""
    random = np.random.default_rng(2)
    parts = pd.DataFrame(random.normal(size=(20_000, 2)), columns=["x", "y"])
    cost, effect = (pd.DataFrame({"usual": 0.0, "mentor": values}) for values in (np.zeros(20_000), parts["x"] * parts["y"]))
    found = value_of_information(cost, effect, [1.0], parameters=parts, groups={"both": ["x", "y"]}).frame.set_index("parameter")
    assert found.loc["both", "evppi"] == pytest.approx(found.loc["both", "evpi"], rel=0.02)
    assert found.loc["x", "evppi"] < 0.1 * found.loc["both", "evpi"]


def test_a_curve_is_followed_where_a_line_would_not_do():
    random = np.random.default_rng(4)
    x = random.uniform(-3, 3, 20_000)
    cost, effect = (pd.DataFrame({"usual": 0.0, "mentor": values}) for values in (np.zeros(20_000), x**2 - 3 + random.normal(size=20_000)))
    found = value_of_information(cost, effect, [1.0], parameters={"x": x}).frame.iloc[0]
    truth = 2 / 6 * ((9 - 9) - (np.sqrt(3) ** 3 / 3 - 3 * np.sqrt(3)))   # mean of max(x^2 - 3, 0) over the square, mean of x^2 - 3 is 0
    assert found["evppi"] == pytest.approx(truth, rel=0.02)


def test_a_parameter_with_few_values_is_taken_by_its_levels():
    random = np.random.default_rng(6)
    level = random.integers(0, 3, 50_000)
    worth = np.array([-2.0, 1.0, -1.0])
    cost, effect = (pd.DataFrame({"usual": 0.0, "mentor": values}) for values in (np.zeros(50_000), worth[level] + random.normal(size=50_000)))
    found = value_of_information(cost, effect, [1.0], parameters={"level": level}).frame.iloc[0]
    assert found["evppi"] == pytest.approx(1 / 3, rel=0.02)


def test_a_part_without_bearing_is_worth_nothing_and_none_more_than_everything(two_arms):
    cost, effect, parts = two_arms
    idle = np.random.default_rng(9).normal(size=DRAWS)
    found = value_of_information(cost, effect, [1_000.0], parameters=parts.assign(idle=idle, fixed=3.0)).frame.set_index("parameter")
    assert found.loc["idle", "evppi"] < 0.005 * found.loc["idle", "evpi"]
    assert found.loc["fixed", "evppi"] == 0
    assert (found["evppi"] <= found["evpi"] * 1.001).all()


def test_units_of_parameters_and_order_of_draws_do_not_matter(two_arms):
    cost, effect, parts = two_arms
    first = value_of_information(cost, effect, [1_000.0], parameters=parts).frame["evppi"]
    order = np.random.default_rng(1).permutation(DRAWS)
    again = value_of_information(cost.iloc[order], effect.iloc[order], [1_000.0], parameters=(1e4 * parts - 7).iloc[order]).frame["evppi"]
    np.testing.assert_allclose(first, again, rtol=1e-6)


def test_heavy_tails_do_not_break_the_regression():
    random = np.random.default_rng(8)
    days = 1 + random.standard_t(5, 20_000)
    cost, effect = (pd.DataFrame({"usual": 0.0, "mentor": values}) for values in (np.full(20_000, 120.0), days))
    found = value_of_information(cost, effect, [100.0], parameters={"days": days}).frame.iloc[0]
    assert found["evppi"] == pytest.approx(found["evpi"], rel=0.01)


def test_a_population_multiplies():
    cost, effect = (pd.DataFrame({"usual": [0.0, 0.0], "mentor": values}) for values in ([10.0, 10.0], [0.0, 3.0]))
    found = value_of_information(cost, effect, [10.0], population=200).frame.iloc[0]
    # Net benefit -10 or 20, mean 5: knowing is worth the loss of 10 avoided in half of cases
    assert (found["best"], found["evpi"], found["evpi_population"]) == ("mentor", pytest.approx(5.0), pytest.approx(1_000.0))
    assert decision_population(100, 3) == pytest.approx(100 * (1 + 1 / 1.035 + 1 / 1.035**2))


@pytest.mark.parametrize(("df", "test", "words"), [(4.9, "cr2_satterthwaite", "4.9 degrees of freedom"), (30, "randomisation", "randomisation inference"),
                                                   (float("nan"), None, "degrees of freedom"), (5.0, "cr2_satterthwaite", None), (12, None, None)])
def test_it_is_withheld_where_the_effect_gives_no_distribution(df, test, words):
    said = why_no_information_value(df=df, test=test)
    assert said is None if words is None else words in said


@pytest.mark.parametrize(
    ("parameters", "groups", "words"),
    [({"x": [1.0]}, None, "1 draws where cost and effect have 3"), ({"x": [1.0, np.nan, 2.0]}, None, "missing or infinite"),
     ({"x": [1.0, 2.0, 3.0]}, {"g": ["x", "y"]}, "names y"), ({"x": [1.0, 2.0, 3.0]}, {"x": ["x"]}, "has the name of a parameter"),
     (None, {"g": ["x"]}, "without the parameters")],
)
def test_parameters_that_do_not_fit_are_refused(parameters, groups, words):
    frame = pd.DataFrame({"usual": [0.0, 0.0, 0.0], "mentor": [1.0, 2.0, 3.0]})
    with pytest.raises(DataError, match=words):
        value_of_information(frame, frame, [1.0], parameters=parameters, groups=groups)


def test_too_many_parameters_or_too_few_draws_are_refused():
    drawn = np.random.default_rng(1).normal(size=(7, 40))
    with pytest.raises(DataError, match="one to 6"):
        smoother({str(place): row for place, row in enumerate(drawn)})
    with pytest.raises(DataError, match="supply more draws"):
        smoother({str(place): row for place, row in enumerate(drawn[:6])})
