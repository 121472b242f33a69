"""Two-way clustering: agreement with sandwich, reductions to one way, matrices that are no covariance, refusals."""

import numpy as np
import pandas as pd
import pytest
from reference_models import MODELS, ROUNDING, UNCERTAINTY_TOLERANCE, fit_model, read_pupils, read_results

from evaluation.errors import DataError, UnidentifiedError
from evaluation.inference import linear

BOTH = ("school_id", "year_group")
# sandwich's cluster factor G / (G - 1) is part of its type HC0; HC1 has (n - 1) / (n - p) as well.
TYPES = {"CR1": "HC0", "CR1S": "HC1"}


@pytest.fixture(scope="module")
def pupils():
    return read_pupils()


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("model", MODELS)
def test_standard_errors_agree_with_sandwich(pupils, model, kind):
    call = f'vcovCL(m, cluster=~school_id+year_group, type="{TYPES[kind]}", multi0=FALSE)'
    wanted = read_results("vcovcl.csv").query("model == @model and call == @call").set_index("term")["se"]
    got = fit_model(pupils, model, kind, BOTH).frame.set_index("term")
    # Model m1's constant has a negative variance: missing on both sides.
    np.testing.assert_allclose(got["std_error"], wanted.loc[got.index], rtol=UNCERTAINTY_TOLERANCE)
    assert (got["df"] == 4).all()  # five year groups


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("model", MODELS)
def test_one_way_standard_errors_agree_with_sandwich(pupils, model, kind):
    call = f'vcovCL(m, cluster=~school_id, type="{TYPES[kind]}")'
    wanted = read_results("vcovcl.csv").query("model == @model and call == @call").set_index("term")["se"]
    got = fit_model(pupils, model, kind).frame.set_index("term")["std_error"]
    np.testing.assert_allclose(got, wanted.loc[got.index], rtol=UNCERTAINTY_TOLERANCE)


def test_order_of_columns_rows_and_labels_does_not_matter(pupils):
    one = fit_model(pupils, "m2", "CR1", BOTH)
    mixed = pupils.sample(frac=1, random_state=2).assign(school_id=lambda rows: "s" + rows["school_id"].astype(str))
    other = fit_model(mixed, "m2", "CR1", BOTH[::-1])
    assert one.cluster == other.cluster == ("year_group", "school_id") and one.clusters == (5, 16)
    pd.testing.assert_frame_equal(one.frame, other.frame, rtol=ROUNDING)
    pd.testing.assert_frame_equal(one.vcov, other.vcov, rtol=ROUNDING)


def test_nested_groupings_give_the_wider_one(pupils):
    """Pupils lie within schools, so pupils and their intersection with schools cancel."""
    two = fit_model(pupils, "m2", "CR1", ("pupil_id", "school_id"))
    one = fit_model(pupils, "m2", "CR1")
    pd.testing.assert_frame_equal(two.frame, one.frame, rtol=ROUNDING)
    pd.testing.assert_frame_equal(two.vcov, one.vcov, rtol=ROUNDING)


def test_cr0_is_the_sum_less_the_intersection(pupils):
    cell = pupils["school_id"] * 100 + pupils["year_group"]
    one, other, both = (fit_model(pupils.assign(g=group), "m4", "CR0", "g").vcov for group in (pupils["school_id"], pupils["year_group"], cell))
    pd.testing.assert_frame_equal(fit_model(pupils, "m4", "CR0", BOTH).vcov, one + other - both, rtol=ROUNDING)


def test_matrix_that_is_no_covariance_is_said(pupils):
    fit = fit_model(pupils, "m1", "CR1", BOTH)
    assert fit.frame["std_error"].isna().tolist() == [False, False, False, True]
    assert "not positive semi-definite" in fit.warnings[0] and "not positive semi-definite" in repr(fit)
    assert not any("semi-definite" in sentence for sentence in fit_model(pupils, "m1", "CR1").warnings)
    with pytest.raises(UnidentifiedError, match="singular or not positive definite"):
        fit.wald(["treated_school", "prior_absence", "fsm", "intercept"])


def test_term_with_a_negative_variance_is_refused():
    """Errors that cancel within each row and each column of a square, so that only single cells move the estimate."""
    square = [(i, j, (-1.0) ** (i + j)) for i in range(4) for j in range(4)]
    rows = pd.DataFrame(square * 2, columns=["a", "b", "x"])
    rows["y"] = 1.0  # one shock in every cell
    rows["y"] += rows["x"] * np.where(rows["b"] < 2, 1, -1) * np.where(rows["a"] < 2, 1, -1)
    with pytest.raises(UnidentifiedError, match="term x: the two-way variance is not positive") as refusal:
        linear(rows, "y", ["x"], cluster=("a", "b"), kind="CR0")
    assert "larger standard error" in refusal.value.mend


def test_term_that_rests_on_one_cluster_of_either_grouping_is_refused(pupils):
    for column, value in (("year_group", pupils["year_group"].iloc[0]), ("school_id", 5)):
        with pytest.raises(UnidentifiedError, match=f"rests on one cluster alone .{value}"):
            linear(pupils.assign(x=pupils[column] == value), "change", ["x"], cluster=BOTH, kind="CR1")


@pytest.mark.parametrize(
    ("cluster", "kind", "message"),
    [
        (BOTH, "CR2", "CR2 is not defined for two-way clustering.*use one of CR0, CR1, CR1S"),
        (BOTH, "CR3", "CR3 is not defined"),
        (("school_id", "school_id"), "CR1", "more than once"),
        (("school_id", "year_group", "area_id"), "CR1", "3 cluster columns"),
        ((), "CR1", "no cluster column"),
    ],
)
def test_unfit_requests_are_refused(pupils, cluster, kind, message):
    with pytest.raises(DataError, match=message):
        fit_model(pupils, "m1", kind, cluster)


def test_one_cluster_in_the_second_grouping_is_refused(pupils):
    with pytest.raises(UnidentifiedError, match="all rows belong to one cluster"):
        fit_model(pupils.assign(only=1), "m1", "CR1", ("school_id", "only"))


def test_heading_names_both_groupings_and_leverage_the_smaller(pupils):
    fit = fit_model(pupils, "m2", "CR1", BOTH)
    assert "5 clusters by year_group and 16 clusters by school_id, CR1" in repr(fit)
    assert fit.leverage.frame["clusters"].eq(5).all()
    with pytest.raises(DataError, match="one grouping"):
        fit.wild_test("fsm")
