"""Group-time effects on published data: county teen employment (mpdta), fast-food employment (Card and Krueger 1994)."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from evaluation.impact import group_time_effects

PRINTED_4 = 5e-5  # numbers printed with four decimals
PRINTED_7 = 5.1e-8  # with seven; R stops its logit early, which moves the tenth


@pytest.fixture(scope="module")
def counties(published) -> pd.DataFrame:
    return pd.read_csv(published / "published" / "mpdta.csv")


def _fit(counties, **options):
    return group_time_effects(counties, "lemp", unit="countyreal", time="year", start="first.treat", **options)


def test_counties_without_covariates(counties):
    fit = _fit(counties)
    effects = fit.frame.set_index(["start", "time"])["estimate"]
    want = {2004: [-0.0105, -0.0704, -0.1373, -0.1008], 2006: [0.0065, -0.0028, -0.0046, -0.0412], 2007: [0.0305, -0.0027, -0.0311, -0.0261]}
    for start, values in want.items():
        np.testing.assert_allclose(effects.loc[start], values, rtol=0, atol=PRINTED_4)
    assert fit.pre_test.p_value == pytest.approx(0.16812, abs=5e-6)
    averages = {"simple": (-0.0399513, 0.0120340), "event": (-0.0772398, 0.0199650), "group": (-0.0310183, 0.0124461), "calendar": (-0.0417004, 0.0159719)}
    for kind, (estimate, std_error) in averages.items():
        one = fit.aggregate(kind).overall
        assert (one.estimate, one.std_error) == pytest.approx((estimate, std_error), abs=PRINTED_7)
    later = _fit(counties, comparison="not_yet").aggregate("simple").overall
    assert (later.estimate, later.std_error) == pytest.approx((-0.0397636, 0.0120524), abs=PRINTED_7)


def test_counties_with_population(counties):
    fit = _fit(counties, covariates=["lpop"])
    rows = fit.frame.set_index(["start", "time"])
    want = {
        2004: ([-0.0145297, -0.0764219, -0.1404483, -0.1069039], [0.0221292, 0.0286713, 0.0353782, 0.0328865]),
        2006: ([-0.0004721, -0.0062025, 0.0009606, -0.0412939], [0.0222234, 0.0184957, 0.0194002, 0.0197211]),
        2007: ([0.0267278, -0.0045766, -0.0284475, -0.0287814], [0.0140657, 0.0157178, 0.0181809, 0.016239]),
    }
    for start, (estimates, errors) in want.items():
        np.testing.assert_allclose(rows.loc[start, "estimate"], estimates, rtol=0, atol=PRINTED_7)
        np.testing.assert_allclose(rows.loc[start, "std_error"], errors, rtol=0, atol=PRINTED_7)
    assert (fit.pre_test.df, fit.pre_test.statistic) == (5, pytest.approx(6.841825, abs=5e-7))
    assert fit.pre_test.p_value == pytest.approx(0.2326722, abs=1e-7)  # printed one unit in the last digit below 0.23267228
    simple, event, group = (fit.aggregate(kind).overall for kind in ("simple", "event", "group"))
    assert (simple.estimate, simple.std_error) == pytest.approx((-0.0417518, 0.0115028), abs=PRINTED_7)
    assert (event.estimate, event.std_error) == pytest.approx((-0.0803540, 0.0189576), abs=PRINTED_7)
    assert (group.estimate, group.std_error) == pytest.approx((-0.0328196, 0.0118982), abs=PRINTED_7)
    one = _fit(counties, covariates=["lpop"], comparison="not_yet").aggregate("simple").overall
    # Printed from a logit that stopped early: at its maximum the numbers are -0.04135163 (0.01142784), which csdid gives as well.
    assert (one.estimate, one.std_error) == pytest.approx((-0.0413517, 0.0114279), abs=1.3e-7)


def test_counties_with_population_averages(counties):
    fit = _fit(counties, covariates=["lpop"])
    tables = {
        "calendar": ([-0.0145297, -0.0764219, -0.0461757, -0.0395822], {2: 0.0212107, 3: 0.0129299}),
        "group": ([-0.0845759, -0.0201666, -0.0287814], {0: 0.0245649, 1: 0.0174696}),
        "event": ([0.0267278, -0.0036165, -0.023244, -0.0210604, -0.0530032, -0.1404483, -0.1069039], {2: 0.0144851, 3: 0.0114942, 4: 0.0163465}),
    }
    for kind, (estimates, errors) in tables.items():
        got = fit.aggregate(kind).frame
        np.testing.assert_allclose(got["estimate"], estimates, rtol=0, atol=PRINTED_7)
        for row, value in errors.items():
            assert got["std_error"][row] == pytest.approx(value, abs=PRINTED_7)


def test_fast_food_employment(published):
    shops = pd.read_csv(published / "published" / "card_krueger.csv")
    start = np.where(shops["STATE"] == 1, 2, 0)
    rows = pd.concat([pd.DataFrame({"shop": np.arange(len(shops)), "wave": wave, "start": start, "fte": shops[f"FTE{wave}"]}) for wave in (1, 2)])
    rows = rows[rows["fte"].notna()]
    options = {"time": "wave", "start": "start"}
    every = group_time_effects(rows, "fte", unit=None, **options).frame
    assert every["estimate"][0] == pytest.approx(2.7536, abs=PRINTED_4)
    assert group_time_effects(rows, "fte", unit="shop", unbalanced="keep", **options).frame["estimate"][0] == pytest.approx(2.7536, abs=PRINTED_4)
    balanced = group_time_effects(rows, "fte", unit="shop", **options)
    assert balanced.n == 384
    assert balanced.frame["estimate"][0] == pytest.approx(2.75, abs=PRINTED_4)
    # The published 1.3423 gives each arm's variance its n - 1; the influence function divides by n, so that the same function gives both.
    shares = balanced.influence_functions().iloc[:, 0]
    treated = shops.loc[shares.index, "STATE"] == 1
    corrected = sum((shares[arm] ** 2).sum() * arm.sum() / (arm.sum() - 1) for arm in (treated, ~treated))
    assert np.sqrt(corrected) == pytest.approx(1.3423, abs=PRINTED_4)
    assert balanced.frame["std_error"][0] == pytest.approx(np.sqrt((shares**2).sum()))
