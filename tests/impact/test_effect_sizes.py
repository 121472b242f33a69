"""Hedges' g and the intraclass correlation: agreement with lme4 and eefAnalytics, with definitions, refusals."""

import numpy as np
import pandas as pd
import pytest
from two_way_reference import REFERENCE, results

from evaluation.errors import DataError, UnidentifiedError
from evaluation.impact import hedges_g, intraclass_correlation
from evaluation.impact.effect_sizes_multisite import random_slope
from evaluation.inference.columns import read_columns

COVARIATES = ("prior_absence", "fsm")
# lme4's optimiser stops at about 4e-7 of the variances (tests/reference/calls.md says 1e-6), 1e-8 of the coefficients.
VARIANCE_TOLERANCE, COEFFICIENT_TOLERANCE, ERROR_TOLERANCE = 1e-6, 1e-8, 1e-6
# eefAnalytics takes 1.96 for the normal quantile.
THEIR_QUANTILE = 1.96
MODELS = {"C": ("clusters", "change", "treated_school"), "B": ("cohort", "absence_after", "treated"), "P8": ("panel", "absence_rate", "treated"),
          "D": ("iv", "absence_after", "assigned")}  # fmt: skip


def read(name):
    file, outcome, treatment = MODELS[name]
    data = pd.read_csv(REFERENCE / "data" / f"{file}.csv")
    if name == "P8":
        data = data[data["half_term"] == 8].assign(treated=lambda d: (d["start"] > 0).astype(int))
    return data, outcome, treatment


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("model", ["reml", "null"])
def test_variances_agree_with_lme4(name, model):
    data, outcome, treatment = read(name)
    wanted = results("lme4").query("run == @run", local_dict={"run": f"{name}_{model}"}).set_index("term")
    found = intraclass_correlation(data, outcome, cluster="school_id", covariates=(treatment, *COVARIATES) if model == "reml" else ())
    for ours, theirs in (("var_between", "var_school"), ("var_within", "var_residual"), ("icc", "icc")):
        assert getattr(found, ours) == pytest.approx(wanted.loc[theirs, "estimate"], rel=VARIANCE_TOLERANCE), ours
    assert found.log_likelihood == pytest.approx(wanted.loc["loglik_or_reml", "estimate"], rel=1e-12)
    terms = found.frame.set_index("term").rename(index={"intercept": "(Intercept)"})
    rows = wanted.loc[terms.index]
    np.testing.assert_allclose(terms["estimate"], rows["estimate"], rtol=COEFFICIENT_TOLERANCE)
    np.testing.assert_allclose(terms["std_error"], rows["se"], rtol=ERROR_TOLERANCE)


def test_the_likelihood_is_lowest_where_it_is_said_to_be():
    """Written out with full matrices: the criterion rises on either side of the estimate."""
    data, outcome, _ = read("C")
    found = intraclass_correlation(data, outcome, cluster="school_id", covariates=["fsm"])
    design = np.column_stack([data["fsm"], np.ones(len(data))])
    alike = data["school_id"].to_numpy()[:, None] == data["school_id"].to_numpy()

    def log_likelihood(between, within):
        covariance = between * alike + within * np.eye(len(data))
        inverse = np.linalg.inv(covariance)
        cross = design.T @ inverse @ design
        left = data[outcome] - design @ np.linalg.solve(cross, design.T @ inverse @ data[outcome])
        parts = np.linalg.slogdet(covariance)[1] + np.linalg.slogdet(cross)[1] + left @ inverse @ left
        return -(parts + (len(data) - 2) * np.log(2 * np.pi)) / 2

    at = log_likelihood(found.var_between, found.var_within)
    assert at == pytest.approx(found.log_likelihood, rel=1e-10)
    for factor in (0.99, 1.01):
        assert log_likelihood(found.var_between * factor, found.var_within) < at and log_likelihood(found.var_between, found.var_within * factor) < at


