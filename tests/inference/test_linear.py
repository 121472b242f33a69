"""Linear regression with cluster-robust inference: agreement, invariance, refusals and size."""

import numpy as np
import pandas as pd
import pytest
from reference_models import (
    ESTIMATE_TOLERANCE,
    EXISTING,
    KINDS,
    MODELS,
    ROUNDING,
    UNCERTAINTY_TOLERANCE,
    fit_model,
    read_pupils,
    read_results,
)

from evaluation.errors import DataError, UnidentifiedError
from evaluation.inference import linear


@pytest.fixture(scope="module")
def pupils():
    return read_pupils()


def assert_same(one, other, tolerance=ROUNDING):
    pd.testing.assert_frame_equal(one.frame, other.frame, rtol=tolerance, atol=1e-12)
    pd.testing.assert_frame_equal(one.vcov, other.vcov, rtol=tolerance, atol=1e-14)


# Agreement with clubSandwich


@pytest.mark.parametrize(("model", "kind"), EXISTING)
def test_coefficients_agree_with_clubsandwich(pupils, model, kind):
    test = "Satterthwaite" if kind == "CR2" else "naive-t"
    wanted = read_results("cr_coef.csv").query("model == @model and type == @kind and test == @test").set_index("term")
    got = fit_model(pupils, model, kind).frame.set_index("term")
    wanted = wanted.loc[got.index]
    np.testing.assert_allclose(got["estimate"], wanted["estimate"], rtol=ESTIMATE_TOLERANCE)
    for ours, theirs in (("std_error", "se"), ("df", "df"), ("statistic", "t"), ("p_value", "p")):
        np.testing.assert_allclose(got[ours], wanted[theirs], rtol=UNCERTAINTY_TOLERANCE, err_msg=ours)


@pytest.mark.parametrize(("model", "kind"), EXISTING)
def test_covariance_agrees_with_clubsandwich(pupils, model, kind):
    wanted = read_results("cr_vcov.csv").query("model == @model and type == @kind").pivot(index="row", columns="col", values="value")
    got = fit_model(pupils, model, kind).vcov
    np.testing.assert_allclose(got, wanted.loc[got.index, got.columns], rtol=UNCERTAINTY_TOLERANCE)


@pytest.mark.parametrize("kind", ["CR1p", "CR3"])
@pytest.mark.parametrize("model", ["m5", "m6"])
def test_kinds_that_school_effects_make_undefined_are_refused(pupils, model, kind):
    with pytest.raises(UnidentifiedError, match=f'{kind} does not exist.*kind="CR2"'):
        fit_model(pupils, model, kind)


# Agreement with the definition, written out with full matrices


def by_definition(data, outcome, terms, absorb, cluster, weights):
    """CR2 and its degrees of freedom from n by n matrices and every indicator written out."""
    blocks = [data[list(terms)].to_numpy(float)]
    for name in absorb:
        blocks.append(pd.get_dummies(data[name]).to_numpy(float)[:, (1 if name != absorb[0] else 0) :])
    x = np.column_stack(blocks if absorb else [*blocks, np.ones(len(data))])
    w = np.ones(len(data)) if weights is None else data[weights].to_numpy(float)
    solve = np.linalg.pinv(x.T @ (w[:, None] * x)) @ (x * w[:, None]).T
    rest = np.eye(len(data)) - x @ solve
    residuals = rest @ data[outcome].to_numpy(float)
    rows = [np.flatnonzero(data[cluster] == label) for label in data[cluster].unique()]
    adjustments = []
    for members in rows:
        values, vectors = np.linalg.eigh(rest[members] @ rest[members].T)
        adjustments.append(vectors @ np.diag([v**-0.5 if v > 1e-10 else 0.0 for v in values]) @ vectors.T)
    scores = np.array([solve[:, m] @ a @ residuals[m] for m, a in zip(rows, adjustments, strict=True)])
    df = []
    for k in range(len(terms)):
        p = np.array([solve[k, m] @ a @ rest[m] for m, a in zip(rows, adjustments, strict=True)])
        df.append(np.trace(p @ p.T) ** 2 / ((p @ p.T) ** 2).sum())
    return np.sqrt(np.diag(scores.T @ scores))[: len(terms)], np.array(df)


