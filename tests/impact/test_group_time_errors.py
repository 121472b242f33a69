"""Standard errors, bands, clusters and the bootstrap of group-time effects."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2, norm

from evaluation.errors import DataError
from evaluation.impact import group_time_effects
from evaluation.inference.bands import critical_of_draws
from tests.impact.test_group_time_properties import COLUMNS, PANEL, _panel

STEP = 1e-4
DERIVATIVE = 2e-6  # of a central difference with that step, relative to the largest influence
DRAWS = 4999
# Three standard errors of the interquartile estimate of a spread from that many draws (1.65 / sqrt(draws) each).
MONTE_CARLO = 3 * 1.65 / np.sqrt(DRAWS)


def _fit(panel=PANEL, **options):
    return group_time_effects(panel, "rate", **{**COLUMNS, "covariates": ["fsm", "prior"], **options})


@pytest.mark.parametrize("method", ["dr", "ipw", "reg"])
@pytest.mark.parametrize("shape", ["panel", "not_yet", "keep", "sections"])
def test_influence_is_the_derivative_by_a_units_weight(method, shape):
    """Exact for every estimator, doubly robust cross-sections included."""
    panel = PANEL.drop(PANEL.index[::17]) if shape == "keep" else PANEL
    options = {"keep": {"unbalanced": "keep"}, "sections": {"unit": None}, "not_yet": {"comparison": "not_yet", "base_period": "universal"}, "panel": {}}[shape]
    panel = panel.assign(weight=1.0 + (panel["pupil"] % 5) / 10).reset_index(drop=True)
    fit = _fit(panel, method=method, weights="weight", **options)
    influence = fit.influence_functions()
    for name in influence.index[[0, 101, 200]]:
        mine = panel.index == name if shape == "sections" else panel["pupil"] == name
        own = float(panel.loc[mine, "weight"].iloc[0])
        moved = [_fit(panel.assign(weight=panel["weight"] + sign * STEP * own * mine), method=method, weights="weight", **options).frame["estimate"]
                 for sign in (1, -1)]  # fmt: skip
        derivative = (moved[0] - moved[1]) / (2 * STEP)
        np.testing.assert_allclose(influence.loc[name], derivative, rtol=0, atol=DERIVATIVE * np.abs(influence.to_numpy()).max())


@pytest.mark.parametrize("kind", ["simple", "group", "event", "calendar"])
def test_averages_move_with_the_sizes_of_cohorts(kind):
    """Each pupil as a cluster of its own beside one cluster of all others: the clusters' sums cancel, so the error is that pupil's influence."""
    fit = _fit(weights="weight")
    pupil = 137
    alone = fit.with_clusters(pd.Series(fit.influence_functions().index == pupil, index=fit.influence_functions().index))
    assert np.isnan(alone.aggregate(kind).overall.std_error)  # all comparison units in one cluster: nothing is given unless asked past the guard
    alone = replace(alone, _errors=replace(alone._errors, presence=None))
    own = PANEL["pupil"] == pupil
    moved = [_fit(PANEL.assign(weight=PANEL["weight"] * (1 + sign * STEP * own)), weights="weight").aggregate(kind).overall.estimate for sign in (1, -1)]
    derivative = (moved[0] - moved[1]) / (2 * STEP)
    # The others' sum is the opposite, so that the two clusters' squares are twice the pupil's.
    assert alone.aggregate(kind).overall.std_error == pytest.approx(np.sqrt(2) * abs(derivative), rel=1e-4)


def test_errors_are_sums_of_squared_influence():
    fit = _fit()
    influence = fit.influence_functions()
    np.testing.assert_allclose(fit.frame["std_error"], np.sqrt((influence**2).sum()))
    np.testing.assert_allclose(fit.vcov, influence.T @ influence, atol=1e-15)
    schools = PANEL.drop_duplicates("pupil").set_index("pupil")["school"]
    sums = influence.groupby(schools.loc[influence.index].to_numpy()).sum()
    np.testing.assert_allclose(_fit(cluster="school").frame["std_error"], np.sqrt((sums**2).sum()))


@pytest.mark.parametrize("options", [{}, {"unbalanced": "keep"}, {"comparison": "not_yet"}])
def test_clusters_can_be_changed_without_a_refit(options):
    panel = PANEL.drop(PANEL.index[::17]) if "unbalanced" in options else PANEL
    schools = panel.drop_duplicates("pupil").set_index("pupil")["school"]
    want, got = _fit(panel, cluster="school", **options), _fit(panel, **options).with_clusters(schools)
    pd.testing.assert_frame_equal(got.frame, want.frame)
    pd.testing.assert_frame_equal(got.aggregate("event").frame, want.aggregate("event").frame)
    assert (got.clusters, got.kind) == (24, "analytic, clustered by school")
    back = want.with_clusters(None)
    pd.testing.assert_frame_equal(back.frame, _fit(panel, **options).frame)
    with pytest.raises(DataError, match="have no cluster"):
        want.with_clusters(schools.iloc[5:])


def test_clustering_by_unit_is_no_clustering():
    pd.testing.assert_frame_equal(_fit(cluster="pupil").frame, _fit().frame)
    pd.testing.assert_frame_equal(_fit().with_clusters(pd.Series(range(240), index=range(100, 340))).frame, _fit().frame)


@pytest.mark.parametrize("options", [{}, {"cluster": "school"}, {"unbalanced": "keep"}])
def test_bootstrap_agrees_with_the_analytic_errors(options):
    panel = PANEL.drop(PANEL.index[::17]) if "unbalanced" in options else PANEL
    analytic, drawn = _fit(panel, **options), _fit(panel, draws=DRAWS, seed=3, **options)
    np.testing.assert_array_equal(analytic.frame["estimate"], drawn.frame["estimate"])
    np.testing.assert_allclose(drawn.frame["std_error"], analytic.frame["std_error"], rtol=MONTE_CARLO)
    for kind in ("simple", "group", "event", "calendar"):
        left, right = analytic.aggregate(kind), drawn.aggregate(kind)
        assert right.overall.std_error == pytest.approx(left.overall.std_error, rel=MONTE_CARLO)
        assert right.critical_value == pytest.approx(left.critical_value, abs=0.15)
    assert drawn.pre_test == analytic.pre_test
    again = _fit(panel, draws=DRAWS, seed=3, **options)
    pd.testing.assert_frame_equal(drawn.frame, again.frame)
    assert not drawn.frame["std_error"].equals(_fit(panel, draws=DRAWS, seed=4, **options).frame["std_error"])


@pytest.mark.parametrize("options", [{}, {"cluster": "school"}])
def test_draws_spread_like_the_influence_they_are_made_of(options):
    """Cells and cohorts' sizes alike."""
    errors = _fit(draws=DRAWS, weights="weight", **options)._errors
    np.testing.assert_allclose(errors.drawn.std(axis=0), np.sqrt(np.diag(errors.moments)), rtol=MONTE_CARLO)
    assert errors.drawn.shape == (DRAWS, 12)