def test_balanced_clusters_give_the_analysis_of_variance():
    draw = np.random.default_rng(0)
    data = pd.DataFrame({"school": np.repeat(np.arange(12), 9)}).assign(y=lambda d: draw.normal(0, 1, 12)[d["school"]] + draw.normal(size=len(d)))
    means = data.groupby("school")["y"].transform("mean")
    within = ((data["y"] - means) ** 2).sum() / (12 * 8)
    between = ((means - data["y"].mean()) ** 2).sum() / 11
    found = intraclass_correlation(data, "y", cluster="school")
    assert (found.var_within, found.var_between) == pytest.approx((within, (between - within) / 9), rel=1e-9)
    level = data.assign(y=data["y"] - means + draw.normal(0, 1e-9, len(data)))
    zero = intraclass_correlation(level, "y", cluster="school")
    assert zero.icc == 0.0 and "boundary" in zero.warnings[0] and zero.var_within == pytest.approx(level["y"].var(), rel=1e-9)
    assert "intraclass correlation" in repr(found) and "<table" in found._repr_html_()


@pytest.mark.parametrize("row", range(10))
def test_g_agrees_with_eefanalytics(row):
    wanted = results("effect_sizes").iloc[row]
    data, outcome, treatment = read({"crt_C": "C", "mst_D": "D", "srt_B": "B"}[wanted["run"]])
    found = hedges_g(data, outcome, treatment=treatment, covariates=COVARIATES, cluster=None if wanted["run"] == "srt_B" else "school_id",
                     variance=wanted["variance"].lower(), scale=wanted["scale"].lower())  # fmt: skip
    # Of the order of lme4's own stopping rule, which has three parameters to find where effects vary over schools.
    assert found.estimate == pytest.approx(wanted["estimate"], rel=VARIANCE_TOLERANCE if wanted["run"] == "mst_D" else COEFFICIENT_TOLERANCE)
    limits = found.estimate - THEIR_QUANTILE * found.std_error, found.estimate + THEIR_QUANTILE * found.std_error
    assert limits == pytest.approx((wanted["lb"], wanted["ub"]), rel=VARIANCE_TOLERANCE)


def test_effects_that_vary_over_schools_have_their_highest_likelihood():
    """Written out with full matrices: the restricted likelihood falls on either side of each of the four variances found."""
    draw = np.random.default_rng(2)
    school, treated = np.repeat(np.arange(30), 12), np.tile([0.0, 1.0, 0.0], 120)
    levels, effects = draw.normal(0, 1, 30), draw.normal(-0.5, 0.8, 30)
    data = pd.DataFrame({"school": school, "t": treated, "y": levels[school] + effects[school] * treated + draw.normal(size=360)})
    found = random_slope(read_columns(data, "y", ["t"], None, (), ("school",)), ["t"])
    design, outcome = np.column_stack([treated, np.ones(360)]), "y"
    alike = (school[:, None] == school).astype(float)

    def log_likelihood(within, level, effect, covariance):
        between = level + covariance * (treated[:, None] + treated) + effect * np.outer(treated, treated)
        matrix = within * np.eye(len(data)) + alike * between
        inverse = np.linalg.inv(matrix)
        cross = design.T @ inverse @ design
        left = data[outcome] - design @ np.linalg.solve(cross, design.T @ inverse @ data[outcome])
        return -(np.linalg.slogdet(matrix)[1] + np.linalg.slogdet(cross)[1] + left @ inverse @ left) / 2

    assert found.warnings == ()
    at = (found.var_within, found.var_level, found.var_effect, found.covariance)
    highest = log_likelihood(*at)
    for place in range(4):
        for factor in (0.97, 1.03):
            assert log_likelihood(*(value * factor if index == place else value for index, value in enumerate(at))) < highest, place


def test_variances_on_their_boundary_are_said():
    data, outcome, treatment = read("D")
    found = hedges_g(data, outcome, treatment=treatment, cluster="school_id", variance="conditional")
    assert any("boundary" in note for note in found.warnings) and np.isfinite(found.std_error)