@pytest.fixture(scope="module")
def panel():
    """Pupils in schools over six half-terms; areas cross stacks; one school moves area half-way."""
    rng = np.random.default_rng(20)
    rows = pd.DataFrame([(s, p, t) for s in range(12) for p in range(3 + s % 4) for t in range(6)], columns=["school", "pupil", "half_term"])
    rows["pupil"] += 100 * rows["school"]
    rows["area"] = rows["school"] % 3
    rows.loc[(rows["school"] == 4) & (rows["half_term"] > 2), "area"] = 0
    rows["treated"] = ((rows["school"] < 5) & (rows["half_term"] >= 2 + rows["pupil"] % 3)).astype(int)
    rows["prior"] = rng.normal(size=len(rows))
    rows["weight"] = rng.uniform(0.2, 3, len(rows))
    rows["pupil_weight"] = rng.uniform(0.2, 3, 2000)[rows["pupil"]]
    rows["outcome"] = rows["treated"] + rng.normal(size=12)[rows["school"]] + rng.normal(size=len(rows))
    return rows


@pytest.mark.parametrize("weights", [None, "weight", "pupil_weight"])
@pytest.mark.parametrize("absorb", [(), ("area",), ("half_term",), ("pupil",), ("pupil", "half_term"), ("school", "area", "half_term")])
def test_low_rank_adjustment_equals_the_definition(panel, absorb, weights):
    std_error, df = by_definition(panel, "outcome", ["treated", "prior"], absorb, "school", weights)
    got = linear(panel, "outcome", ["treated", "prior"], absorb=absorb, cluster="school", weights=weights).frame[:2]
    np.testing.assert_allclose(got["std_error"], std_error, rtol=ROUNDING)
    np.testing.assert_allclose(got["df"], df, rtol=ROUNDING)


@pytest.mark.parametrize("weights", [None, "weight", "pupil_weight"])
def test_unbalanced_panels_equal_the_definition(panel, weights):
    """Rows missing at random, pupils seen once and one pupil who changes school."""
    rng = np.random.default_rng(9)
    rows = panel[rng.uniform(size=len(panel)) > 0.3].copy()
    rows.loc[(rows["pupil"] == 301) & (rows["half_term"] > 2), "school"] = 7
    seen = rows.groupby("pupil")["outcome"].size()
    rows = rows[(rows["pupil"] != seen.index[5]) | ~rows["pupil"].duplicated()]
    assert rows.groupby("pupil").size().min() == 1 and rows.groupby("pupil")["school"].nunique().max() == 2
    std_error, df = by_definition(rows, "outcome", ["treated", "prior"], ("pupil", "half_term"), "school", weights)
    got = linear(rows, "outcome", ["treated", "prior"], absorb=("half_term", "pupil"), cluster="school", weights=weights).frame
    np.testing.assert_allclose(got["std_error"], std_error, rtol=ROUNDING)
    np.testing.assert_allclose(got["df"], df, rtol=ROUNDING)


def test_degrees_of_freedom_do_not_depend_on_the_size_of_blocks(panel, monkeypatch):
    whole = linear(panel, "outcome", ["treated"], absorb=("area",), cluster="school", weights="weight")
    monkeypatch.setattr("evaluation.inference.satterthwaite.BLOCK_CELLS", 30)
    assert_same(whole, linear(panel, "outcome", ["treated"], absorb=("area",), cluster="school", weights="weight"))


# Invariance


@pytest.mark.parametrize("model", MODELS)
def test_row_order_index_and_labels_do_not_matter(pupils, model):
    changed = pupils.sample(frac=1, random_state=3)
    changed["school_id"] = "school " + changed["school_id"].map(lambda number: f"{97 - number}")
    changed.index = ["same"] * len(changed)
    assert_same(fit_model(pupils, model, "CR2"), fit_model(changed, model, "CR2"))


def test_scale_of_weights_does_not_matter(pupils):
    assert_same(fit_model(pupils, "m6", "CR2"), fit_model(pupils.assign(weight=pupils["weight"] * 1e-7), "m6", "CR2"))


def test_a_far_origin_of_the_outcome_does_not_matter(pupils):
    far = pupils.assign(change=pupils["change"] + 1e9)
    near = fit_model(pupils, "m2", "CR2").frame[:3]
    # Beside a constant of 1e9 the outcome itself keeps about seven decimal places, of the order of its own variation / 1e6.
    pd.testing.assert_frame_equal(fit_model(far, "m2", "CR2").frame[:3], near, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("absorb", [(), ("area_id", "year_group")])
def test_a_row_twice_is_a_row_of_double_weight_for_the_estimate_and_cr0(pupils, absorb):
    picked = pupils["pupil_id"] % 3 == 0
    options = {"absorb": absorb, "cluster": "school_id", "kind": "CR0"}
    twice = linear(pd.concat([pupils, pupils[picked]]), "change", ["treated_school", "fsm"], **options)
    double = linear(pupils.assign(w=1 + picked), "change", ["treated_school", "fsm"], weights="w", **options)
    pd.testing.assert_frame_equal(twice.frame, double.frame, rtol=ROUNDING)
    pd.testing.assert_frame_equal(twice.vcov, double.vcov, rtol=ROUNDING)


def test_other_factors_of_cr1_count_every_parameter_and_row(pupils):
    cr0, cr1p, cr1s = (fit_model(pupils, "m4", kind).vcov for kind in ("CR0", "CR1p", "CR1S"))
    n, count, parameters = 496, 16, 7  # three terms and four areas
    pd.testing.assert_frame_equal(cr1p, cr0 * count / (count - parameters), rtol=ROUNDING)
    pd.testing.assert_frame_equal(cr1s, cr0 * count / (count - 1) * (n - 1) / (n - parameters), rtol=ROUNDING)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "CR1p"])
