"""Balance: agreement with cobalt, tables by hand, invariants and refusals."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evaluation.design import balance, match
from evaluation.errors import DataError, UnidentifiedError

REFERENCE = Path(__file__).parents[1] / "reference"
ON = ["prior_absence", "idaci", "year_group", "sex", "fsm", "sen"]
COLUMNS = {"smd_before": "smd_un", "smd_after": "smd_adj", "variance_ratio_before": "vr_un", "variance_ratio": "vr_adj", "ks_before": "ks_un", "ks": "ks_adj"}
ROUNDING = 1e-10


@pytest.fixture(scope="module")
def pupils() -> pd.DataFrame:
    data = pd.read_csv(REFERENCE / "data" / "cohort.csv", index_col="pupil_id")
    return data.assign(year_group=data["year_group"].astype("category"), sen=data["sen"].astype("category"))


@pytest.mark.parametrize(("run", "options"), [("nn_largest", {}), ("nn_ratio2_caliper", {"ratio": 2, "caliper": 0.1}), ("nn_replace", {"replace": True})])
def test_balance_is_that_of_cobalt(pupils, run, options):
    expected = pd.read_csv(REFERENCE / "results" / "match_balance.csv").query("run == @run").set_index("covariate")
    matching = match(pupils, "treated", on=ON, ties="order", distance="propensity", **options)
    frame = balance(pupils, "treated", ON, matching.weights).frame.set_index("covariate")
    assert list(frame.index) == list(expected.index)
    for ours, theirs in COLUMNS.items():
        np.testing.assert_allclose(frame[ours], expected[theirs], atol=ROUNDING)


def test_by_hand():
    data = pd.DataFrame({"treated": [1, 1, 0, 0, 0], "x": [2.0, 4.0, 1.0, 2.0, 6.0], "b": [1, 0, 0, 0, 1]})
    frame = balance(data, "treated", ["x", "b"], pd.Series([1.0, 1.0, 0.0, 2.0, 0.0])).frame.set_index("covariate")
    assert frame.loc["x", "smd_before"] == 0.0
    assert frame.loc["x", "smd_after"] == pytest.approx((3.0 - 2.0) / np.sqrt(2.0))  # the treated group's standard deviation, n - 1
    assert frame.loc["b", "smd_before"] == pytest.approx((1 / 2 - 1 / 3) / 0.5)  # sqrt(p(1 - p)) for a 0/1 covariate
    assert frame.loc["b", "smd_after"] == pytest.approx(0.5 / 0.5)
    assert frame.loc["x", "variance_ratio_before"] == pytest.approx(2.0 / 7.0)
    assert np.isnan(frame.loc["b", "variance_ratio_before"])
    assert frame.loc["x", "ks_before"] == pytest.approx(1 / 3)


def test_doubling_a_weight_is_duplicating_a_row_for_means():
    draw = np.random.default_rng(0)
    data = pd.DataFrame({"treated": [1] * 10 + [0] * 10, "x": draw.normal(size=20)})
    weights = pd.Series(1.0, index=data.index)
    weights[15] = 2.0
    doubled = pd.concat([data, data.loc[[15]]], ignore_index=True)
    one, two = (balance(d, "treated", ["x"], w).frame.loc[0] for d, w in ((data, weights), (doubled, None)))
    assert one["mean_comparison"] == pytest.approx(two["mean_comparison"])
    assert one["ks"] == pytest.approx(two["ks"])


def test_weights_that_cannot_be_used_are_refused():
    data = pd.DataFrame({"treated": [1, 0, 0], "x": [1.0, 2.0, 3.0]})
    with pytest.raises(DataError, match="not negative"):
        balance(data, "treated", ["x"], pd.Series([1.0, -1.0, 1.0]))
    with pytest.raises(DataError, match="index"):
        balance(data, "treated", ["x"], pd.Series([1.0, 1.0, 1.0], index=[5, 6, 7]))
    with pytest.raises(UnidentifiedError, match="comparison arm"):
        balance(data, "treated", ["x"], pd.Series([1.0, 0.0, 0.0]))