def test_bands_cover_all_rows_and_are_wider_than_intervals():
    for fit in (_fit(base_period="universal"), _fit(base_period="universal", draws=999)):
        for table, critical in ((fit.frame, fit.critical_value), (fit.aggregate("event").frame, fit.aggregate("event").critical_value)):
            rows = table[table["std_error"].notna()]
            assert norm.isf(0.025) < critical < norm.isf(0.025 / len(rows)) + 0.2  # between pointwise and Bonferroni, with room for few draws
            np.testing.assert_allclose(rows["band_high"] - rows["estimate"], critical * rows["std_error"])
            assert table.loc[table["std_error"].isna(), ["estimate", "reason"]].eq(0).sum().tolist() == [table["std_error"].isna().sum(), 0]
    assert _fit(conf_level=0.9).critical_value < _fit().critical_value


def test_the_critical_value_of_draws_is_an_order_statistic():
    drawn = np.column_stack([np.linspace(-4, 4, 1999), np.zeros(1999)])
    assert critical_of_draws(drawn, np.ones(2), conf_level=0.9) == pytest.approx(np.sort(np.abs(drawn[:, 0]))[1799])
    assert critical_of_draws(drawn / 100, np.ones(2)) == pytest.approx(norm.isf(0.025))
    with pytest.raises(DataError):
        critical_of_draws(drawn, np.array([1.0, 0.0]))


def test_the_detectable_slope_has_the_power_it_names():
    fit = _fit(base_period="universal")
    test = fit.pre_test
    rows = fit.frame[(fit.frame["event_time"] < 0) & fit.frame["std_error"].notna()]
    assert test.df == len(rows) == 4
    keys = list(zip(rows["start"], rows["time"], strict=True))
    covariance = fit.vcov.loc[keys, keys].to_numpy()
    assert test.statistic == pytest.approx(rows["estimate"] @ np.linalg.solve(covariance, rows["estimate"]))
    drift = test.detectable_slope * (rows["time"] - rows["base_time"]).to_numpy()
    drawn = np.random.default_rng(0).multivariate_normal(drift, covariance, 40_000)
    found = (np.einsum("ij,jk,ik->i", drawn, np.linalg.inv(covariance), drawn) > chi2.isf(0.05, test.df)).mean()
    assert found == pytest.approx(0.8, abs=3 * np.sqrt(0.16 / 40_000))