def test_as_many_parameters_as_clusters_are_no_obstacle(pupils, kind):
    few = pupils[pupils["school_id"] <= 4]
    fit = linear(few, "change", ["prior_absence", "fsm", "year_group"], cluster="school_id", kind=kind)
    assert fit.clusters == 4 and np.isfinite(fit.frame["std_error"]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_absorbed_effects_equal_indicator_columns(pupils, kind):
    indicators = pd.get_dummies(pupils[["area_id", "year_group"]].astype(str), drop_first=True)
    written = linear(
        pupils.join(indicators), "change", ["treated_school", "fsm", *indicators], weights="weight", cluster="school_id", kind=kind
    )
    absorbed = linear(
        pupils, "change", ["treated_school", "fsm"], weights="weight", absorb=("year_group", "area_id"), cluster="school_id", kind=kind
    )
    pd.testing.assert_frame_equal(absorbed.frame, written.frame[:2], rtol=ROUNDING)
    pd.testing.assert_frame_equal(absorbed.vcov, written.vcov.iloc[:2, :2], rtol=ROUNDING)


def test_absorbing_a_nested_effect_again_changes_nothing(pupils):
    once = linear(pupils, "change", ["mentored", "fsm"], absorb=("school_id",), cluster="school_id")
    assert_same(once, linear(pupils, "change", ["mentored", "fsm"], absorb=("area_id", "school_id"), cluster="school_id"))


def test_rows_of_zero_weight_are_left_out_counted_and_may_be_incomplete(pupils):
    extra = pupils[:5].assign(weight=0, change=np.nan, school_id=999)
    with_zeros = linear(pd.concat([extra, pupils]), "change", ["treated_school"], weights="weight", cluster="school_id")
    without = linear(pupils, "change", ["treated_school"], weights="weight", cluster="school_id")
    assert_same(with_zeros, without)
    assert (with_zeros.n, with_zeros.clusters, with_zeros.zero_weight_rows) == (len(pupils), 16, 5)
    assert "5 rows have a weight of zero" in with_zeros.warnings[0]


def test_boolean_and_nullable_columns_are_numbers(pupils):
    typed = pupils.assign(treated_school=pupils["treated_school"].astype("boolean"), fsm=pupils["fsm"].astype(bool))
    assert_same(fit_model(pupils, "m2", "CR2"), fit_model(typed, "m2", "CR2"))


def test_the_callers_frame_is_not_changed(pupils):
    before = pupils.copy(deep=True)
    fit_model(pupils, "m6", "CR2")
    pd.testing.assert_frame_equal(pupils, before)


# The result


def test_frame_by_hand():
    """Two schools a side, one pupil each: a difference of means; CR2 is then the two-sample variance."""
    rows = pd.DataFrame({"y": [1.0, 3.0, 4.0, 8.0], "treated": [0, 0, 1, 1], "school": list("abcd")})
    fit = linear(rows, "y", ["treated"], cluster="school")
    assert fit.frame["term"].tolist() == ["treated", "intercept"]
    treated = fit.frame.iloc[0]
    assert treated["estimate"] == pytest.approx(4)
    assert treated["std_error"] == pytest.approx(np.sqrt(2 / 2 + 8 / 2))
    assert treated["df"] == pytest.approx(2)
    assert treated["statistic"] == pytest.approx(4 / np.sqrt(5))
    # Student's t with two degrees of freedom has a closed form: F(t) = 1/2 + t / (2 sqrt(2 + t^2)).
    t = treated["statistic"]
    assert treated["p_value"] == pytest.approx(1 - t / np.sqrt(2 + t**2))
    assert [treated["conf_low"], treated["conf_high"]] == pytest.approx([4 - 4.302652730 * np.sqrt(5), 4 + 4.302652730 * np.sqrt(5)])
    assert fit.conf_level == 0.95
    assert fit.warnings == ("treated has 2.0 Satterthwaite degrees of freedom, fewer than 5: inference is fragile.",)


def test_wild_test_is_of_the_term_named_and_refuses_others(pupils):
    fit = fit_model(pupils, "m2", "CR2")
    test = fit.wild_test("fsm", null=0.01, draws=999, seed=3)
    row = fit.frame.set_index("term").loc["fsm"]
    assert (test.term, test.null, test.clusters, test.conf_level) == ("fsm", 0.01, 16, fit.conf_level)
    assert test.estimate == pytest.approx(row["estimate"])
    cr1 = fit_model(pupils, "m2", "CR1").frame.set_index("term").loc["fsm", "std_error"]
    assert test.statistic == pytest.approx((row["estimate"] - 0.01) / cr1)
    with pytest.raises(DataError, match="term 'sex': the fit has no such term.*name one of treated_school"):
        fit.wild_test("sex")


def test_no_note_on_degrees_of_freedom_where_they_suffice(pupils):
    fit = fit_model(pupils, "m2", "CR2")
    assert [sentence.split()[0] for sentence in fit.warnings] == fit.frame[:-1].query("df < 5")["term"].tolist()
    assert fit_model(pupils, "m2", "CR3").warnings == ()
    many = pupils.assign(school_id=pupils["pupil_id"])
    assert linear(many, "change", ["treated_school"], cluster="school_id").warnings == ()


def test_an_intercept_alone_is_a_mean(pupils):
    fit = linear(pupils, "change", [], cluster="school_id", weights="weight")
    assert fit.frame["estimate"].tolist() == pytest.approx([np.average(pupils["change"], weights=pupils["weight"])])


def test_result_is_frozen_and_shown_with_escaped_names(pupils):
    fit = linear(pupils.rename(columns={"fsm": "<fsm>"}), "change", ["<fsm>"], cluster="school_id")
    with pytest.raises(AttributeError):
        fit.n = 3
    html = fit._repr_html_()
    assert "&lt;fsm&gt;" in html and "<fsm>" not in html
    assert "16 clusters by school_id, CR2" in html


# Refusals


def change_value(column, row, value):
    def edit(data):
        data = data.astype({column: float})
        data.iloc[row, data.columns.get_loc(column)] = value
        return data

    return edit


REFUSED_DATA = {
    "missing outcome": (change_value("change", 7, np.nan), {}, r"column 'change', row 8 of 496 \(index 7\): 1 value is missing"),
    "infinite term": (change_value("fsm", 2, np.inf), {}, r"column 'fsm', row 3 .*missing or infinite"),
    "missing cluster": (change_value("school_id", 4, np.nan), {}, r"column 'school_id', row 5 .*missing.*give every row a group"),
    "missing effect": (change_value("area_id", 4, np.nan), {"absorb": ["area_id"]}, r"column 'area_id', row 5"),
    "missing weight": (change_value("weight", 1, np.nan), {"weights": "weight"}, r"column 'weight', row 2"),
    "negative weight": (change_value("weight", 1, -1.0), {"weights": "weight"}, r"column 'weight', row 2 .*negative"),
    "zero weights": (lambda data: data.assign(weight=0), {"weights": "weight"}, "every weight is zero"),
    "no rows": (lambda data: data[:0], {}, "no rows"),
    "text term": (lambda data: data.assign(fsm="yes"), {}, r"column 'fsm': the column is \w+, not numeric"),
    "absent column": (lambda data: data.rename(columns={"fsm": "FSM_"}), {"terms": ["fsm_"]}, "no such column"),
    "near match": (lambda data: data, {"terms": ["treated_schol"]}, "did you mean 'treated_school'"),
    "repeated column": (lambda data: pd.concat([data, data[["fsm"]]], axis=1), {}, "2 columns of this name"),
    "repeated term": (lambda data: data, {"terms": ["fsm", "fsm"]}, "fsm: the term is named more than once"),
    "outcome as term": (lambda data: data, {"terms": ["change"]}, "outcome is also a term"),
    "reserved term": (lambda data: data, {"terms": ["intercept"]}, "rename the column"),
    "unknown kind": (lambda data: data, {"kind": "HC1"}, "use one of CR0, CR1, CR1p, CR1S, CR2, CR3"),
    "no cluster": (lambda data: data, {"cluster": None}, "no cluster column is named"),
    "nothing to report": (lambda data: data, {"terms": [], "absorb": ["area_id"]}, "no term to report"),
}


@pytest.mark.parametrize("case", REFUSED_DATA)
def test_bad_data_are_refused_with_the_place_and_the_mend(pupils, case):
    edit, options, message = REFUSED_DATA[case]
    options = {"terms": ["treated_school", "fsm"], "cluster": "school_id"} | options
    with pytest.raises(DataError, match=message) as refusal:
        linear(edit(pupils.copy()), "change", **options)
    assert refusal.value.mend


UNIDENTIFIED = {
    "one cluster": (lambda data: data.assign(school_id="only"), {}, "all rows belong to one cluster"),
    "collinear": (
        lambda data: data.assign(sum=data["fsm"] - 3 * data["prior_absence"]),
        {"terms": ["treated_school", "fsm", "prior_absence", "sum"]},
        "terms fsm, prior_absence, sum: these terms are exact combinations",
    ),
    "constant": (lambda data: data.assign(fsm=1), {}, "term fsm: the term takes one value"),
    "within school": (lambda data: data, {"absorb": ["school_id"]}, "term treated_school: .*once the absorbed effects"),
    "within two": (
        lambda data: data.assign(fsm=data["area_id"] + 2.0 * data["year_group"]),
        {"absorb": ["area_id", "year_group"]},
        "term fsm: .*once the absorbed effects",
    ),
    "too many": (
        lambda data: data.iloc[[0, 100, 200, 300]].assign(fsm=[0, 1, 1, 0], treated_school=[0, 0, 1, 1]),
        {"terms": ["treated_school", "fsm", "prior_absence"]},
        "4 rows cannot carry 4 parameters",
    ),
    "exact": (lambda data: data.assign(change=2 * data["fsm"] + 1), {}, "fit the outcome exactly"),
    "constant outcome": (lambda data: data.assign(change=0.1), {}, "fit the outcome exactly"),
    "no residuals where it varies": (
        lambda data: data.assign(mentored=data["prior_absence"] * (data["school_id"] < 5), change=data["change"] * (data["school_id"] > 4)),
        {"terms": ["mentored"], "absorb": ["school_id"], "kind": "CR2"},
        "term mentored: the clusters that tell this term leave no residual variation",
    ),
    "one treated school": (
        lambda data: data.assign(treated_school=data["school_id"] == 5),
        {},
        r"term treated_school: the effect rests on one cluster alone \(5\)",
    ),
    "one treated school by area": (
        lambda data: data.assign(treated_school=data["school_id"] == 5),
        {"absorb": ["area_id"], "weights": "weight"},
        r"term treated_school: the effect rests on one cluster alone \(5\)",
    ),
    "one school with mentored pupils": (
        lambda data: data.assign(mentored=data["mentored"] * (data["school_id"] == data.loc[data["mentored"] == 1, "school_id"].iloc[0])),
        {"terms": ["fsm", "mentored"], "absorb": ["school_id"]},
        "term mentored: the effect rests on one cluster alone|CR3 does not exist",
    ),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", UNIDENTIFIED)
def test_what_the_data_cannot_tell_is_refused(pupils, case, kind):
    edit, options, message = UNIDENTIFIED[case]
    options = {"terms": ["treated_school", "fsm"], "cluster": "school_id", "kind": kind} | options
    with pytest.raises(UnidentifiedError, match=message) as refusal:
        linear(edit(pupils.copy()), "change", **options)
    assert refusal.value.mend


# Size

REPLICATIONS = 300
# Three Monte Carlo standard errors of a rejection share of 5% in 300 replications (0.013 each).
SIZE_TOLERANCE = 3 * np.sqrt(0.05 * 0.95 / REPLICATIONS)


def test_true_null_is_rejected_about_as_often_as_stated():
    """40 schools of unequal size, 8 treated, shared school shocks: CR2 holds its size, CR0 does not."""
    rng = np.random.default_rng(123)
    school = np.repeat(np.arange(40), rng.integers(4, 20, 40))
    rows = pd.DataFrame({"school": school, "treated": school < 8, "weight": rng.uniform(0.5, 1.5, len(school))})
    rejected = {"CR2": 0, "CR0": 0}
    for _ in range(REPLICATIONS):
        rows["outcome"] = rng.normal(0, 0.5, 40)[school] + rng.normal(size=len(school))
        for kind in rejected:
            fit = linear(rows, "outcome", ["treated"], weights="weight", cluster="school", kind=kind)
            rejected[kind] += fit.frame["p_value"].iloc[0] < 0.05
    assert abs(rejected["CR2"] / REPLICATIONS - 0.05) < SIZE_TOLERANCE
    assert rejected["CR0"] / REPLICATIONS > 0.05 + SIZE_TOLERANCE
