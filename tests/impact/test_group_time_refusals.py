"""Bad input is refused by name; a cell that cannot be estimated is refused alone, and whatever needs it says so."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from evaluation.errors import DataError, EvaluationError, ParameterError, UnidentifiedError
from evaluation.impact import group_time_effects
from tests.impact.test_group_time_properties import COLUMNS, PANEL


def _fit(panel, **options):
    return group_time_effects(panel, "rate", **{**COLUMNS, **options})


def assert_say(reasons: pd.Series, text: str) -> None:
    assert len(reasons) and reasons.notna().all()
    assert reasons.str.contains(text).all()


def _with(row: int, **values) -> pd.DataFrame:
    panel = PANEL.copy().astype({"start": float, "half_term": float, "weight": float})
    for name, value in values.items():
        panel[name] = panel[name].astype(object) if isinstance(value, str) else panel[name]
        panel.loc[panel.index[row], name] = value
    return panel


@pytest.mark.parametrize(
    ("panel", "options", "said"),
    [
        (PANEL.assign(start=0), {}, "no treated cohort"),
        (PANEL.assign(start=3), {}, "no never-treated units"),
        (PANEL.assign(start=3), {"comparison": "not_yet"}, "no treated cohort"),
        (PANEL[PANEL["start"] > 0], {}, "no never-treated units"),
        (PANEL.assign(start=1), {}, "every unit is treated from the first period on"),
        (pd.concat([PANEL, PANEL.iloc[[7]]]), {}, "more than one row in period"),
        (_with(3, rate=np.nan), {}, "1 value is missing or infinite"),
        (_with(3, rate=np.inf), {}, "1 value is missing or infinite"),
        (_with(3, weight=np.inf), {"weights": "weight"}, "1 value is missing or infinite"),
        (_with(3, weight=-1.0), {"weights": "weight"}, "1 value is negative"),
        (PANEL.assign(weight=0.0), {"weights": "weight"}, "every weight is zero"),
        (_with(3, start=5.0), {}, "changes over time within 1 of 240 units, the first 100"),
        (_with(3, school=23), {"cluster": "school"}, "freeze it"),
        (PANEL.assign(school=1), {"cluster": "school"}, "one cluster"),
        (PANEL[PANEL["half_term"] != 4], {}, "between 3 and 5 some are missing"),
        (PANEL[PANEL["half_term"] == 4], {}, "one period"),
        (_with(3, half_term=np.nan), {}, "have no period"),
        (PANEL.assign(half_term=PANEL["half_term"].astype(str)), {}, "order and spacing are not known"),
        (PANEL.assign(half_term=PANEL["half_term"] - 1), {}, "0 marks the never treated"),
        (PANEL.assign(half_term=PANEL["half_term"] - 4), {}, "0 marks the never treated"),
        (PANEL.assign(start=PANEL["start"].replace(3, 3.5)), {}, "none of the periods, the first 3.5"),
        (PANEL.assign(start=PANEL["start"].map(str)), {}, "where periods are numbers"),
        (PANEL.assign(fsm=1), {"covariates": ["fsm"]}, "one value throughout"),
        (PANEL.assign(twice=2 * PANEL["prior"] - 1), {"covariates": ["fsm", "prior", "twice"]}, "combination of those named before"),
        (_with(3, prior=np.nan), {"covariates": ["prior"]}, "missing or infinite"),
        (PANEL, {"covariates": ["prior", "prior"]}, "more than once"),
        (PANEL, {"covariates": ["rate"]}, "outcome is also a covariate"),
        (PANEL, {"covariates": ["priro"]}, "did you mean 'prior'"),
        (PANEL.iloc[:0], {}, "no rows"),
        (PANEL.assign(half_term=pd.Categorical(PANEL["half_term"].map("t{}".format))), {}, "have no order"),
        (PANEL.assign(rate=PANEL["rate"].map(str)), {}, "not numeric"),
        (PANEL[(PANEL["pupil"] + PANEL["half_term"]) % 6 != 0], {}, "no unit has a row in every period"),
        (PANEL.drop(PANEL.index[::7]), {"unbalanced": "keep", "weights_from": "base"}, "needs a row of every unit"),
        (PANEL, {"unit": None, "weights_from": "first"}, "units are not followed"),
    ],
)  # fmt: skip
def test_bad_data_are_refused_with_the_reason(panel, options, said):
    with pytest.raises((DataError, UnidentifiedError), match=said) as caught:
        _fit(panel, **options)
    assert caught.value.where or caught.value.mend


@pytest.mark.parametrize(
    "options",
    [{"method": "imp"}, {"comparison": "notyettreated"}, {"base_period": "first"}, {"unbalanced": "balance"}, {"weights_from": "last"}, {"anticipation": -1},
     {"anticipation": 0.5}, {"draws": 10}, {"draws": True}, {"conf_level": 95}, {"seed": -1}],
)  # fmt: skip
def test_options_that_do_not_exist_are_refused(options):
    with pytest.raises(ParameterError):
        _fit(PANEL, **options)


@pytest.mark.parametrize("options", [{"kind": "dynamic"}, {"kind": "event", "balance": 9}, {"kind": "event", "balance": 1.0}, {"kind": "simple", "balance": 1},
                                     {"kind": "group", "min_event": 0}, {"kind": "event", "missing": "drop"}, {"kind": "event", "min_event": 40}])  # fmt: skip
def test_averages_that_do_not_exist_are_refused(options):
    with pytest.raises(EvaluationError):
        _fit(PANEL).aggregate(**options)


def test_a_cluster_that_changes_is_fine_once_frozen():
    panel = _with(3, school=23)
    frozen = panel.assign(school=panel.groupby("pupil")["school"].transform("first"))
    assert _fit(frozen, cluster="school").clusters == 24


def test_categories_with_a_gap_are_refused():
    kind = pd.CategoricalDtype([1, 2, 3, 4, 5, 6, "later"], ordered=True)
    panel = PANEL.assign(half_term=PANEL["half_term"].astype(object).astype(kind), start=PANEL["start"].replace(0, None))
    assert len(_fit(panel).frame) == len(_fit(PANEL).frame)
    with pytest.raises(DataError, match="no row is in period 4"):
        _fit(panel[PANEL["half_term"] != 4])


def _small(pupils: int = 2) -> pd.DataFrame:
    """The panel with a third cohort of a few pupils that starts in half-term 4."""
    ids = PANEL.loc[PANEL["start"] == 0, "pupil"].unique()[:pupils]
    return PANEL.assign(start=np.where(PANEL["pupil"].isin(ids), 4, PANEL["start"]))


@pytest.mark.parametrize("method", ["dr", "ipw"])
def test_a_cohort_too_small_for_the_covariates_is_refused_alone(method):
    options = {"covariates": ["fsm", "prior"], "method": method}
    got = _fit(_small(), **options)
    rows = got.frame.set_index("start")
    assert rows.loc[4, "estimate"].isna().all()
    assert rows.loc[4, "std_error"].isna().all()
    assert_say(rows.loc[4, "reason"], "2 treated units are too few")
    assert rows.drop(4)["reason"].isna().all()
    alone = _fit(_small()[_small()["start"] != 4], **options).frame
    np.testing.assert_allclose(rows.drop(4)["estimate"], alone["estimate"])
    assert any("5 of 15 group-time effects could not be estimated" in sentence for sentence in got.warnings)
    assert np.isnan(got.vcov.loc[4].to_numpy()).all()
    assert got.pre_test.df == alone["event_time"].lt(0).sum()


def test_averages_that_need_a_refused_cell_are_missing_unless_told_to_leave_it_out():
    fit = _fit(_small(), covariates=["fsm", "prior"])
    for kind in ("simple", "group", "event", "calendar"):
        asked = fit.aggregate(kind)
        assert np.isnan(asked.overall.estimate)
        assert any("too few" in sentence for sentence in asked.overall.warnings)
        told = fit.aggregate(kind, missing="leave_out")
        alone = _fit(_small()[_small()["start"] != 4], covariates=["fsm", "prior"]).aggregate(kind)
        assert told.overall.estimate == pytest.approx(alone.overall.estimate)
        assert told.overall.std_error == pytest.approx(alone.overall.std_error)
        assert any("5 of 15" in sentence for sentence in told.warnings)
    rows = fit.aggregate("event").frame.set_index("event_time")
    assert rows.loc[3, "estimate"] == pytest.approx(fit.frame.query("start == 3 and time == 6")["estimate"].iloc[0])  # only the cohort of 3 gets so far
    assert np.isnan(rows.loc[0, "estimate"])
    assert "start 4" in rows.loc[0, "reason"]
    assert 0 not in fit.aggregate("event").vcov.index


def test_one_treated_pupil_has_no_standard_error():
    rows = _fit(_small(1)).frame.set_index("start")
    assert_say(rows.loc[4, "reason"], "each arm needs at least two")
    assert rows.drop(4)["estimate"].notna().all()


def test_covariates_that_tell_the_treated_are_refused_by_cell():
    panel = PANEL.assign(flag=np.where(PANEL["start"] == 3, 1.0, PANEL["pupil"] % 50 == 0))
    rows = _fit(panel, covariates=["prior"]).frame
    assert rows["reason"].isna().all()
    split = PANEL.assign(gap=np.where(PANEL["start"] == 3, 9.0, 0.0) + PANEL["prior"])
    got = _fit(split, covariates=["gap"]).frame.set_index("start")
    assert_say(got.loc[3, "reason"], "no propensity score exists|no overlap")
    assert got.loc[5, "estimate"].notna().all()
    assert _fit(panel, covariates=["flag"], method="reg").frame["estimate"].notna().all()


def test_a_covariate_that_is_constant_among_comparison_units_is_refused_by_cell():
    panel = PANEL.assign(flag=np.where(PANEL["start"] == 3, PANEL["pupil"] % 2, 0))
    for method in ("dr", "reg"):
        with pytest.raises(UnidentifiedError, match="not one of"):
            _fit(panel, covariates=["flag"], method=method)


def test_trimming_is_counted():
    """Of 500 pupils with the flag 498 are treated, so that their score is 0.996: the two others get no weight."""
    generator = np.random.default_rng(5)
    flag, start = np.repeat([1, 1, 0, 0], [498, 2, 100, 1000]), np.repeat([2, 0, 2, 0], [498, 2, 100, 1000])
    rates = generator.normal(0, 1, (2, 1600)) + np.outer([0, 1], 5 * flag)
    panel = pd.DataFrame({"pupil": np.tile(np.arange(1600), 2), "half_term": np.repeat([1, 2], 1600), "start": np.tile(start, 2),
                          "flag": np.tile(flag, 2), "rate": rates.ravel()})  # fmt: skip
    change = rates[1] - rates[0]
    fit = _fit(panel, covariates=["flag"], method="ipw")
    assert fit.frame["trimmed"].tolist() == [2]
    assert fit.frame["estimate"][0] == pytest.approx(change[start == 2].mean() - change[(start == 0) & (flag == 0)].mean())
    assert any("get no weight" in sentence for sentence in fit.warnings)
    assert _fit(panel, unit=None, covariates=["flag"], method="ipw").frame["trimmed"].tolist() == [4]  # two rows each
    assert _fit(panel, covariates=["flag"], method="reg").frame["trimmed"].tolist() == [0]


def test_scores_near_one_are_refused():
    flag, start = np.repeat([1, 1, 0, 0], [1499, 1, 100, 1000]), np.repeat([2, 0, 2, 0], [1499, 1, 100, 1000])
    panel = pd.DataFrame({"pupil": np.tile(np.arange(2600), 2), "half_term": np.repeat([1, 2], 2600), "start": np.tile(start, 2), "flag": np.tile(flag, 2),
                          "rate": np.random.default_rng(5).normal(0, 1, 5200)})  # fmt: skip
    with pytest.raises(UnidentifiedError, match="no overlap: propensity scores reach 0.9993"):
        _fit(panel, covariates=["flag"])


def test_starts_after_the_data_count_as_never_treated_unless_anticipated():
    late = PANEL.assign(start=np.where((PANEL["start"] == 0) & (PANEL["pupil"] % 4 == 0), 7, PANEL["start"]))
    got = _fit(late)
    np.testing.assert_allclose(got.frame["estimate"], _fit(PANEL).frame["estimate"])
    assert any("start after the last period: they count as never treated" in sentence for sentence in got.warnings)
    window = _fit(late, anticipation=1)
    np.testing.assert_allclose(window.frame["estimate"], _fit(late[late["start"] != 7], anticipation=1).frame["estimate"])
    assert any("may anticipate it within the data: left out" in sentence for sentence in window.warnings)


def test_rows_of_weight_zero_are_left_out_and_counted():
    panel = PANEL.assign(weight=np.where(PANEL["pupil"] < 105, 0.0, 1.0), rate=PANEL["rate"].where(PANEL["pupil"] >= 105))
    got = _fit(panel, weights="weight")
    np.testing.assert_allclose(got.frame["estimate"], _fit(PANEL[PANEL["pupil"] >= 105]).frame["estimate"])
    assert "30 rows have a weight of zero and took no part." in got.warnings


def test_a_cell_without_any_variation_is_refused():
    flat = PANEL.assign(rate=np.where(PANEL["half_term"] == 6, PANEL["rate"], 7.3 + 0.1 * PANEL["half_term"]))
    frame = _fit(flat).frame
    assert (frame["reason"].notna() == (frame["time"] < 6)).all()
    assert_say(frame.loc[frame["time"] < 6, "reason"], "nothing is left to judge uncertainty by")
    with pytest.raises(UnidentifiedError, match="nobody's change differs"):
        _fit(PANEL.assign(rate=1.0))


def test_starts_may_be_categories_with_missing_values():
    starts = PANEL["start"].replace(0, np.nan).astype("category")
    np.testing.assert_allclose(_fit(PANEL.assign(start=starts)).frame["estimate"], _fit(PANEL).frame["estimate"])
    nullable = PANEL.assign(start=PANEL["start"].replace(0, np.nan).astype("Int64"), half_term=PANEL["half_term"].astype("Int64"))
    np.testing.assert_allclose(_fit(nullable).frame["estimate"], _fit(PANEL).frame["estimate"])