def test_by_hand_without_clusters_and_covariates():
    data = pd.DataFrame({"t": [1, 1, 1, 0, 0, 0], "y": [3.0, 5.0, 7.0, 1.0, 2.0, 3.0]})
    pooled = np.sqrt((8 + 2) / 4)
    found = hedges_g(data, "y", treatment="t", variance="conditional")
    assert found.estimate == pytest.approx((1 - 3 / 15) * 3 / pooled)
    assert hedges_g(data, "y", treatment="t").estimate == pytest.approx((1 - 3 / 15) * 3 / np.std([3, 5, 7, 1, 2, 3], ddof=1))
    assert (found.n_treated, found.n_comparison, found.scale) == (3, 3, "standard deviations, conditional")


def test_g_does_not_change_with_units_order_or_names():
    data, outcome, treatment = read("C")
    before = data.copy(deep=True)
    one = hedges_g(data, outcome, treatment=treatment, covariates=COVARIATES, cluster="school_id")
    pd.testing.assert_frame_equal(data, before)
    moved = data.sample(frac=1, random_state=1).assign(change=lambda d: 100 * d["change"] - 3, school_id=lambda d: "S" + d["school_id"].astype(str))
    other = hedges_g(moved, outcome, treatment=treatment, covariates=COVARIATES, cluster="school_id")
    assert (other.estimate, other.std_error) == pytest.approx((one.estimate, one.std_error), rel=1e-9)


def test_refusals():
    data, outcome, treatment = read("C")
    named = {"treatment": treatment, "cluster": "school_id"}
    with pytest.raises(DataError, match="is not known"):
        hedges_g(data, outcome, **named, scale="between")
    with pytest.raises(DataError, match="without a cluster"):
        hedges_g(data, outcome, treatment=treatment, scale="within")
    with pytest.raises(DataError, match="treatment varies within 4 of 16 clusters.*others were treated as a whole"):
        hedges_g(data, outcome, treatment="mentored", cluster="school_id")
    with pytest.raises(DataError, match="neither 0 nor 1"):
        hedges_g(data, outcome, treatment="weight")
    with pytest.raises(UnidentifiedError, match="fewer than two clusters"):
        hedges_g(data[data["treated_school"].eq(0) | data["school_id"].eq(data.loc[data["treated_school"].eq(1), "school_id"].iloc[0])], outcome, **named)
    with pytest.raises(DataError, match="missing or infinite"):
        hedges_g(data.assign(change=data["change"].where(data["fsm"] == 1)), outcome, **named)
    with pytest.raises(UnidentifiedError, match="single row"):
        intraclass_correlation(data.assign(row=range(len(data))), outcome, cluster="row")
    with pytest.raises(UnidentifiedError, match="combination of others"):
        intraclass_correlation(data.assign(again=data["fsm"] + 1), outcome, cluster="school_id", covariates=["fsm", "again"])
    with pytest.raises(UnidentifiedError, match="no variance within"):
        intraclass_correlation(data.assign(level=data["school_id"] * 1.0), "level", cluster="school_id")


@pytest.mark.parametrize("level", [0.0, 1.0, 94.3])
def test_a_constant_outcome_is_refused_whatever_its_level(level):
    """Taking out its mean leaves rounding, which has variances of its own."""
    data = pd.DataFrame({"school": np.repeat(np.arange(20), 10), "one": np.tile([0, 1], 100)}).assign(whole=lambda d: d["school"] % 2, y=level)
    for treatment in ("one", "whole"):
        with pytest.raises(UnidentifiedError, match="exactly"):
            hedges_g(data, "y", treatment=treatment, cluster="school")
    with pytest.raises(UnidentifiedError, match="exactly"):
        intraclass_correlation(data, "y", cluster="school")


def test_pairs_are_too_small_for_effects_that_vary():
    data = pd.DataFrame({"pair": np.repeat(np.arange(50), 2), "t": np.tile([0, 1], 50), "y": np.random.default_rng(0).normal(size=100)})
    with pytest.raises(UnidentifiedError, match="100 rows of 50 clusters cannot tell"):
        hedges_g(data, "y", treatment="t", cluster="pair", variance="conditional")