def test_the_slope_does_not_depend_on_the_base():
    """Steps from period to period and distances from one base hold the same information about a steady drift."""
    assert _fit(covariates=[], base_period="varying").pre_test.detectable_slope == pytest.approx(
        _fit(covariates=[], base_period="universal").pre_test.detectable_slope)  # fmt: skip


def test_too_few_clusters_for_the_joint_test_are_said():
    panel = PANEL.assign(school=PANEL["school"] % 4)
    fit = _fit(panel, cluster="school")
    assert np.isnan(fit.pre_test.statistic)
    assert "4 clusters cannot carry a joint test of 4 cells" in fit.pre_test.reason
    assert any("4 clusters" in sentence and "fragile" in sentence for sentence in fit.warnings)
    assert not any("fragile" in sentence for sentence in fit.with_clusters(None).warnings)


def test_results_show_themselves():
    fit = _fit(_small_ids(), cluster="school")
    for thing in (fit, fit.aggregate("event"), fit.pre_test):
        assert repr(thing)
        assert thing._repr_html_().startswith("<p>")
    assert "&lt;b&gt;" in _fit(PANEL.assign(**{"<b>": PANEL["school"]}), cluster="<b>")._repr_html_()


def _small_ids() -> pd.DataFrame:
    return PANEL.assign(pupil=PANEL["pupil"].astype(str))


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"unbalanced": "keep"}])
def test_intervals_and_bands_cover_at_their_level(options):
    """Of 500 samples of 600 pupils, the true -2 at every event time from 0 on and 0 before: intervals cover 95% of them, bands all at once."""
    samples, inside, all_inside = 500, [], []
    for seed in range(samples):
        panel = _panel(1000 + seed, pupils=600)
        if options:
            panel = panel[np.random.default_rng(seed).random(len(panel)) > 0.05]
        table = _fit(panel, **options).aggregate("event").frame
        truth = np.where(table["event_time"] >= 0, -2.0, 0.0)
        inside.append(((table["conf_low"] <= truth) & (truth <= table["conf_high"])).mean())
        all_inside.append(((table["band_low"] <= truth) & (truth <= table["band_high"])).all())
    error = 3 * np.sqrt(0.05 * 0.95 / samples)
    assert np.mean(inside) == pytest.approx(0.95, abs=error)
    assert np.mean(all_inside) == pytest.approx(0.95, abs=error)


@pytest.mark.parametrize("draws", [0, 99])
def test_an_arm_within_one_cluster_has_no_standard_error(draws):
    """The influences of an arm add up to zero, so that one cluster's sum says nothing of that arm."""
    panel = PANEL.assign(school=PANEL["pupil"] % 10)
    cohort = panel["start"].max()
    some = group_time_effects(panel[panel["start"].ne(cohort) | panel["school"].eq(3)], "rate", cluster="school", draws=draws, **COLUMNS)
    gone = some.frame["start"].eq(cohort)
    assert some.frame.loc[gone, "std_error"].isna().all() and some.frame.loc[~gone, "std_error"].gt(0).all()
    assert some.frame["estimate"].notna().all() and np.isnan(np.diag(some.vcov))[gone].all() and some.pre_test.p_value >= 0
    assert any("have their treated or their comparison units within one cluster by school" in note for note in some.warnings)
    # An average over cohorts in several schools has one: their spread enters through the cohorts' sizes.
    assert some.aggregate("simple").overall.std_error > 0 and np.isnan(some.aggregate("group").frame["std_error"].iloc[-1])
    assert np.isfinite(some.aggregate("group").frame[["band_low", "band_high"]].iloc[0]).all()
    one_school = panel["start"].eq(0) & panel["school"].ne(3), panel["start"].gt(0) & panel["school"].ne(3)
    for left_out in one_school:
        fit = group_time_effects(panel[~left_out], "rate", cluster="school", draws=draws, **COLUMNS)
        assert fit.frame["std_error"].isna().all() and np.isnan(fit.aggregate("simple").overall.std_error) and np.isfinite(fit.aggregate("simple").overall.estimate)
