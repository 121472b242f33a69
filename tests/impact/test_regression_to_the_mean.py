"""Regression to the mean: with a true effect of zero the registered windows say so, and the tempting ones do not.

Pupils with a lasting and a passing part are chosen by one bad half-term; referral follows the lasting part or the window.
"""

from functools import lru_cache

import numpy as np
import pandas as pd
import pytest

from evaluation.design import match, season_matched_windows
from evaluation.impact import estimate_change

PUPILS, MENTORED, SESSIONS, REPLICATIONS, MANY_REPLICATIONS = 12_000, 3_000, 60, 6, 80
WINDOW_AT = 4  # column of the window among nine half-terms, -4 to 4
# Twice the standard error of a mean over the replications (an estimate's standard deviation is at most 0.75 here).
NEAR_ZERO = 0.6
# What is claimed of the registered estimator; over 80 replications the standard error of a mean is at most 0.11.
CLAIMED_BAND = 0.25
BEFORE_AFTER_BAND = (2.3, 8.6)


def drawn(seed: int, correlation: float, rule: str) -> pd.DataFrame:
    """Eligible pupils with baseline, window and follow-up absence (%); nobody is mentored in truth."""
    draw = np.random.default_rng(seed)
    lasting, passing = draw.normal(0, 0.9, PUPILS), np.empty((PUPILS, 9))
    passing[:, 0] = draw.normal(0, 0.8, PUPILS)
    for h in range(1, 9):
        passing[:, h] = correlation * passing[:, h - 1] + np.sqrt(1 - correlation**2) * draw.normal(0, 0.8, PUPILS)
    rate = 100.0 * draw.binomial(SESSIONS, 1.0 / (1.0 + np.exp(2.9 + lasting[:, None] + passing))) / SESSIONS
    windows = season_matched_windows()
    before, after = (rate[:, [WINDOW_AT + e for e in times]].mean(axis=1) for times in (windows.baseline, windows.follow_up))
    window = rate[:, WINDOW_AT]
    chance = 1 / (1 + np.exp(0.5 + lasting)) if rule == "level" else 1 / (1 + np.exp(-6 * (window / 100 - 0.2)))
    mentored = np.arange(PUPILS) < MENTORED
    referred = mentored & (draw.random(PUPILS) < chance)
    pupils = pd.DataFrame({"school_id": [f"S{i % 30:02d}" for i in range(PUPILS)], "area_code": "X", "stack": 8, "treated": referred.astype(int),
                           "followup_possible": 180, "window": window, "before": before, "after": after})
    pupils.loc[mentored, "school_id"] = "M" + pupils.loc[mentored, "school_id"]
    return pupils.loc[(10 * window >= 100) & (referred | ~mentored)].reset_index(drop=True)


@lru_cache
def gains(correlation: float, rule: str, replications: int = REPLICATIONS) -> pd.DataFrame:
    """Apparent gains in attendance of each estimator, a row a replication."""
    rows = []
    for seed in range(replications):
        pupils = drawn(seed, correlation, rule)
        weights = match(pupils, "treated", on=["window"], seed=seed).weights
        matched = pupils.assign(weight=weights, change=pupils["after"] - pupils["before"], since_window=pupils["after"] - pupils["window"])
        treated = pupils["treated"] == 1
        rows.append({"registered": estimate_change(matched, within_area=True, weight="weight").estimate,
                     "window_as_baseline": estimate_change(matched, within_area=True, weight="weight", outcome="since_window").estimate,
                     "before_after": float((pupils["window"] - pupils["after"])[treated].mean())})
    return pd.DataFrame(rows)


@pytest.mark.parametrize(("correlation", "rule"), [(0.2, "level"), (0.6, "window"), (0.9, "level")])
def test_the_registered_estimator_sees_no_effect_where_there_is_none(correlation, rule):
    found = gains(correlation, rule)
    assert abs(found["registered"].mean()) < NEAR_ZERO
    assert found["before_after"].mean() > 2.0


def test_the_window_as_baseline_is_biased_where_referral_follows_the_lasting_part():
    found = gains(0.2, "level")
    assert abs(found["window_as_baseline"].mean()) > 1.0 > NEAR_ZERO > abs(found["registered"].mean())


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["level", "window"])
@pytest.mark.parametrize("correlation", [0.2, 0.6, 0.9])
def test_over_many_replications_the_bands_claimed_hold(correlation, rule):
    found = gains(correlation, rule, MANY_REPLICATIONS)
    assert len(found) == MANY_REPLICATIONS
    assert abs(found["registered"].mean()) < CLAIMED_BAND
    low, high = BEFORE_AFTER_BAND
    assert low - CLAIMED_BAND < found["before_after"].mean() < high + CLAIMED_BAND
