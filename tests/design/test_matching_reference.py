"""Agreement of every matching method with MatchIt 4.7.2, WeightIt and optimal solutions."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import linprog
from scipy.sparse import kron, vstack

from evaluation.design import balance, match, propensity_weights
from evaluation.design.assignment import _cheapest_cover
from evaluation.design.covariates import numeric_columns
from evaluation.design.distance import distance_columns
from evaluation.design.propensity import propensity_score
from evaluation.inference import linear
from tests.design.matching_invariants import pair_set
from tests.design.matching_reference import FULL, ON, OPTIMAL, PAIRED, SETS, options_of, reference, reference_pupils, rescaled

SCORE = 1e-8  # R stops its logit when the deviance changes by less than 1e-8 of itself
ROUNDING = 1e-10
WEIGHTIT = 1e-6  # R's logit again, divided by small probabilities
EARLY_STOP = 1e-4  # relative; where WeightIt's entropy optimiser stops, see the test
SPARE = {"optimal": 0.0041, "optimal_mahal": 1e-12, "optimal_ratio2": 0.0008, "full": 0.0216, "full_caliper": 0.0363}  # what optmatch's total has to spare
COLUMNS = {"smd_before": "smd_un", "smd_after": "smd_adj", "variance_ratio_before": "vr_un", "variance_ratio": "vr_adj", "ks_before": "ks_un", "ks": "ks_adj"}


@pytest.fixture(scope="module")
def pupils() -> pd.DataFrame:
    return reference_pupils()


@pytest.fixture(scope="module")
def files() -> dict[str, pd.DataFrame]:
    return {name: reference(name) for name in ("match_pairs", "match_weights", "match_summary", "match_balance", "match_outcome", "weightit_weights")}


@pytest.mark.parametrize("run", [*PAIRED, *SETS])
def test_pairs_weights_and_balance_are_those_of_matchit_and_cobalt(pupils, files, run):
    summary = files["match_summary"].set_index("run").loc[run]
    result = match(pupils, "treated", **options_of(run))
    if run in PAIRED:
        expected = files["match_pairs"].query("run == @run")
        assert pair_set(result) == set(zip(expected["unit"], expected["match"], strict=True))
    given = files["match_weights"].query("run == @run").set_index("pupil_id")["weight"].reindex(pupils.index, fill_value=0.0)
    np.testing.assert_allclose(rescaled(result.weights, given, pupils["treated"]), given, atol=ROUNDING)
    assert result.effective_n["comparison"] == pytest.approx(summary["ess_control"], abs=SCORE)
    assert result.effective_n["treated"] == pytest.approx(summary["ess_treated"], abs=SCORE)
    if run not in ("nn_atc", "subclass5_ate"):
        assert len(result.dropped) == summary["n_treated"] - summary["matched_treated"]
    if result.caliper is not None:
        assert result.caliper == pytest.approx(summary["caliper_used"], rel=SCORE)
    _check_balance(pupils, files, run, result.weights)


@pytest.mark.parametrize("run", [*OPTIMAL, *FULL])
def test_balance_at_the_weights_of_optimal_and_full_matching_is_that_of_cobalt(pupils, files, run):
    given = files["match_weights"].query("run == @run").set_index("pupil_id")["weight"].reindex(pupils.index, fill_value=0.0)
    _check_balance(pupils, files, run, given)


def _check_balance(pupils, files, run, weights):
    expected = files["match_balance"].query("run == @run").set_index("covariate")
    frame = balance(pupils, "treated", ON, weights).frame.set_index("covariate")
    assert list(frame.index) == list(expected.index)
    other = run in ("nn_atc", "subclass5_ate")  # these were standardised by another group than the treated
    for ours, theirs in COLUMNS.items():
        if other and ours.startswith("smd"):
            continue
        np.testing.assert_allclose(frame[ours], expected[theirs], atol=ROUNDING)


@pytest.mark.parametrize("run", [*PAIRED, *OPTIMAL, *FULL, *SETS])
def test_estimates_and_errors_after_matching_are_those_of_lm_and_sandwich(pupils, files, run):
    """At MatchIt's scale of weights, and at its own weights where our sets are better (optimal, full)."""
    expected = files["match_outcome"].query("run == @run")
    given = files["match_weights"].query("run == @run").set_index("pupil_id")
    weight = given["weight"].reindex(pupils.index, fill_value=0.0)
    if run in PAIRED or run in SETS:
        weight = rescaled(match(pupils, "treated", **options_of(run)).weights, weight, pupils["treated"])
    covariates = numeric_columns(pupils, ON, drop_first=True)
    data = pd.concat([pupils[["treated", "absence_after", "school_id"]], covariates], axis=1).assign(weight=weight, own=np.arange(len(pupils)))
    data["subclass"] = given["subclass"].reindex(pupils.index)
    data = data.loc[data["weight"] > 0]
    clusters = {"HC1": "own", "subclass": "subclass", "school": "school_id"}
    for model, vcov, estimate, error in expected[["model", "vcov", "estimate", "se"]].itertuples(index=False):
        adjusted = [c for c in covariates if model == "adjusted" and data[c].nunique() > 1]  # lm leaves constants out
        # A level of one cluster alone has no clustered error: taken out by absorption, the others stay as they are.
        lone = [c for c in adjusted if data.loc[data[c] != 0, clusters[vcov]].nunique() == 1]
        terms = ["treated", *(c for c in adjusted if c not in lone)]
        fit = linear(data, "absence_after", terms, weights="weight", absorb=lone, cluster=clusters[vcov], kind="CR1S").frame.set_index("term").loc["treated"]
        assert fit["estimate"] == pytest.approx(estimate, rel=SCORE) and fit["std_error"] == pytest.approx(error, rel=SCORE), (model, vcov)


