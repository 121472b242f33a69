"""The shortest interval of fixed length: valid for the worst trend, shorter than any other, against a general optimiser."""

import numpy as np
import pytest
from scipy.optimize import linprog, minimize
from scipy.special import ndtr, ndtri

from evaluation.impact.honest_flci import bend_weights, folded_normal_quantile, shortest_interval
from evaluation.impact.honest_input import read_event_study
from evaluation.impact.honest_restrictions import EventStudy

# Two exact routes to one number.
ROUNDING = 1e-9
# A general optimiser stops about here, relative to the length; it may only stop above the shortest.
OPTIMISER = 1e-6


def random_study(seed, n_pre, n_post):
    draws = np.random.default_rng(seed)
    count = n_pre + n_post
    spread = draws.normal(size=(count, count + 2))
    times = np.cumsum(draws.integers(1, 4, count + 1))
    return read_event_study(np.zeros(count), spread @ spread.T / count, n_pre, n_post, draws.normal(size=n_post),
                            np.delete(times, n_pre), times[n_pre])  # fmt: skip


def centre_and_half_length(study, m, level=0.95):
    low, high = shortest_interval(bend_weights(study), m, level)
    return (low + high) / 2, (high - low) / 2


def estimator(study, m):
    """Weights on the estimates: the centre is linear in them and the length does not depend on them."""
    units = np.eye(len(study.estimates))
    return np.array([centre_and_half_length(EventStudy(unit, study.vcov, study.n_pre, study.target, study.gaps), m)[0] for unit in units])


def worst_trend(study, m, weights):
    """The departure with bends within m that moves an estimator most, by linear programming."""
    bends = study.bends
    found = linprog(-weights, A_ub=np.concatenate([bends, -bends]), b_ub=np.full(2 * len(bends), m), bounds=(None, None))
    assert found.success
    return found.x


@pytest.mark.parametrize("mean", [0.0, 1e-6, 0.3, 1.0, 4.0, 40.0, 1e6])
@pytest.mark.parametrize("level", [0.1, 0.5, 0.95, 0.999])
def test_quantiles_of_the_folded_normal(mean, level):
    value = folded_normal_quantile(mean, level)
    assert value >= 0
    assert ndtr(value - mean) - ndtr(-value - mean) == pytest.approx(level, abs=1e-9)


def test_the_quantile_of_a_centred_normal_is_two_sided():
    assert folded_normal_quantile(0.0, 0.95) == pytest.approx(ndtri(0.975), rel=ROUNDING)


@pytest.mark.parametrize(("n_pre", "n_post"), [(1, 1), (2, 2), (4, 3)])
@pytest.mark.parametrize("m", [0.0, 0.02, 0.3, 5.0])
def test_the_worst_trend_is_covered_exactly_as_often_as_it_should_be(n_pre, n_post, m):
    study = random_study(n_pre, n_pre, n_post)
    weights = estimator(study, m)
    np.testing.assert_allclose(weights[n_pre:], study.target, atol=1e-8)  # an effect after the start moves the centre by itself
    _, half_length = centre_and_half_length(study, m)
    bias, std_error = weights @ worst_trend(study, m, weights), np.sqrt(weights @ study.vcov @ weights)
    covered = ndtr((half_length - bias) / std_error) - ndtr((-half_length - bias) / std_error)
    assert covered == pytest.approx(0.95, abs=1e-7)


@pytest.mark.parametrize(("n_pre", "n_post"), [(2, 1), (3, 3), (6, 2)])
@pytest.mark.parametrize("m", [0.005, 0.05, 0.5])
def test_no_other_estimator_gives_a_shorter_interval(n_pre, n_post, m):
    study = random_study(100 + n_pre, n_pre, n_post)
    weights = bend_weights(study)

    def half_length(parts):
        # Coefficients on early bends as differences of two positive parts, so that the length is smooth.
        free = parts[: n_pre - 1] - parts[n_pre - 1 :]
        combined = weights.fixed + weights.early.T @ free
        std_error = np.sqrt(combined @ study.vcov @ combined)
        return std_error * folded_normal_quantile(m * (weights.fixed_size + parts.sum()) / std_error, 0.95)

    _, ours = centre_and_half_length(study, m)
    start = np.full(2 * (n_pre - 1), 0.1)
    found = minimize(half_length, start, bounds=[(0, None)] * len(start), method="SLSQP", options={"ftol": 1e-14, "maxiter": 1000})
    assert ours * (1 - ROUNDING) <= found.fun <= ours * (1 + OPTIMISER)


@pytest.mark.parametrize("spread", ["random", "persistent", "independent", "equal", "nearly singular"])
def test_the_path_meets_the_conditions_of_its_optimum(spread):
    """No duality gap anywhere on the path, also where columns tie and where the covariance is badly conditioned."""
    draws = np.random.default_rng(8)
    for n_pre in (1, 2, 7, 20):
        count = n_pre + 3
        distance = np.abs(np.subtract.outer(range(count), range(count)))
        drawn = draws.normal(size=(count, count + 2))
        scales = np.exp(draws.normal(size=count))
        vcov = {"random": drawn @ drawn.T, "persistent": 0.95**distance, "independent": np.eye(count), "equal": np.eye(count) + 1,
                "nearly singular": (0.999 + 0.001 * np.eye(count)) * np.outer(scales, scales)}[spread]  # fmt: skip
        study = read_event_study(np.zeros(count), vcov, n_pre, 3, [1 / 3] * 3, None, -1.0)
        weights = bend_weights(study)
        assert np.all(weights.path[-1] == 0)
        for share in (0.001, 0.03, 0.3, 0.9, 1.0):
            penalty = share * weights.penalties[-1]
            free = np.array([np.interp(penalty, weights.penalties, column) for column in weights.path.T])
            combined = weights.fixed + weights.early.T @ free
            variance, slopes = combined @ vcov @ combined, weights.early @ vcov @ combined
            feasible = min(1.0, penalty / np.abs(slopes).max(initial=penalty)) if penalty else 1.0
            dual = feasible * (combined @ vcov @ weights.fixed) - feasible**2 * variance / 2
            assert variance / 2 + penalty * np.abs(free).sum() == pytest.approx(dual, rel=1e-8)


def test_with_large_bends_only_the_last_gap_is_carried_on():
    study = random_study(3, 4, 1)
    weights = estimator(study, 1e4)
    np.testing.assert_allclose(weights[:3], 0, atol=1e-7)
    # The last gap before the reference, as a slope, over the first gap after it.
    assert weights[3] == pytest.approx(study.target[0] * study.gaps[4] / study.gaps[3], abs=1e-7)


def test_the_length_is_continuous_where_the_penalty_sets_in():
    study = random_study(4, 5, 2)
    lengths = np.array([centre_and_half_length(study, m)[1] for m in (0, 1e-12, 1e-9)])
    np.testing.assert_allclose(lengths, lengths[0], rtol=1e-6)
    assert np.all(np.diff(lengths) >= -1e-12 * lengths[0])
