"""Joint tests: agreement with clubSandwich, the definition, invariance and refusals."""

import numpy as np
import pandas as pd
import pytest
from reference_models import EXISTING, MODELS, ROUNDING, UNCERTAINTY_TOLERANCE, fit_model, read_pupils, read_results

from evaluation.errors import DataError, UnidentifiedError
from evaluation.inference import linear

TESTED = [(model, kind) for model, kind in EXISTING if kind not in ("CR1p", "CR1S")]  # the reference has no others


@pytest.fixture(scope="module")
def pupils():
    return read_pupils()


def reference(model, kind, hypothesis):
    test = "HTZ" if kind == "CR2" else "Naive-F"
    rows = read_results("cr_wald.csv").query("model == @model and type == @kind and hypothesis == @hypothesis and test == @test")
    assert len(rows) == 1
    return rows.iloc[0]


def assert_agrees(test, wanted):
    got = [test.statistic, test.df_num, test.df_denom, test.p_value]
    np.testing.assert_allclose(got, wanted[["Fstat", "df_num", "df_denom", "p"]].to_numpy(dtype=float), rtol=UNCERTAINTY_TOLERANCE)


@pytest.mark.parametrize("hypothesis", ["covs", "all3"])
@pytest.mark.parametrize(("model", "kind"), TESTED)
def test_joint_tests_of_slopes_agree_with_clubsandwich(pupils, model, kind, hypothesis):
    terms = ["prior_absence", "fsm"] if hypothesis == "covs" else [MODELS[model][0], "prior_absence", "fsm"]
    assert_agrees(fit_model(pupils, model, kind).wald(terms), reference(model, kind, hypothesis))


@pytest.mark.parametrize("kind", ["CR0", "CR1", "CR2", "CR3"])
@pytest.mark.parametrize("model", ["m3", "m4"])
def test_joint_tests_of_area_effects_agree_with_clubsandwich(pupils, model, kind):
    areas = pd.get_dummies(pupils["area_id"], prefix="area", dtype=float).iloc[:, 1:]
    weights = MODELS[model][1]
    terms = ["treated_school", "prior_absence", "fsm", *areas]
    fit = linear(pupils.join(areas), "change", terms, weights=weights, cluster="school_id", kind=kind)
    assert_agrees(fit.wald(list(areas)), reference(model, kind, "areas"))


def test_one_term_is_its_own_t_test(pupils):
    fit = fit_model(pupils, "m4", "CR2")
    row = fit.frame.set_index("term").loc["fsm"]
    test = fit.wald("fsm")
    assert [test.statistic, test.df_denom, test.p_value] == pytest.approx([row["statistic"] ** 2, row["df"], row["p_value"]], rel=ROUNDING)


def test_degrees_of_freedom_equal_the_definition(pupils):
    """Total variance of the standardised covariance matrix, from n by n matrices, with absorbed effects that cross clusters."""
    terms, absorb = ["prior_absence", "fsm"], ["year_group", "area_id"]
    fit = linear(pupils, "change", ["treated_school", *terms], absorb=absorb, weights="weight", cluster="school_id")
    effects = [pd.get_dummies(pupils[name], dtype=float).to_numpy()[:, first:] for first, name in enumerate(absorb)]
    x, w = np.column_stack([pupils[["treated_school", *terms]], *effects]), pupils["weight"].to_numpy(float)
    solve = np.linalg.solve(x.T @ (w[:, None] * x), x.T * w)
    rest = np.eye(len(x)) - x @ solve
    g = []
    for _, members in pupils.groupby("school_id").indices.items():
        values, vectors = np.linalg.eigh(rest[members] @ rest[members].T)
        adjustment = vectors @ np.diag(values**-0.5) @ vectors.T
        g.append(solve[1:3, members] @ adjustment @ rest[members])  # a term's errors, by row of the data
    p = np.einsum("isn,jtn->stij", g, g)
    values, vectors = np.linalg.eigh(np.einsum("stii->st", p))
    turn = vectors @ np.diag(values**-0.5) @ vectors.T
    p = np.einsum("as,stij,tb->abij", turn, p, turn)
    variance = np.einsum("ssij,ttij->", p, p) + np.einsum("stij,tsij->", p, p)
    eta = 2 * 3 / variance
    assert fit.wald(terms).df_denom == pytest.approx(eta - 1, rel=ROUNDING)