def test_scores_and_coefficients_are_those_of_r(pupils):
    expected = reference("match_ps").set_index("pupil_id")
    model = propensity_score(pupils, "treated", ON)
    np.testing.assert_allclose(model.probability, expected["ps"], atol=SCORE)
    np.testing.assert_allclose(model.logit, expected["logit"], atol=SCORE)
    np.testing.assert_allclose(model.coefficients, reference("match_ps_coef")["estimate"], atol=SCORE)


@pytest.mark.parametrize("run", [*OPTIMAL, *FULL])
def test_total_distance_is_no_larger_than_optmatch_finds(pupils, files, run):
    """optmatch stops within a tolerance (MatchIt asks for 1e-3) of the least total; ours is the least, as the next test shows."""
    result = match(pupils, "treated", **options_of(run))
    ours = result.pairs["distance"].sum()
    if run == "optimal_mahal":
        theirs = _mahalanobis_total(pupils, files["match_pairs"].query("run == @run"))
    else:
        theirs = _score_total(pupils, run, files)
    assert ours <= theirs * (1 + 1e-12)
    assert ours == pytest.approx(theirs, rel=SPARE[run])
    if run in FULL:
        assert set(result.weights.index[result.weights > 0]) == set(files["match_weights"].query("run == @run")["pupil_id"])


def _mahalanobis_total(pupils, pairs):
    points = distance_columns(pupils, pupils["treated"].to_numpy() == 1, ON, "mahalanobis", np.ones(len(pupils), dtype=bool))
    apart = points[pupils.index.get_indexer(pairs["unit"])] - points[pupils.index.get_indexer(pairs["match"])]
    return np.sqrt((apart**2).sum(axis=1)).sum()


def _score_total(pupils, run, files):
    score = propensity_score(pupils, "treated", ON).probability
    if run in OPTIMAL:
        pairs = files["match_pairs"].query("run == @run")
        return (pairs["unit"].map(score) - pairs["match"].map(score)).abs().sum()
    sets = files["match_weights"].query("run == @run").assign(treated=lambda f: f["pupil_id"].map(pupils["treated"]), score=lambda f: f["pupil_id"].map(score))
    joined = sets.loc[sets["treated"] == 1].merge(sets.loc[sets["treated"] == 0], on="subclass")
    return (joined["score_x"] - joined["score_y"]).abs().sum()


@pytest.mark.parametrize(("method", "covers"), [("optimal", False), ("full", True)])
@pytest.mark.parametrize("seed", [0, 1])
def test_no_sets_have_a_smaller_total_by_linear_programming(method, covers, seed):
    draw = np.random.default_rng(seed)
    data = pd.DataFrame({"treated": [1] * 15 + [0] * 40, "x": draw.normal(size=55).round(1), "z": draw.normal(size=55)})
    result = match(data, "treated", on=["x", "z"], method=method, ties="order")
    score = result.score.to_numpy()
    gaps = np.abs(score[:15, None] - score[15:])
    rows, columns = kron(np.eye(15), np.ones((1, 40))), kron(np.ones((1, 15)), np.eye(40))
    if covers:
        answer = linprog(gaps.ravel(), A_ub=-vstack([rows, columns]), b_ub=-np.ones(55))
    else:
        answer = linprog(gaps.ravel(), A_eq=rows, b_eq=np.ones(15), A_ub=columns, b_ub=np.ones(40))
    assert result.pairs["distance"].sum() == pytest.approx(answer.fun, abs=1e-9)


