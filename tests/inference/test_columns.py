"""What is read into a fit: names that are none, values that no unit can carry, and large means."""

import numpy as np
import pandas as pd
import pytest
from reference_models import ROUNDING, fit_model, read_pupils

from evaluation.errors import DataError
from evaluation.inference import count_clusters, decision_test, linear


@pytest.fixture(scope="module")
def pupils():
    return read_pupils()


REFUSED = {
    "values for a weight": (lambda data: data, {"weights": pd.Series([1.0])}, "a Series stands where the name of a column belongs.*give the name"),
    "values for the outcome": (lambda data: data, {"outcome": pd.Series([1.0])}, "a Series stands where the name of a column belongs"),
    "no outcome": (lambda data: data, {"outcome": None}, "no outcome is named"),
    "a list among the terms": (lambda data: data, {"terms": [["fsm"]]}, "a list stands where the name of a column belongs"),
    "a term of None": (lambda data: data, {"terms": ["fsm", None]}, "None stands among the names"),
    "no names to absorb": (lambda data: data, {"absorb": object()}, "names no columns"),
    "too large": (lambda data: data.assign(fsm=data["fsm"] * 1e80), {}, r"column 'fsm': the largest value is 1e\+80.*other units"),
    "too small": (lambda data: data.assign(change=data["change"] * 1e-80), {}, r"column 'change': the largest value is \de-\d\d.*other units"),
    "too large a weight": (lambda data: data.assign(weight=1e308), {"weights": "weight"}, r"column 'weight': the largest value is 1e\+308"),
    "weights of nothing": (
        lambda data: data.assign(weight=np.where(np.arange(len(data)) == 3, 1e-200, data["weight"])),
        {"weights": "weight"},
        "column 'weight', row 4 .*nothing beside the largest weight.*weight of zero",
    ),
    "lists for clusters": (lambda data: data.assign(school_id=[[1]] * len(data)), {}, "column 'school_id': .*no labels"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_is_refused_with_the_mend(pupils, case):
    edit, options, message = REFUSED[case]
    options = {"outcome": "change", "terms": ["treated_school", "fsm"], "cluster": "school_id"} | options
    with pytest.raises(DataError, match=message) as refusal:
        linear(edit(pupils), **options)
    assert refusal.value.mend


def test_absorbing_none_is_absorbing_nothing(pupils):
    none = linear(pupils, "change", ["fsm"], absorb=None, cluster="school_id")
    pd.testing.assert_frame_equal(none.frame, linear(pupils, "change", "fsm", cluster="school_id").frame)


@pytest.mark.parametrize("units", [1e-20, 1e-12, 1e12, 1e20])
def test_units_change_nothing_but_the_units(pupils, units):
    """Of a term and of the outcome, for the fit, its joint test and the enumerated bootstrap."""
    pupils = pupils[pupils["school_id"].isin(pupils["school_id"].unique()[:12])]
    terms = ["treated_school", "prior_absence"]
    plain = linear(pupils, "change", terms, cluster="school_id")
    for column in ("change", "prior_absence"):
        other = linear(pupils.assign(**{column: pupils[column] * units}), "change", terms, cluster="school_id")
        pd.testing.assert_frame_equal(other.frame[["df", "p_value"]], plain.frame[["df", "p_value"]], rtol=ROUNDING)
        assert other.wald(terms).p_value == pytest.approx(plain.wald(terms).p_value, rel=ROUNDING)
        for term in terms:
            assert other.wild_test(term).p_value == plain.wild_test(term).p_value


def test_a_large_mean_of_the_outcome_costs_no_digits(pupils):
    """The shift is exact in double precision, so only the intercept may change."""
    coarse = pupils.assign(change=np.round(pupils["change"] * 2**18) / 2**18)
    plain = fit_model(coarse, "m2", "CR2").frame
    shifted = fit_model(coarse.assign(change=coarse["change"] + 2**32), "m2", "CR2").frame
    pd.testing.assert_frame_equal(shifted[:-1], plain[:-1], rtol=ROUNDING)
    assert shifted["estimate"].iloc[-1] == pytest.approx(plain["estimate"].iloc[-1] + 2**32, rel=ROUNDING)
    assert shifted["std_error"].iloc[-1] == pytest.approx(plain["std_error"].iloc[-1], rel=ROUNDING)


def test_the_decision_takes_a_table_and_a_number(pupils):
    counts = count_clusters(pupils, "treated_school", cluster="school_id")
    for wrong in (counts.to_dict("list"), None, [1]):
        with pytest.raises(DataError, match="not a table"):
            decision_test(wrong, df=8.0)
    with pytest.raises(DataError, match="'8' is no number of degrees of freedom"):
        decision_test(counts, df="8")
