"""Complier effects: agreement with ivreg, estimatr, clubSandwich and fixest; Anderson-Rubin sets; refusals; coverage when the first stage is weak."""

import numpy as np
import pandas as pd
import pytest
from two_way_reference import ESTIMATE_TOLERANCE, REFERENCE, ROUNDING, UNCERTAINTY_TOLERANCE, results

from evaluation.errors import DataError, UnidentifiedError
from evaluation.impact import complier_effect
from evaluation.impact.complier import anderson_rubin_set

COVARIATES = ["fsm", "prior_absence"]
# Name in iv_coef.csv: kind here, clustered.
KINDS = {"classical": ("iid", False), "HC1": ("HC1", False), "HC2": ("HC2", False), "CR0": ("CR0", True), "stata": ("CR1S", True), "CR2": ("CR2", True),
         "cs_CR2": ("CR2", True)}  # fmt: skip


@pytest.fixture(scope="module")
def data():
    return pd.read_csv(REFERENCE / "data" / "iv.csv")


def fitted(data, received="started", **changes):
    return complier_effect(data, "absence_after", **{"assigned": "assigned", "received": received, "covariates": COVARIATES, "cluster": "school_id", **changes})


@pytest.mark.parametrize("received", ["dose", "started"])
@pytest.mark.parametrize("weights", [None, "weight"])
@pytest.mark.parametrize("name", KINDS)
def test_it_agrees_with_r(data, received, weights, name):
    kind, clustered = KINDS[name]
    wanted = results("iv_coef").query("run == @run and term == @received", local_dict={"run": f"{received}_{'w_' if weights else ''}{name}", "received": received}).iloc[0]
    found = fitted(data, received, weights=weights, kind=kind, cluster="school_id" if clustered else None)
    assert found.estimate == pytest.approx(wanted["estimate"], abs=ESTIMATE_TOLERANCE)
    assert (found.std_error, found.df, found.p_value) == pytest.approx((wanted["se"], wanted["df"], wanted["p"]), rel=UNCERTAINTY_TOLERANCE)


@pytest.mark.parametrize("received", ["dose", "started"])
def test_the_standard_error_of_cr1_agrees_with_clubsandwich(data, received):
    """Its degrees of freedom are Satterthwaite's there, clusters less one here as in ``linear``."""
    wanted = results("iv_coef").query("run == @run and term == @received", local_dict={"run": f"{received}_cs_CR1", "received": received}).iloc[0]
    found = fitted(data, received, kind="CR1")
    assert found.std_error == pytest.approx(wanted["se"], rel=UNCERTAINTY_TOLERANCE) and found.df == 19


@pytest.mark.parametrize("received", ["dose", "started"])
def test_absorbed_effects_agree_with_estimatr(data, received):
    wanted = results("iv_coef").query("run == @run", local_dict={"run": f"{received}_CR2_fe"}).iloc[0]
    found = fitted(data, received, absorb=["school_id"])
    assert found.estimate == pytest.approx(wanted["estimate"], abs=ESTIMATE_TOLERANCE)
    assert (found.std_error, found.df) == pytest.approx((wanted["se"], wanted["df"]), rel=UNCERTAINTY_TOLERANCE)


@pytest.mark.parametrize("received", ["dose", "started"])
def test_first_stage_agrees(data, received):
    stages = results("iv_firststage")
    iid = stages.query("run == @run and test == 'ivf1'", local_dict={"run": f"feols_{received}"}).iloc[0]
    for kind, words in (("CR1S", "clustered first-stage F (stata CR1)"), ("CR2", "clustered first-stage F (CR2)")):
        wanted = stages[(stages["run"] == received) & (stages["test"] == words)].iloc[0]
        found = fitted(data, received, kind=kind)
        assert (found.effective_f, found.effective_f_df) == pytest.approx((wanted["stat"], wanted["df2"]), rel=UNCERTAINTY_TOLERANCE)
        assert (found.first_stage_f, found.first_stage_df) == pytest.approx((iid["stat"], iid["df2"]), rel=UNCERTAINTY_TOLERANCE)


@pytest.mark.parametrize("outcome", ["absence_after", "dose"])
@pytest.mark.parametrize("weights", [None, "weight"])
@pytest.mark.parametrize(("name", "kind"), [("CR0", "CR0"), ("stata", "CR1S"), ("CR2", "CR2")])
def test_the_effects_of_the_offer_agree(data, outcome, weights, name, kind):
    table = results("iv_itt")
    wanted = table[(table["outcome"] == outcome) & (table["se_type"] == name) & (table["weighted"] == (weights is not None)) & (table["term"] == "assigned")].iloc[0]
    found = fitted(data, "dose", weights=weights, kind=kind)
    part = found.offer_effect if outcome == "absence_after" else found.first_stage
    assert part.estimate == pytest.approx(wanted["estimate"], abs=ESTIMATE_TOLERANCE)
    assert (part.std_error, part.df) == pytest.approx((wanted["se"], wanted["df"]), rel=UNCERTAINTY_TOLERANCE)