@pytest.mark.parametrize("estimand", ["ATT", "ATE", "ATO", "ATC"])
def test_propensity_weights_are_those_of_weightit(pupils, files, estimand):
    expected = files["weightit_weights"].query("run == @run", local_dict={"run": f"ps_{estimand}"}).set_index("pupil_id")["weight"]
    result = propensity_weights(pupils, "treated", on=ON, estimand=estimand)
    np.testing.assert_allclose(result.weights, expected, rtol=WEIGHTIT)
    summary = reference("weightit_summary").set_index("run").loc[f"ps_{estimand}"]
    assert result.effective_n == pytest.approx({"treated": summary["ess_treated"], "comparison": summary["ess_control"]}, rel=WEIGHTIT)
    if estimand == "ATO":
        assert balance(pupils, "treated", ON, result.weights).frame["smd_after"].abs().max() < 1e-12


@pytest.mark.parametrize("run", ["ebal_ATT", "cbps_ATT"])
def test_entropy_weights_are_those_of_weightit(pupils, files, run):
    """Just-identified CBPS for the treated has the same weights as entropy balancing.

    WeightIt's optimiser stops with 3e-5 (ebal) and 3e-6 (cbps) standard deviations of imbalance left, so its weights are off by up to
    8e-5 and 1.2e-5 of themselves, as the next test shows. It scales them to the number of comparison units or, like ours, of treated ones.
    """
    result = match(pupils, "treated", on=ON, method="entropy")
    comparison = pupils["treated"] == 0
    expected = files["weightit_weights"].query("run == @run").set_index("pupil_id")["weight"][comparison]
    ours = result.weights[comparison]
    np.testing.assert_allclose(ours / ours.sum(), expected / expected.sum(), rtol=EARLY_STOP)
    polished = _one_newton_step(pupils, expected / expected.sum(), comparison)
    np.testing.assert_allclose(ours / ours.sum(), polished, rtol=WEIGHTIT)
    assert balance(pupils, "treated", ON, result.weights).frame["smd_after"].abs().max() < 1e-12
    assert ours.sum() == pytest.approx(193) and (result.weights[~comparison] == 1).all() and result.pairs.empty


def _one_newton_step(pupils, share, comparison):
    """Shares after one more step of the very problem that WeightIt solves, from where it stopped."""
    x = numeric_columns(pupils, ON, drop_first=True)
    centred = (x[comparison] - x[~comparison].mean()).to_numpy()
    mean = share @ centred
    spread = (centred * share.to_numpy()[:, None]).T @ centred - np.outer(mean, mean)
    raised = share * np.exp(-centred @ np.linalg.solve(spread, mean))
    return raised / raised.sum()


def test_entropy_weights_meet_both_conditions_of_the_only_solution(pupils):
    """Weights whose logarithms are linear in the covariates and that balance every mean are unique [Hainmueller 2012]."""
    result = match(pupils, "treated", on=ON, method="entropy")
    comparison = pupils["treated"] == 0
    x = numeric_columns(pupils, ON, drop_first=True)
    columns = np.column_stack([np.ones(comparison.sum()), x[comparison]])
    logs = np.log(result.weights[comparison])
    left = logs - columns @ np.linalg.lstsq(columns, logs, rcond=None)[0]
    assert np.abs(left).max() < 1e-10
    assert np.abs(result.weights[comparison] @ columns[:, 1:] / 193 - x[~comparison].mean().to_numpy()).max() < 1e-12


def test_optmatch_solves_the_problem_rounded_up_to_thousandths(pupils, files):
    """Its full matching is best only after distances are rounded to 0.001, where our exact solution is no better: hence our smaller total."""
    score = reference("match_ps").set_index("pupil_id")["ps"].reindex(pupils.index).to_numpy()
    treated = (pupils["treated"] == 1).to_numpy()
    gaps = np.abs(score[treated][:, None] - score[~treated])
    sets = files["match_weights"].query("run == 'full'").set_index("pupil_id")["subclass"].reindex(pupils.index).to_numpy()
    theirs = sets[treated][:, None] == sets[~treated]
    ours = _cheapest_cover(gaps)
    rounded = np.ceil(0.5 + gaps / 1e-3)
    best = _cheapest_cover(rounded)
    assert rounded[theirs].sum() == rounded[best[:, 0], best[:, 1]].sum() < rounded[ours[:, 0], ours[:, 1]].sum()
    assert gaps[ours[:, 0], ours[:, 1]].sum() == pytest.approx(1.405801737, abs=1e-8)
    assert gaps[theirs].sum() == pytest.approx(1.436132411, abs=1e-8)
