"""The reference panels and results that the tests of two-way and related estimators share."""

from pathlib import Path

import numpy as np
import pandas as pd

REFERENCE = Path(__file__).resolve().parents[1] / "reference"
# Estimates agree with the R packages to their own rounding; standard errors and degrees of freedom to 1e-6 relative.
ESTIMATE_TOLERANCE = 1e-8
UNCERTAINTY_TOLERANCE = 1e-6
# What two ways of summing the same numbers may differ by.
ROUNDING = 1e-10
KEYS = {"unit": "pupil_id", "time": "half_term"}
HALF_TERMS = range(2, 9)
INTERACTIONS = [f"{name}_{half_term}" for name in ("fsm", "prior_absence") for half_term in HALF_TERMS]


def panel(name: str = "panel") -> pd.DataFrame:
    """A reference panel with ``post``, and fsm and prior absence multiplied with indicators of half-terms 2 to 8."""
    data = pd.read_csv(REFERENCE / "data" / f"{name}.csv")
    added = {f"{column}_{half_term}": (data["half_term"] == half_term) * data[column] for column in ("fsm", "prior_absence") for half_term in HALF_TERMS}
    return data.assign(post=((data["start"] > 0) & (data["half_term"] >= data["start"])).astype(int), **added)


def results(name: str) -> pd.DataFrame:
    """A file of results."""
    return pd.read_csv(REFERENCE / "results" / f"{name}.csv")


def assert_agrees(frame: pd.DataFrame, wanted: pd.DataFrame) -> None:
    """Estimates and standard errors, in the order given, within the tolerances above."""
    np.testing.assert_allclose(frame["estimate"], wanted["estimate"], rtol=0, atol=ESTIMATE_TOLERANCE)
    np.testing.assert_allclose(frame["std_error"], wanted["se"], rtol=UNCERTAINTY_TOLERANCE)


def small_panel(seed: int = 0, units: int = 60, periods: int = 6, clusters: int = 10) -> pd.DataFrame:
    """A balanced panel of invented numbers: starts 3, 4 and 5, two fifths never treated, string ids."""
    draw = np.random.default_rng(seed)
    unit = np.repeat(np.arange(units), periods)
    start = np.where(np.arange(units) % 5 < 3, 3 + np.arange(units) % 5, 0)
    data = pd.DataFrame({"pupil": [f"P{number:03d}" for number in unit], "school": [f"S{number % clusters}" for number in unit],
                         "term": np.tile(np.arange(1, periods + 1), units), "start": start[unit]})
    effect = np.where((data["start"] > 0) & (data["term"] >= data["start"]), -1.0 - 0.5 * (data["term"] - data["start"]), 0.0)
    return data.assign(treated=((data["start"] > 0) & (data["term"] >= data["start"])).astype(int), size=draw.normal(size=len(data)),
                       weight=draw.uniform(0.5, 2.0, units)[unit], rate=draw.normal(5, 1, units)[unit] + 0.3 * data["term"] + effect
                       + draw.normal(0, 0.5, clusters)[unit % clusters] * data["term"] / periods + draw.normal(size=len(data)))


SMALL = {"unit": "pupil", "time": "term"}
