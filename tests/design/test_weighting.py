"""Propensity weights and referral-risk weights: by hand, invariants and refusals."""

import numpy as np
import pandas as pd
import pytest

from evaluation.design import balance, match, propensity_weights, referral_risk_weights
from evaluation.errors import DataError, ParameterError, UnidentifiedError


@pytest.fixture(scope="module")
def eligible() -> pd.DataFrame:
    draw = np.random.default_rng(3)
    n = 600
    data = pd.DataFrame({"mentor_school": (draw.random(n) < 0.4).astype(int), "fsm": draw.integers(0, 2, n), "window_absence_rate": draw.uniform(10, 40, n),
                         "stack": draw.integers(1, 4, n), "baseline_rate": draw.uniform(5, 30, n)}, index=[f"p{i}" for i in range(n)])  # fmt: skip
    risk = 1 / (1 + np.exp(2 - 0.06 * data["window_absence_rate"] - 0.5 * data["fsm"]))
    return data.assign(referred=((draw.random(n) < risk) & (data["mentor_school"] == 1)).astype(int))


def test_by_hand_within_a_binary_covariate_weights_are_ratios_of_shares():
    data = pd.DataFrame({"treated": [1, 1, 0, 0, 0, 1, 0, 0, 0, 0], "x": [1] * 5 + [0] * 5})
    p = {1: 0.4, 0: 0.2}
    for estimand, own, other in (("ATT", lambda q: 1, lambda q: q / (1 - q)), ("ATE", lambda q: 1 / q, lambda q: 1 / (1 - q)), ("ATO", lambda q: 1 - q, lambda q: q)):
        expected = [own(p[x]) if t else other(p[x]) for t, x in zip(data["treated"], data["x"], strict=True)]
        np.testing.assert_allclose(propensity_weights(data, "treated", on=["x"], estimand=estimand).weights, expected, rtol=1e-9)


def test_risk_is_fitted_in_mentor_schools_alone(eligible):
    result = referral_risk_weights(eligible, mentor_school="mentor_school", referred="referred", on=["fsm", "window_absence_rate"])
    inside = eligible.loc[eligible["mentor_school"] == 1]
    alone = propensity_weights(inside, "referred", on=["fsm", "window_absence_rate"]).model
    np.testing.assert_allclose(result.risk[inside.index], alone.probability, rtol=1e-9)
    np.testing.assert_allclose(result.model.coefficients, alone.coefficients, rtol=1e-9)
    fewer = eligible.drop(eligible.index[eligible["mentor_school"] == 0][:100])
    other = referral_risk_weights(fewer, mentor_school="mentor_school", referred="referred", on=["fsm", "window_absence_rate"])
    np.testing.assert_allclose(other.risk[inside.index], result.risk[inside.index])


def test_weights_are_the_risk_and_add_up_alike_in_each_stratum(eligible):
    result = referral_risk_weights(eligible, mentor_school="mentor_school", referred="referred", on=["fsm", "window_absence_rate"], within=["stack"])
    offered = eligible["mentor_school"] == 1
    np.testing.assert_allclose(result.weights[offered], result.risk[offered])
    totals = result.weights.groupby([eligible["stack"], eligible["mentor_school"]]).sum().unstack()
    np.testing.assert_allclose(totals[0], totals[1])
    ratio = result.weights[~offered] / result.risk[~offered]
    assert ratio.groupby(eligible.loc[~offered, "stack"]).std().max() < 1e-12
    assert result.referral_share == pytest.approx(np.average(eligible.loc[offered, "referred"], weights=result.weights[offered]))
    assert result.referral_share > eligible.loc[offered, "referred"].mean()  # weights lean to those at risk
    for arm, inside in (("treated", offered), ("comparison", ~offered)):
        w = result.weights[inside]
        assert result.effective_n[arm] == pytest.approx(w.sum() ** 2 / (w**2).sum())


def test_strata_without_comparison_pupils_are_counted(eligible):
    data = eligible.drop(eligible.index[(eligible["stack"] == 2) & (eligible["mentor_school"] == 0)])
    result = referral_risk_weights(data, mentor_school="mentor_school", referred="referred", on=["fsm", "window_absence_rate"], within=["stack"])
    lost = data.index[(data["stack"] == 2) & (data["mentor_school"] == 1)]
    assert set(result.dropped.index) == set(lost) and (result.weights[lost] == 0).all()