def test_order_and_units_of_terms_and_size_of_blocks_do_not_matter(pupils, monkeypatch):
    one = fit_model(pupils, "m6", "CR2").wald(["prior_absence", "fsm"])
    other = fit_model(pupils.assign(prior_absence=pupils["prior_absence"] * 1e6), "m6", "CR2").wald(["fsm", "prior_absence"])
    monkeypatch.setattr("evaluation.inference.satterthwaite.BLOCK_CELLS", 100)
    blocks = fit_model(pupils, "m6", "CR2").wald(["prior_absence", "fsm"])
    for test in (other, blocks):
        assert [test.statistic, test.df_denom] == pytest.approx([one.statistic, one.df_denom], rel=ROUNDING)


def test_result_is_frozen_and_shown(pupils):
    test = fit_model(pupils, "m1", "CR2").wald(["prior_absence", "fsm"])
    assert test.frame.columns.tolist() == ["terms", "statistic", "df_num", "df_denom", "p_value", "method"]
    assert "prior_absence, fsm all zero: F(2, 9.70) = 54.93" in repr(test) and "Hotelling&#x27;s" in test._repr_html_()
    with pytest.raises(AttributeError):
        test.p_value = 0


@pytest.mark.parametrize(("terms", "message"), [([], "no term is named"), (["fsm", "fsm"], "more than once"), (["sex"], "term 'sex'.*name one of")])
def test_unfit_requests_are_refused(pupils, terms, message):
    with pytest.raises(DataError, match=message):
        fit_model(pupils, "m1", "CR2").wald(terms)


@pytest.mark.parametrize("kind", ["CR1", "CR2"])
def test_more_terms_than_clusters_can_carry_are_refused(pupils, kind):
    """Five clusters give a covariance of rank five at most; CR2 runs out of degrees of freedom before."""
    rng = np.random.default_rng(4)
    names = [f"x{number}" for number in range(6)]
    rows = pupils.assign(five=pupils["school_id"] % 5, **{name: rng.normal(size=len(pupils)) for name in names})
    fit = linear(rows, "change", names, cluster="five", kind=kind)
    with pytest.raises(UnidentifiedError, match="clusters are too few") as refusal:
        fit.wald(names)
    assert "fewer terms" in refusal.value.mend
    if kind == "CR2":
        with pytest.raises(UnidentifiedError, match=r"5 terms at once leave -0.26 degrees of freedom"):
            fit.wald(names[:5])
        assert fit.wald(names[:2]).warnings == ("The joint test has 2.7 degrees of freedom, fewer than 5: inference is fragile.",)


def test_true_joint_null_is_rejected_about_as_often_as_stated():
    """20 schools, three school-level terms: HTZ holds its size, the plain F of CR0 does not."""
    replications, rng = 200, np.random.default_rng(8)
    school = np.repeat(np.arange(20), rng.integers(4, 12, 20))
    terms = ["a", "b", "c"]
    rows = pd.DataFrame(rng.normal(size=(20, 3))[school], columns=terms).assign(school=school)
    rejected = {"CR2": 0, "CR0": 0}
    for _ in range(replications):
        rows["outcome"] = rng.normal(0, 0.5, 20)[school] + rng.normal(size=len(school))
        for kind in rejected:
            rejected[kind] += linear(rows, "outcome", terms, cluster="school", kind=kind).wald(terms).p_value < 0.05
    tolerance = 3 * np.sqrt(0.05 * 0.95 / replications)  # three Monte Carlo standard errors
    assert rejected["CR2"] / replications < 0.05 + tolerance
    assert rejected["CR0"] / replications > 0.05 + tolerance
