"""Simultaneous bands: critical values by integration, by draws, in degenerate cases; refusals."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import brentq
from scipy.stats import chi2, norm, t

from evaluation.errors import DataError, UnidentifiedError
from evaluation.inference import simultaneous_band

NAMES = ["-2", "-1", "0", "1"]
ESTIMATES = pd.Series([0.1, -0.2, 0.9, 1.4], index=NAMES)
# Monte Carlo error of the 95% quantile from 99,999 draws: sqrt(0.05 * 0.95 / 99,999) / density (about 0.1) = 0.007; three of them.
CRITICAL_ERROR, MANY = 0.02, 99_999
# Sums in another order differ by rounding only.
ROUNDING = 1e-10


def covariance(correlation, sizes=(1.0, 0.5, 2.0, 0.1)):
    matrix = np.full((4, 4), correlation)
    np.fill_diagonal(matrix, 1.0)
    return pd.DataFrame(matrix * np.outer(sizes, sizes), index=NAMES, columns=NAMES)


def equicorrelated_critical(k, rho, level=0.95):
    """P(max |Z| <= c) = E[(Phi((c - sqrt(rho) U) / sqrt(1 - rho)) - Phi((-c - sqrt(rho) U) / sqrt(1 - rho)))^k], U normal."""
    points, weights = np.polynomial.hermite_e.hermegauss(80)

    def held(c):
        inside = norm.cdf((c - rho**0.5 * points) / (1 - rho) ** 0.5) - norm.cdf((-c - rho**0.5 * points) / (1 - rho) ** 0.5)
        return weights @ inside**k / weights.sum() - level

    return brentq(held, 1, 5)


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_gaussian_critical_value_agrees_with_integration(rho):
    band = simultaneous_band(ESTIMATES, covariance(rho), draws=MANY)
    assert band.critical == pytest.approx(equicorrelated_critical(4, rho), abs=CRITICAL_ERROR)
    assert band.pointwise_critical == pytest.approx(1.959964, abs=1e-6)
    assert band.method == "gaussian"


def test_band_is_the_critical_value_times_the_standard_error():
    band = simultaneous_band(ESTIMATES, covariance(0.5))
    frame = band.frame
    assert frame["term"].tolist() == NAMES and frame["std_error"].tolist() == pytest.approx([1.0, 0.5, 2.0, 0.1])
    np.testing.assert_allclose(frame["band_high"] - frame["estimate"], band.critical * frame["std_error"])
    np.testing.assert_allclose(frame["estimate"] - frame["conf_low"], band.pointwise_critical * frame["std_error"])
    assert (frame["band_low"] < frame["conf_low"]).all()


@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_critical_value_lies_between_pointwise_and_bonferroni(level):
    for rho in (0.0, 0.999999, 1.0):
        band = simultaneous_band(ESTIMATES, covariance(rho), conf_level=level, draws=999)
        assert band.pointwise_critical <= band.critical <= norm.ppf(1 - (1 - level) / 8) + 1e-12


def test_one_estimate_has_its_pointwise_interval():
    band = simultaneous_band([2.0], [[4.0]])
    assert band.critical == band.pointwise_critical
    assert band.frame["band_high"].iloc[0] == pytest.approx(2 + 1.959964 * 2, abs=1e-5)


def test_degrees_of_freedom_widen_the_band():
    wide = simultaneous_band(ESTIMATES, covariance(0.0), df=5, draws=MANY)
    assert wide.pointwise_critical == pytest.approx(t.ppf(0.975, 5))
    # Four independent normals over one root of chi-squared / 5, that root integrated over 4,000 quantiles.
    scale = np.sqrt(chi2.ppf((np.arange(4000) + 0.5) / 4000, 5) / 5)
    exact = brentq(lambda c: ((2 * norm.cdf(c * scale) - 1) ** 4).mean() - 0.95, 1, 10)
    assert wide.critical == pytest.approx(exact, abs=3 * CRITICAL_ERROR)  # a heavier tail: the quantile's density is a third


@pytest.mark.parametrize("df", [np.inf, float("inf"), 1e12])
def test_infinite_degrees_of_freedom_are_the_normal_distribution(df):
    band = simultaneous_band([1.0, 2.0], np.eye(2), df=df, draws=MANY)
    assert band.critical == pytest.approx(equicorrelated_critical(2, 0.0), abs=CRITICAL_ERROR)  # 2.236
    if np.isinf(df):
        normal = simultaneous_band([1.0, 2.0], np.eye(2), draws=MANY)
        assert (band.critical, band.df) == (normal.critical, None)


def test_a_mapping_names_its_estimates():
    series, mapping = simultaneous_band(ESTIMATES, covariance(0.5), draws=999), simultaneous_band(ESTIMATES.to_dict(), covariance(0.5), draws=999)
    pd.testing.assert_frame_equal(series.frame, mapping.frame)
    pd.testing.assert_frame_equal(series.frame, simultaneous_band(ESTIMATES.astype(object), covariance(0.5), draws=999).frame)
    with pytest.raises(DataError, match="other labels than the estimates, or another order"):
        simultaneous_band(ESTIMATES.to_dict(), covariance(0.5).iloc[::-1, ::-1])


# Influence functions


def influence_rows(n=300, rho=0.5, seed=0):
    rng = np.random.default_rng(seed)
    return (rho**0.5 * rng.normal(size=(n, 1)) + (1 - rho) ** 0.5 * rng.normal(size=(n, 4))) * [1.0, 0.5, 2.0, 0.1]


def test_multiplier_band_has_the_analytic_standard_errors_and_the_normal_critical_value():
    rows = influence_rows()
    band = simultaneous_band(ESTIMATES, influence=rows, draws=MANY)
    np.testing.assert_allclose(band.frame["std_error"], np.sqrt((rows**2).sum(axis=0)) / len(rows))
    correlated = simultaneous_band(ESTIMATES, np.cov(rows.T, bias=True) / len(rows), seed=1, draws=MANY)
    assert band.critical == pytest.approx(correlated.critical, abs=2 * CRITICAL_ERROR)
    assert (band.method, band.clusters) == ("multiplier", 300)


def test_clusters_are_drawn_as_wholes():
    rows = influence_rows(600)
    doubled, labels = np.repeat(rows, 5, axis=0), np.repeat([f"s{i}" for i in range(600)], 5)
    plain, clustered = simultaneous_band(ESTIMATES, influence=rows), simultaneous_band(ESTIMATES, influence=doubled, clusters=labels)
    assert clustered.clusters == 600 and clustered.critical == pytest.approx(plain.critical, rel=ROUNDING)
    np.testing.assert_allclose(clustered.frame["std_error"], plain.frame["std_error"])
    ignored = simultaneous_band(ESTIMATES, influence=doubled, draws=999).frame["std_error"]
    np.testing.assert_allclose(plain.frame["std_error"], 5**0.5 * ignored)


def test_a_seed_repeats_and_another_differs():
    one, again, other = (simultaneous_band(ESTIMATES, influence=influence_rows(100), draws=999, seed=seed) for seed in (1, 1, 2))
    assert one.critical == again.critical != other.critical


@pytest.mark.parametrize("kind", ["vcov", "influence"])
def test_a_reference_period_keeps_its_estimate_and_is_named(kind):
    estimates = pd.Series([0.1, 0.0, 0.9, 1.4], index=NAMES)
    keep = np.array([1.0, 0.0, 1.0, 1.0])
    with_reference = {"vcov": covariance(0.5) * np.outer(keep, keep)} if kind == "vcov" else {"influence": influence_rows(300) * keep}
    without = {"vcov": covariance(0.5).drop(index="-1", columns="-1")} if kind == "vcov" else {"influence": influence_rows(300)[:, [0, 2, 3]]}
    band = simultaneous_band(estimates, **with_reference, draws=9999)
    assert band.critical == simultaneous_band(estimates.drop("-1"), **without, draws=9999).critical
    row = band.frame.set_index("term").loc["-1"]
    assert row[["std_error", "band_low", "band_high"]].tolist() == [0, 0, 0]
    assert band.warnings == ("Without variance, so left out of the band's making: -1.",)


# Refusals


def test_a_covariance_that_is_none_is_refused():
    matrix = covariance(0.5).to_numpy()
    impossible = np.array([[1.0, 0.9, -0.9], [0.9, 1.0, 0.9], [-0.9, 0.9, 1.0]])
    with pytest.raises(DataError, match="not positive semi-definite.*eigenvalue of -0.8"):
        simultaneous_band([1.0, 2.0, 3.0], impossible)
    with pytest.raises(DataError, match="not symmetric"):
        simultaneous_band(ESTIMATES, matrix + np.triu(np.ones((4, 4)), 1))
    with pytest.raises(DataError, match="a variance is negative"):
        simultaneous_band([1.0, 2.0], np.diag([1.0, -1.0]))
    with pytest.raises(DataError, match="estimate 1: an estimate without variance has covariances"):
        simultaneous_band([1.0, 2.0], [[1.0, 0.5], [0.5, 0.0]])


def test_a_singular_covariance_is_taken():
    # Two estimates that are one: the band of one.
    band = simultaneous_band([1.0, 2.0], [[1.0, 2.0], [2.0, 4.0]])
    assert band.critical == pytest.approx(band.pointwise_critical, abs=CRITICAL_ERROR)


@pytest.mark.parametrize(("change", "error", "message"), [
    ({"vcov": None}, DataError, "a covariance or influence functions, one of the two"),
    ({"influence": np.ones((5, 4))}, DataError, "a covariance or influence functions, one of the two"),
    ({"clusters": [1, 2]}, DataError, "clusters belong to influence functions"),
    ({"vcov": np.eye(3)}, DataError, r"covariance has shape \(3, 3\)"),
    ({"vcov": np.full((4, 4), np.nan)}, DataError, "missing or infinite"),
    ({"vcov": covariance(0.5).iloc[::-1, ::-1]}, DataError, "other labels than the estimates, or another order"),
    ({"vcov": np.zeros((4, 4))}, UnidentifiedError, "no estimate has a variance"),
    ({"vcov": None, "influence": influence_rows(10), "clusters": [1] * 10}, UnidentifiedError, "fewer than two clusters"),
    ({"vcov": None, "influence": influence_rows(10), "clusters": [1] * 9}, DataError, "9 clusters for 10 rows"),
    ({"vcov": None, "influence": influence_rows(10), "clusters": [1] * 9 + [None]}, DataError, "row 10: a row has no cluster"),
    ({"estimates": ESTIMATES.where(ESTIMATES > 0)}, DataError, "estimate -1: an estimate is missing"),
    ({"draws": 10}, DataError, "10 draws cannot give a 95% quantile"),
    ({"df": 0}, DataError, "0 degrees of freedom"),
    ({"df": -np.inf}, DataError, "-inf degrees of freedom"),
    ({"df": np.nan}, DataError, "nan degrees of freedom"),
    ({"df": "7"}, DataError, "'7' degrees of freedom"),
    ({"df": 1e-4}, DataError, "no finite quantile"),
    ({"conf_level": "0.95"}, DataError, "'0.95' is no confidence level"),
    ({"conf_level": None}, DataError, "None is no confidence level"),
    ({"seed": -1}, DataError, "-1 is no seed"),
    ({"draws": "9999"}, DataError, "'9999' draws cannot give"),
    ({"estimates": None}, DataError, "NoneType is no series, mapping or list"),
    ({"estimates": 0.5}, DataError, "float is no series, mapping or list"),
    ({"estimates": {1.0, 2.0, 3.0, 4.0}}, DataError, "set is no series, mapping or list"),
    ({"estimates": ESTIMATES.to_frame().T}, DataError, "DataFrame is no series, mapping or list"),
    ({"estimates": "1234"}, DataError, "str is no series, mapping or list"),
    ({"estimates": ["a", "b", "c", "d"]}, DataError, "an estimate is not a number"),
    ({"estimates": []}, DataError, "there is no estimate"),
    ({"estimates": ESTIMATES.set_axis(["a", "b", "a", "c"])}, DataError, "estimate a: an estimate is named twice"),
    ({"vcov": [["a"] * 4] * 4}, DataError, "the covariance is not made of numbers"),
    ({"vcov": "text"}, DataError, "the covariance is not made of numbers"),
    ({"vcov": None, "influence": np.full((5, 4), "a")}, DataError, "the table of influence functions is not made of numbers"),
    ({"vcov": None, "influence": pd.DataFrame(influence_rows(10), columns=NAMES[::-1])}, DataError, "influence functions have other labels"),
    ({"vcov": None, "influence": influence_rows(10), "clusters": 3}, DataError, "one int stands for 10 rows"),
    ({"conf_level": 95}, DataError, "no confidence level"),
])  # fmt: skip
def test_requests_without_sense_are_refused(change, error, message):
    with pytest.raises(error, match=message):
        simultaneous_band(**{"estimates": ESTIMATES, "vcov": covariance(0.5)} | change)


def test_inputs_are_left_alone_and_results_print():
    matrix = covariance(0.5)
    before = matrix.copy()
    band = simultaneous_band(ESTIMATES, matrix, draws=999)
    pd.testing.assert_frame_equal(matrix, before)
    assert "95% band, gaussian, 999 draws" in repr(band) and "<table" in band._repr_html_()
