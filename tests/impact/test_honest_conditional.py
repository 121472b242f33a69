"""The hybrid test behind relative magnitudes: against linear programmes, simulated critical values, HonestDiD's other lines, and for size."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import linprog
from scipy.special import ndtri

from evaluation.impact import honest_conditional
from evaluation.impact.honest_conditional import Vertices, excess_range, least_favourable_value, p_value, relative_vertices
from evaluation.impact.honest_input import read_event_study

RESULTS = Path(__file__).parents[1] / "reference" / "results"
# HonestDiD reports the kept points of a grid, with a simulated critical value.
GRID_STEPS = 2
# A linear programme is solved to about this.
PROGRAMME = 1e-7
# Standard errors of a simulated share beyond which it is called wrong.
MONTE_CARLO = 4

TARGETS = {"first": [1.0, 0.0, 0.0], "average": [1 / 3] * 3}


def random_study(seed, n_pre, n_post, shift=0.0):
    draws = np.random.default_rng(seed)
    count = n_pre + n_post
    spread = draws.normal(size=(count, count + 2))
    times = np.cumsum(draws.integers(1, 4, count + 1))
    reference = times[n_pre]
    estimates = draws.normal(size=count) + shift * draws.normal(size=count)
    return read_event_study(estimates, spread @ spread.T / count, n_pre, n_post, draws.normal(size=n_post), np.delete(times, n_pre), reference)


def inequalities(study, m, early):
    """Rows whose product with departures from parallel trends must not be positive: steps after the start within their bounds."""
    late = study.slopes[study.n_pre :]
    return np.concatenate([late - m * early, -late - m * early])


def reference_study(target):
    table = pd.read_csv(RESULTS / "honest_input.csv")
    return read_event_study(table["estimate"], table.filter(regex="^X").to_numpy(), 3, 3, TARGETS[target], None, -1.0)


def worst_excess(study, m, early, null):
    """The test statistic from its definition: least worst studentised inequality over effects after the start that give the null value."""
    rows = inequalities(study, m, early)
    spread = np.sqrt(np.einsum("ij,jk,ik->i", rows, study.vcov, rows))
    effects = rows[:, study.n_pre :]
    found = linprog(
        np.r_[1.0, np.zeros(len(study.target))],
        A_ub=np.column_stack([-spread, -effects]), b_ub=-rows @ study.estimates,
        A_eq=np.r_[0.0, study.target][None], b_eq=[null], bounds=(None, None),
    )  # fmt: skip
    assert found.success
    return found.fun


@pytest.mark.parametrize(("n_pre", "n_post"), [(1, 1), (2, 1), (2, 2), (1, 4), (3, 5)])
def test_the_largest_vertex_is_the_statistic_by_linear_programming(n_pre, n_post):
    study = random_study(n_pre + 10 * n_post, n_pre, n_post)
    m = 0.7
    vertices = relative_vertices(study, m)
    early = study.slopes[:n_pre]
    for excess in (-6.0, -0.5, 0.0, 0.4, 5.0):
        ours = (vertices.directions[:, :, 0] * excess + vertices.directions[:, :, 1] * vertices.early[:, None]).max(axis=1)
        programme = [worst_excess(study, m, step, study.effect - excess) for step in np.concatenate([early, -early])]
        np.testing.assert_allclose(ours, programme, rtol=PROGRAMME, atol=PROGRAMME)


def test_the_critical_value_is_exceeded_as_often_as_it_says():
    draws = np.random.default_rng(7)
    for m in (0.0, 0.3, 2.0):
        vertices = relative_vertices(random_study(11, 2, 3), m)
        value = least_favourable_value(vertices, 0.05)
        for case in range(len(value)):
            pair = draws.multivariate_normal([0, 0], vertices.covariance[case], size=100_000)
            share = ((pair @ vertices.directions[case].T).max(axis=1) > value[case]).mean()
            assert abs(share - 0.05) < MONTE_CARLO * np.sqrt(0.05 * 0.95 / 100_000)


def test_the_critical_value_of_one_line_is_the_normal_quantile():
    for correlation in (0.0, 1.0):  # perfectly correlated: still one line
        covariance = np.array([[[4.0, 2.0 * correlation], [2.0 * correlation, 1.0]]])
        two_sided = Vertices(np.array([[[0.5, 0], [-0.5, 0], [0, 0]]]), np.zeros((1, 3)), np.zeros(1), covariance)
        np.testing.assert_allclose(least_favourable_value(two_sided, 0.01), -ndtri(0.005), rtol=1e-9)


@pytest.mark.parametrize(("seed", "m"), [(5, 0.6), (7, 3.0), (9, 1.0)])  # the last two also have vertices that overtake from below
def test_conditional_p_values_follow_from_where_the_largest_vertex_stays_the_largest(seed, m):
    vertices = relative_vertices(random_study(seed, 2, 3, shift=2.0), m)
    without = np.full(len(vertices.early), np.inf)
    spread = vertices.directions @ vertices.covariance @ vertices.directions.transpose(0, 2, 1)
    seen = 0
    for excess in np.linspace(-8, 8, 9):
        got = p_value(vertices, np.full((len(vertices.early), 1), excess), without)[:, 0]
        for case in range(len(got)):
            values = vertices.directions[case, :, 0] * excess + vertices.directions[case, :, 1] * vertices.early[case]
            top = values.argmax()
            if values[top] <= 0:
                assert got[case] == 1
                continue
            # Move the largest vertex along a fine grid, the others with it as far as they are correlated, and see where it stays the largest.
            deviation = np.sqrt(spread[case, top, top])
            moved = values[top] + deviation * np.linspace(-12, 12, 240_001)
            others = values[:, None] + np.outer(spread[case, :, top] / deviation**2, moved - values[top])
            stays = others.max(axis=0) <= moved + 1e-12
            density = np.where(stays, np.exp(-((moved / deviation) ** 2) / 2), 0.0)
            assert got[case] == pytest.approx(density[moved >= values[top]].sum() / density.sum(), abs=2e-3)
            seen += 1
    assert seen > 15


def kept_anywhere(vertices, excess, cap, size):
    return bool((p_value(vertices, np.full((len(vertices.early), 1), excess), cap) >= size).any())


@pytest.mark.parametrize("target", TARGETS)
def test_the_conditional_test_alone_agrees_with_honestdid(target):
    wanted = pd.read_csv(RESULTS / "honestdid.csv").query("method == 'Conditional' and l_vec == @target").iloc[0]
    study = reference_study(target)
    vertices = relative_vertices(study, wanted["M"])
    alone = np.full(len(vertices.early), np.inf)
    room = GRID_STEPS * wanted["grid_step"]
    for end, outward in ((wanted["lb"], -1), (wanted["ub"], 1)):
        assert kept_anywhere(vertices, study.effect - (end - outward * room), alone, 0.05)
        assert not kept_anywhere(vertices, study.effect - (end + outward * room), alone, 0.05)


@pytest.mark.parametrize("target", TARGETS)
def test_the_hybrid_for_smoothness_agrees_with_honestdid(target):
    """Bends from the start on lie within m; the trend over the last gap before it is carried on."""
    wanted = pd.read_csv(RESULTS / "honestdid.csv").query("restriction == 'DeltaSD' and method == 'C-LF' and l_vec == @target").iloc[0]
    study, m = reference_study(target), wanted["M"]
    carried, late = study.carried(study.bends), study.bends[study.n_pre - 1 :]
    spread = np.sqrt(np.diag(late @ study.vcov @ late.T))
    scale, weights = np.abs(carried) @ spread, late.T @ carried
    slopes = np.r_[1 / scale, -1 / scale, np.zeros(len(late))]
    constants = -m * np.r_[np.full(2, np.abs(carried).sum() / scale), 1 / spread]
    covariance = np.array([[[weights @ study.vcov @ weights, 0], [0, 0]]])
    vertices = Vertices(np.stack([slopes, np.zeros_like(slopes)], axis=1)[None], constants[None], np.zeros(1), covariance)
    low, high = excess_range(vertices, 0.95)
    got = weights @ study.estimates - np.array([high, low])
    np.testing.assert_allclose(got, [wanted["lb"], wanted["ub"]], rtol=0, atol=GRID_STEPS * wanted["grid_step"])


@pytest.mark.parametrize("m", [0.2, 1.0, 4.0])
def test_the_ends_are_those_of_a_fine_grid(m):
    for seed in range(3):
        study = random_study(seed, 3, 3, shift=1.5)
        vertices = relative_vertices(study, m)
        low, high = excess_range(vertices, 0.95)
        reach = high - low
        grid = np.linspace(low - reach, high + reach, 3001)
        cap, size = least_favourable_value(vertices, 0.005), 0.045 / 0.995
        kept = grid[(p_value(vertices, np.broadcast_to(grid, (len(cap), len(grid))), cap) >= size).any(axis=0)]
        step, rounding = grid[1] - grid[0], 1e-10 * reach
        assert low - rounding <= kept[0] <= low + step
        assert high - step <= kept[-1] <= high + rounding


def test_the_ends_do_not_depend_on_how_finely_they_are_looked_for(monkeypatch):
    several = [relative_vertices(random_study(seed, 3, 3, shift=1.5), m) for seed in range(4) for m in (0.2, 4.0)]
    fine = [excess_range(vertices, 0.95) for vertices in several]
    monkeypatch.setattr(honest_conditional, "GRID", 2)
    np.testing.assert_allclose([excess_range(vertices, 0.95) for vertices in several], fine, rtol=1e-9)


def coverage(study, departure, m, draws, seed):
    """Share of draws whose interval keeps the effect when the departure is the only thing that is seen."""
    vertices = relative_vertices(study, m)
    cases, size = len(vertices.early), 0.045 / 0.995
    drawn = np.random.default_rng(seed).multivariate_normal(departure, study.vcov, size=draws)
    early = study.slopes[: study.n_pre]
    steps = drawn @ np.concatenate([early, -early]).T
    repeated = Vertices(*(np.tile(part, (draws,) + (1,) * (part.ndim - 1)) for part in (vertices.directions, vertices.constants)),
                        steps.ravel(), np.tile(vertices.covariance, (draws, 1, 1)))  # fmt: skip
    excess = np.repeat(drawn[:, study.n_pre :] @ study.target, cases)
    cap = np.tile(least_favourable_value(vertices, 0.005), draws)
    kept = p_value(repeated, excess[:, None], cap)[:, 0] >= size
    return kept.reshape(draws, cases).any(axis=1).mean()


def worst_departure(study, m, step):
    """Before the start one step of this size and none else; after it every step as large as allowed, to add up to the most."""
    early = np.zeros(study.n_pre)
    early[-1] = step
    late = m * step * np.sign(study.carried(study.slopes))
    return np.linalg.solve(study.slopes, np.r_[early, late])


def check_coverage(draws):
    for seed, n_pre, n_post in ((1, 2, 2), (2, 4, 4), (3, 1, 1)):
        study = random_study(seed, n_pre, n_post)
        for m in (0.5, 2.0):
            for step in (0.0, 1.0, 20.0):
                share = coverage(study, worst_departure(study, m, step), m, draws, seed)
                assert share > 0.95 - MONTE_CARLO * np.sqrt(0.05 * 0.95 / draws), (seed, m, step, share)
                if step == 20.0:  # one case alone is left and its bound is met: nothing to spare
                    assert share < 0.96 + MONTE_CARLO * np.sqrt(0.05 * 0.95 / draws), (seed, m, step, share)


def test_worst_departures_are_covered():
    check_coverage(2_000)


@pytest.mark.slow
def test_worst_departures_are_covered_over_many_draws():
    check_coverage(20_000)


def test_departures_beyond_the_bound_are_not_covered():
    study = random_study(1, 2, 2)
    assert coverage(study, worst_departure(study, 3.0, 20.0), 1.0, 500, 0) < 0.05
