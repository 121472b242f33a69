"""Fieller's set in its three shapes, each against the test that it inverts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t as student

from evaluation.errors import DataError
from evaluation.value import fieller_set

GRID = np.concatenate([np.linspace(-20_000, 20_000, 8_001), np.linspace(-300, 300, 2_401)])


def kept_by_the_test(ratio, cost, cost_se, effect, effect_se, df, level, covariance=0.0):
    """Whether a two-sided t test of cost - ratio * effect = 0 does not reject."""
    statistic = np.abs(cost - ratio * effect)
    error = np.sqrt(cost_se**2 - 2 * ratio * covariance + ratio**2 * effect_se**2)
    return statistic <= student.ppf(0.5 + level / 2, df) * error


@pytest.mark.parametrize(
    ("cost", "cost_se", "effect", "effect_se", "df", "form"),
    [
        (900.0, 50.0, 2.0, 0.5, 12, "interval"),    # the effect's interval excludes zero
        (900.0, 0.0, 2.0, 0.5, 12, "interval"),     # cost known exactly
        (900.0, 50.0, -2.0, 0.5, 12, "interval"),   # worse attendance: an interval of negative ratios
        (900.0, 50.0, 0.8, 0.7, 12, "outside"),     # includes zero: two rays
        (900.0, 0.0, -0.3, 0.7, 12, "outside"),
        (30.0, 50.0, 0.3, 0.7, 12, "all"),          # neither cost nor effect can be told from zero
    ],
)
def test_the_set_holds_exactly_the_ratios_that_the_test_keeps(cost, cost_se, effect, effect_se, df, form):
    found = fieller_set(cost, cost_se, effect, effect_se, df=df)
    assert found.form == form
    kept = kept_by_the_test(GRID, cost, cost_se, effect, effect_se, df, 0.95)
    assert kept.any()
    assert [bool(k) for k in kept] == [ratio in found for ratio in GRID]


def test_a_covariance_is_used():
    args = (900.0, 80.0, 2.0, 0.5)
    found = fieller_set(*args, df=9, covariance=25.0)
    kept = kept_by_the_test(GRID, *args, 9, 0.95, covariance=25.0)
    assert [bool(k) for k in kept] == [ratio in found for ratio in GRID]
    assert found.high != pytest.approx(fieller_set(*args, df=9).high, rel=1e-3)


def test_a_known_cost_gives_the_cost_over_the_limits_of_the_effect():
    reach = student.ppf(0.975, 12) * 0.5
    found = fieller_set(900.0, 0.0, 2.0, 0.5, df=12)
    assert (found.low, found.high) == pytest.approx((900 / (2 + reach), 900 / (2 - reach)))
    wide = fieller_set(900.0, 0.0, 0.8, 0.5, df=12)
    assert (wide.low, wide.high) == pytest.approx((900 / (0.8 - reach), 900 / (0.8 + reach)))


def test_an_interval_that_touches_zero_leaves_one_ray():
    point = float(student.ppf(0.975, 10))
    found = fieller_set(900.0, 0.0, point * 0.5, 0.5, df=10)
    assert found.form == "from"
    assert found.low == pytest.approx(900 / (2 * point * 0.5))
    assert found.sentence() == "£404 or above"
    mirrored = fieller_set(900.0, 0.0, -point * 0.5, 0.5, df=10)
    assert (mirrored.form, mirrored.high) == ("up_to", pytest.approx(-found.low))


@settings(max_examples=200, deadline=None)
@given(cost=st.floats(1, 5_000), cost_se=st.floats(0, 500), effect=st.floats(-5, 5), effect_se=st.floats(0.01, 5), df=st.floats(1.5, 100))
def test_the_estimate_is_always_inside_and_the_form_follows_the_effects_interval(cost, cost_se, effect, effect_se, df):
    found = fieller_set(cost, cost_se, effect, effect_se, df=df)
    if abs(effect) > 1e-6:
        assert cost / effect in found
    reach = student.ppf(0.975, df) * effect_se
    if abs(abs(effect) - reach) > 1e-9:
        assert found.bounded == (abs(effect) > reach)


def test_scaling_moves_the_limits_and_keeps_the_form():
    found = fieller_set(900.0, 50.0, 2.0, 0.5, df=12)
    scaled = found.scaled(0.01)
    assert (scaled.low, scaled.high, scaled.form) == (found.low * 0.01, found.high * 0.01, "interval")
    with pytest.raises(DataError):
        found.scaled(0)


@pytest.mark.parametrize("broken", [{"effect_se": 0.0}, {"effect_se": float("nan")}, {"df": 0.0}, {"cost_se": -1.0}])
def test_an_effect_without_uncertainty_is_refused(broken):
    given_values = {"cost": 900.0, "cost_se": 0.0, "effect": 2.0, "effect_se": 0.5, "df": 10.0} | broken
    with pytest.raises(DataError, match="Fieller set|standard errors"):
        fieller_set(**given_values)