def test_overlap_counts_comparison_pupils_beyond_the_risks_seen(eligible):
    data = eligible.copy()
    far = data.index[data["mentor_school"] == 0][:7]
    data.loc[far, "window_absence_rate"] = 99.0
    table = referral_risk_weights(data, mentor_school="mentor_school", referred="referred", on=["fsm", "window_absence_rate"]).overlap.set_index("arm")
    assert table.loc["schools without mentors", "outside_range"] >= 7 and table.loc["schools with mentors", "outside_range"] == 0
    assert table.loc["schools without mentors", "weight_outside_range"] > 0


def test_weights_do_not_hang_on_the_order_of_rows_and_data_are_not_changed(eligible):
    before = eligible.copy(deep=True)
    options = {"mentor_school": "mentor_school", "referred": "referred", "on": ["fsm", "window_absence_rate"], "within": ["stack"]}
    one, two = referral_risk_weights(eligible, **options), referral_risk_weights(eligible.sample(frac=1.0, random_state=1), **options)
    np.testing.assert_allclose(two.weights.reindex(eligible.index), one.weights, rtol=1e-9)
    pd.testing.assert_frame_equal(eligible, before)


@pytest.mark.parametrize(("change", "error", "said"), [
    ({"on": ["fsm", "baseline_rate"]}, ParameterError, "overlap the baseline"), ({"on": ["fsm", "change"]}, ParameterError, "known only after"),
    ({"referred": "absent"}, DataError, "no column"), ({"within": ["absent"]}, DataError, "no column"),
])  # fmt: skip
def test_bad_arguments_are_refused(eligible, change, error, said):
    with pytest.raises(error, match=said):
        referral_risk_weights(eligible, **{"mentor_school": "mentor_school", "referred": "referred", "on": ["fsm", "window_absence_rate"], **change})


def test_a_reason_lets_a_baseline_column_in(eligible):
    result = referral_risk_weights(eligible, mentor_school="mentor_school", referred="referred", on=["fsm", "baseline_rate"], baseline_reason="sensitivity")
    assert "baseline_rate" in result.model.coefficients.index


@pytest.mark.parametrize(("column", "rows", "value", "error", "said"), [
    ("referred", "outside", 1, DataError, "without mentors"), ("referred", "inside", 0, UnidentifiedError, "no referred pupil"),
    ("referred", "inside", 1, UnidentifiedError, "not referred"), ("referred", "inside", np.nan, DataError, "missing"),
    ("fsm", "inside", 1, UnidentifiedError, "do not vary"), ("fsm", "outside", np.nan, DataError, "missing"), ("fsm", "outside", np.inf, DataError, "infinite"),
    ("mentor_school", "inside", 0, DataError, "without mentors"), ("mentor_school", "outside", 1, UnidentifiedError, "without mentors"),
])  # fmt: skip
def test_bad_data_are_refused(eligible, column, rows, value, error, said):
    chosen = (eligible["mentor_school"] == 1) if rows == "inside" else (eligible["mentor_school"] == 0)
    data = eligible.astype({column: float}) if isinstance(value, float) else eligible.copy()
    data.loc[chosen, column] = value
    with pytest.raises(error, match=said):
        referral_risk_weights(data, mentor_school="mentor_school", referred="referred", on=["fsm", "window_absence_rate"])


def test_propensity_weights_refuse_what_they_cannot_do(eligible):
    with pytest.raises(ParameterError, match="ATT, ATC, ATE, ATO"):
        propensity_weights(eligible, "mentor_school", on=["fsm"], estimand="LATE")
    with pytest.raises(DataError, match="labels repeat"):
        propensity_weights(eligible.set_axis([1] * len(eligible)), "mentor_school", on=["fsm"])


def test_entropy_balancing_is_exact_also_with_columns_that_determine_others():
    draw = np.random.default_rng(1)
    data = pd.DataFrame({"treated": [1] * 30 + [0] * 90, "x": draw.normal(size=120), "z": draw.normal(size=120)})
    data["sum"] = data["x"] + data["z"]
    result = match(data, "treated", on=["x", "z", "sum"], method="entropy")
    assert balance(data, "treated", ["x", "z", "sum"], result.weights).frame["smd_after"].abs().max() < 1e-10
    assert result.weights.min() > 0


@pytest.mark.parametrize(("values", "said"), [([9.0, 8.0, 1.0, 2.0, 3.0, 4.0], "outside"), ([2.0, 2.0, 1.0, 1.0, 1.0, 1.0], "do not vary in the comparison arm")])
def test_entropy_balancing_refuses_means_that_comparison_units_do_not_span(values, said):
    with pytest.raises(UnidentifiedError, match=said):
        match(pd.DataFrame({"treated": [1, 1, 0, 0, 0, 0], "x": values}), "treated", on=["x"], method="entropy")
