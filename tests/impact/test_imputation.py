"""The imputation estimator: agreement with didimputation where that package is right, with its definition elsewhere, refusals."""

import numpy as np
import pandas as pd
import pytest
from two_way_reference import ESTIMATE_TOLERANCE, KEYS, ROUNDING, SMALL, UNCERTAINTY_TOLERANCE, assert_agrees, panel, results, small_panel

from evaluation.errors import DataError, UnidentifiedError
from evaluation.impact import imputation_effects

FSM = [f"fsm_{half_term}" for half_term in range(2, 9)]


def reference_fit(data, **options):
    return imputation_effects(data, "absence_rate", start="start", cluster="school_id", **KEYS, **options)


def small(data=None, **changes):
    return imputation_effects(small_panel() if data is None else data, "rate", **{**SMALL, "start": "start", "cluster": "school", **changes})


def written_out(data, weights, time, *, squared=False):
    """Estimate and error from full matrices; ``squared`` as didimputation 0.5.0 has them, where weights enter its influence twice."""
    treated = ((data["start"] > 0) & (data["half_term"] >= data["start"])).to_numpy()
    distance = (data["half_term"] - data["start"]).to_numpy()
    design = np.column_stack([pd.get_dummies(data["pupil_id"]), pd.get_dummies(data["half_term"]).iloc[:, 1:]]).astype(float)
    untreated, outcome = design[~treated], data["absence_rate"].to_numpy()
    own = weights[~treated, None]
    cross = untreated.T @ (own * untreated)
    gap = outcome - design @ np.linalg.solve(cross, untreated.T @ (own[:, 0] * outcome[~treated]))
    share = np.where(treated & (distance == time), weights, 0.0)
    share /= share.sum()
    if squared:
        cross = untreated.T @ (own**2 * untreated)
    influence = -weights * (design @ np.linalg.solve(cross, design[treated].T @ (share * (weights if squared else 1))[treated]))
    influence[treated] = share[treated]
    groups = pd.Series(np.where(treated, data["start"] * 100 + distance, -1))
    sums = pd.DataFrame({"top": influence**2 * gap, "all": influence**2}).groupby(groups).transform("sum")
    centre = np.where(treated & (sums["all"] > 0), sums["top"] / sums["all"].where(sums["all"] > 0, 1.0), 0.0)
    error = np.sqrt((pd.Series(influence * (gap - centre)).groupby(data["school_id"].to_numpy()).sum() ** 2).sum())
    return float(share @ gap), float(error), float(influence @ outcome)


def test_it_agrees_with_didimputation():
    data, wanted = panel(), results("didimputation")
    fit = reference_fit(data, leads=3)
    assert_agrees(fit.overall.frame, wanted.query("run == 'imp_overall'"))
    assert_agrees(pd.concat([fit.leads, fit.frame]), wanted.query("run == 'imp_horizon'"))
    assert list(fit.leads["event_time"]) == [-3, -2, -1] and list(fit.frame["n"]) == [177, 177, 177, 133, 53]
    assert_agrees(reference_fit(data, covariates=FSM).frame, wanted.query("run == 'imp_cov'"))


def test_weighted_estimates_agree_and_errors_are_those_of_the_estimate():
    """didimputation squares weights in its influence, which then no longer sums to its estimate: agree with the definition instead."""
    data, wanted = panel(), results("didimputation").query("run == 'imp_horizon_w'").reset_index(drop=True)
    fit = reference_fit(data, weights="weight", leads=3)
    assert_agrees(fit.leads, wanted.iloc[:3])
    np.testing.assert_allclose(fit.frame["estimate"], wanted["estimate"].iloc[3:], rtol=0, atol=ESTIMATE_TOLERANCE)
    weights = data["weight"].to_numpy()
    for time in (0, 4):
        estimate, error, through_influence = written_out(data, weights, time)
        row = fit.frame.iloc[time]
        assert (row["estimate"], row["std_error"]) == pytest.approx((estimate, error), rel=1e-9)
        assert through_influence == pytest.approx(estimate, rel=1e-9)
        _, theirs, missed = written_out(data, weights, time, squared=True)
        assert theirs == pytest.approx(wanted["se"].iloc[3 + time], rel=UNCERTAINTY_TOLERANCE) and abs(missed - estimate) > 1e-5