@pytest.mark.parametrize("received", ["dose", "started"])
@pytest.mark.parametrize(("name", "kind", "cluster"), [("iid", "iid", None), ("CR1", "CR1S", "school_id")])
def test_anderson_rubin_limits_agree(data, received, name, kind, cluster):
    wanted = results("iv_ar").query("x == @received and type == @name", local_dict={"received": received, "name": name}).iloc[0]
    found = fitted(data, received, kind=kind, cluster=cluster).anderson_rubin
    assert (found.shape, found.low, found.high) == ("interval", pytest.approx(wanted["ci_low"], rel=1e-8), pytest.approx(wanted["ci_high"], rel=1e-8))


def test_published_returns_to_schooling(published):
    data = pd.read_csv(published / "published" / "card_schooling.csv")
    controls = ["exper", "expersq", "black", "smsa", "south", "smsa66", *(f"reg66{region}" for region in range(2, 10))]
    found = complier_effect(data, "lwage", assigned="nearc4", received="educ", covariates=controls, kind="iid")
    assert (found.estimate, found.std_error) == pytest.approx((0.1315038, 0.0549637), abs=5e-8)
    plain = complier_effect(data, "lwage", assigned="educ", received="educ", covariates=controls, kind="iid")
    assert (plain.estimate, plain.std_error) == pytest.approx((0.0746933, 0.0034983), abs=5e-8)
    assert plain.effective_f == np.inf and "Everyone received exactly as assigned" in plain.warnings[0]
    assert (plain.anderson_rubin.low, plain.anderson_rubin.high) == pytest.approx((plain.conf_low, plain.conf_high), rel=1e-12)


def test_by_hand_the_offer_divided_by_take_up():
    data = pd.DataFrame({"z": [1, 1, 1, 1, 0, 0, 0, 0], "d": [1, 1, 1, 0, 0, 0, 0, 0], "y": [1.0, 2.0, 3.0, 4.0, 4.0, 5.0, 4.0, 6.0]})
    found = complier_effect(data, "y", assigned="z", received="d")
    assert found.estimate == pytest.approx((2.5 - 4.75) / 0.75)
    assert (found.kind, found.df, found.n_treated, found.n_comparison, found.level) == ("HC2", 6.0, 4, 4, "started")


# Anderson-Rubin sets


def test_every_shape_is_named():
    shapes = {
        "interval": ((2.0, 1.0), ((0.04, 0.0), (0.0, 0.01))),
        "half-lines": ((2.0, 0.1), ((0.04, 0.0), (0.0, 0.01))),
        "whole line": ((0.1, 0.1), ((0.04, 0.0), (0.0, 0.01))),
        "half-line above": ((2.0, 0.25), ((0.04, 0.0), (0.0, 0.015625))),
        "half-line below": ((-2.0, 0.25), ((0.04, 0.0), (0.0, 0.015625))),
    }
    for shape, (estimates, covariance) in shapes.items():
        found = anderson_rubin_set(estimates, covariance, 4.0)
        assert found.shape == shape
        for effect in np.linspace(-60, 60, 241):
            (offer, stage), matrix = estimates, np.asarray(covariance)
            statistic = (offer - effect * stage) ** 2 / (np.array([1, -effect]) @ matrix @ np.array([1, -effect]))
            if abs(statistic - 4.0) > 1e-6:
                assert (effect in found) == (statistic <= 4.0), (shape, effect)
    assert "all up to" in anderson_rubin_set(*shapes["half-lines"], 4.0).text and "too little to bound" in anderson_rubin_set(*shapes["half-lines"], 4.0).text
    assert "all. The offer moves take-up too little" in anderson_rubin_set(*shapes["whole line"], 4.0).text


def test_the_set_holds_the_effects_that_the_test_does_not_reject(data):
    found = fitted(data, "started")
    for effect, inside in ((found.anderson_rubin.low, True), (found.anderson_rubin.high, True), (0.0, False)):
        left = data.assign(left=data["absence_after"] - effect * data["started"])
        p_value = complier_effect(left, "left", assigned="assigned", received="started", covariates=COVARIATES, cluster="school_id").offer_effect.p_value
        assert p_value == pytest.approx(0.05, abs=1e-9) if inside else p_value < 0.05
    assert found.estimate in found.anderson_rubin


def test_a_weak_first_stage_is_said_and_the_set_is_wide():
    draw = np.random.default_rng(5)
    data = pd.DataFrame({"z": np.tile([0, 1], 100), "school": np.repeat(np.arange(20), 10)}).assign(d=lambda d: draw.integers(0, 2, len(d)), y=lambda d: draw.normal(size=len(d)))
    found = complier_effect(data, "y", assigned="z", received="d", cluster="school")
    assert found.effective_f < 10 and any("unreliable; read the Anderson-Rubin set" in note for note in found.warnings)
    assert found.anderson_rubin.shape in ("whole line", "half-lines") and "Assignment changes receipt" in repr(found) and "<table" in found._repr_html_()


@pytest.mark.slow
def test_the_set_covers_the_truth_when_the_interval_does_not():
    """500 draws of a first stage of F about 3 with endogenous receipt: at least 93% in the set; the interval misses more often."""
    draw = np.random.default_rng(11)
    inside = interval = 0
    for _ in range(500):
        assigned, hidden = np.tile([0.0, 1.0], 100), draw.normal(size=200)
        received = 0.25 * assigned + hidden
        outcome = received + 2 * hidden + 0.5 * draw.normal(size=200)
        found = complier_effect(pd.DataFrame({"z": assigned, "d": received, "y": outcome}), "y", assigned="z", received="d")
        inside += 1.0 in found.anderson_rubin
        interval += found.conf_low <= 1.0 <= found.conf_high
    assert inside / 500 > 0.93 and interval < inside


# Invariance and refusals


def test_units_order_and_the_callers_frame(data):
    before = data.copy(deep=True)
    one = fitted(data, weights="weight")
    pd.testing.assert_frame_equal(data, before)
    moved = data.sample(frac=1, random_state=4).assign(absence_after=lambda d: 1e3 * d["absence_after"] + 7, started=lambda d: d["started"] / 10, weight=lambda d: 5 * d["weight"])
    other = fitted(moved, weights="weight")
    assert other.estimate / one.estimate == pytest.approx(1e4, rel=ROUNDING) and other.df == pytest.approx(one.df, rel=ROUNDING)
    assert other.anderson_rubin.low / one.anderson_rubin.low == pytest.approx(1e4, rel=1e-8)


REFUSED = {
    "nobody received": ({"started": 0}, {}, UnidentifiedError, "every row has the same receipt"),
    "one arm": ({"assigned": 1}, {}, UnidentifiedError, "assigned"),
    "missing outcome": ({"absence_after": np.nan}, {}, DataError, "800 values are missing"),
    "missing receipt": ({"started": np.nan}, {}, DataError, "'started'.*missing"),
    "cluster without cluster": ({}, {"cluster": None, "kind": "CR1"}, DataError, "not known without a cluster"),
    "iid with cluster": ({}, {"kind": "iid"}, DataError, "not known with a cluster"),
    "itself a covariate": ({}, {"covariates": ["started"]}, DataError, "explain itself"),
    "outcome is receipt": ({}, {"received": "absence_after"}, DataError, "also assignment or receipt"),
    "misspelt": ({}, {"received": "startd"}, DataError, "did you mean 'started'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused(data, case):
    columns, options, error, words = REFUSED[case]
    with pytest.raises(error, match=words) as caught:
        fitted(data.assign(**columns), **options)
    assert caught.value.mend


@pytest.mark.parametrize("kind", ["iid", "HC1", "HC2"])
def test_absorbed_effects_are_those_of_indicators_without_clusters_too(data, kind):
    schools = sorted(data["school_id"].unique())[1:]
    table = data.assign(**{f"school_{school}": (data["school_id"] == school).astype(int) for school in schools})
    one = fitted(table, cluster=None, kind=kind, absorb=["school_id"], weights="weight")
    other = fitted(table, cluster=None, kind=kind, covariates=[*COVARIATES, *(f"school_{school}" for school in schools)], weights="weight")
    assert (one.estimate, one.std_error, one.df, one.effective_f) == pytest.approx((other.estimate, other.std_error, other.df, other.effective_f), rel=1e-9)


@pytest.mark.parametrize("share", [1, -1, 12])
def test_receipt_that_follows_from_assignment_is_the_offer_by_unit_of_receipt(data, share):
    exact = fitted(data.assign(received=2 + share * data["assigned"]), "received")
    offer = exact.offer_effect
    assert (exact.estimate, exact.std_error, exact.df) == pytest.approx((offer.estimate / share, offer.std_error / abs(share), offer.df))
    ends = exact.anderson_rubin.low, exact.anderson_rubin.high
    assert ends == pytest.approx((exact.conf_low, exact.conf_high), rel=1e-9) and "the effect is that of the offer" in exact.warnings[0]


def test_values_missing_in_rows_of_weight_zero_do_no_harm(data):
    left_out = data.index < 7
    columns = ["absence_after", "started", "assigned"]
    holed = data.assign(weight=data["weight"].where(~left_out, 0.0), **{name: data[name].astype("Float64").where(~left_out) for name in columns})
    one, other = fitted(holed, weights="weight"), fitted(data[~left_out], weights="weight")
    assert (one.estimate, one.std_error, one.n_treated) == pytest.approx((other.estimate, other.std_error, other.n_treated), rel=1e-9)