def test_unbalanced_estimates_agree_where_both_use_the_same_pupils():
    """didimputation leaves out a pupil with one untreated row, as its first stage drops single rows; here the pupil stays."""
    data, wanted = panel("unbalanced_panel"), results("didimputation").query("run == 'imp_unb'")
    untreated = data[~((data["start"] > 0) & (data["half_term"] >= data["start"]))].groupby("pupil_id").size()
    assert_agrees(reference_fit(data[~data["pupil_id"].isin(untreated.index[untreated == 1])]).frame, wanted)
    estimate, error, _ = written_out(data, np.ones(len(data)), 0)
    row = reference_fit(data).frame.iloc[0]
    assert (row["estimate"], row["std_error"]) == pytest.approx((estimate, error), rel=1e-9)


def test_order_of_rows_the_callers_frame_and_labels():
    data = small_panel()
    before = data.copy(deep=True)
    one = small(data, weights="weight", leads=1)
    pd.testing.assert_frame_equal(data, before)
    other = small(data.sample(frac=1, random_state=3).assign(pupil=lambda d: d["pupil"].str[1:].astype(int)), weights="weight", leads=1)
    pd.testing.assert_frame_equal(one.frame, other.frame, rtol=ROUNDING, atol=ROUNDING)
    pd.testing.assert_frame_equal(one.leads, other.leads, rtol=ROUNDING, atol=ROUNDING)
    assert "imputation" in repr(one) and "<table" in one._repr_html_()


def test_units_without_an_untreated_row_are_left_out_with_their_count():
    fit = small(pd.concat([small_panel(), small_panel().head(6).assign(pupil="always", start=1)]))
    pd.testing.assert_frame_equal(fit.frame, small().frame, rtol=ROUNDING, atol=ROUNDING)
    assert "1 unit has no untreated row: left out" in fit.warnings[0]


def test_a_start_group_in_one_cluster_has_no_error():
    data = small_panel()
    fit = small(data[~(data["start"].eq(5) & ~data["school"].eq("S2"))])
    frame = fit.frame.set_index("event_time")
    assert np.isnan(frame.loc[[0, 1], "std_error"]).all() and np.isfinite(frame.loc[[2, 3], "std_error"]).all() and np.isnan(fit.overall.std_error)
    assert any("Start group 5 lies within one cluster at event times 0, 1" in note for note in fit.warnings)


def test_a_start_group_in_one_cluster_at_one_event_time_only_has_no_error_there():
    data = small_panel()
    fit = small(data[~(data["start"].eq(5) & data["term"].eq(6) & ~data["school"].eq("S2"))])
    assert list(fit.frame["std_error"].isna()) == [False, True, False, False]
    assert any("Start group 5 lies within one cluster at event times 1" in note for note in fit.warnings)


def test_outcomes_imputed_from_one_cluster_alone_have_no_error():
    """Periods 5 and 6 have untreated pupils in school S3 only: its residuals there are zero whatever its shocks were."""
    data = small_panel()
    fit = small(data[data["start"].gt(0) | data["school"].eq("S3")])
    assert fit.frame["std_error"].isna().all() and np.isnan(fit.overall.std_error) and np.isfinite(fit.frame["estimate"]).all()
    assert any("rests on the untreated rows of one cluster alone (S3)" in note for note in fit.warnings)
    early = small(data[(data["start"].gt(0) | data["school"].eq("S3")) & data["term"].lt(5)])
    assert np.isfinite(early.frame["std_error"]).all()


def test_a_lead_that_one_cluster_tells_alone_has_no_error():
    data = small_panel()
    fit = small(data[~(data["start"].eq(5) & ~data["school"].eq("S2"))], leads=3)
    assert fit.leads["std_error"].isna().all() and any("event_time=-3" in note and "(S2)" in note for note in fit.warnings)


def test_refusals():
    data = small_panel()
    with pytest.raises(UnidentifiedError, match="periods 5, 6: no untreated row tells") as caught:
        small(data.query("start > 0"))
    assert "end the panel" in caught.value.mend
    with pytest.raises(UnidentifiedError, match="no row is treated"):
        small(data.query("start == 0"))
    with pytest.raises(UnidentifiedError, match="no untreated row tells"):
        small(data, covariates=["treated"])
    with pytest.raises(UnidentifiedError, match="one cluster"):
        small(data.assign(school="S"))
    with pytest.raises(DataError, match="no cluster column"):
        small(data, cluster=None)
    with pytest.raises(UnidentifiedError, match="fit the untreated rows exactly"):
        small(data.assign(rate=3.0))


@pytest.mark.parametrize(("leads", "words"), [(-1, "leads is -1"), (1.5, "leads is 1.5"), (True, "leads is True"), (4, "no start group has a period more than 4 before")])
def test_leads_that_cannot_be_counted_are_refused(leads, words):
    with pytest.raises(DataError, match=words) as caught:
        small(leads=leads)
    assert caught.value.mend
