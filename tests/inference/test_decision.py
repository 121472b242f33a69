"""The rule that names the deciding test from the design alone."""

import math

import numpy as np
import pandas as pd
import pytest
from reference_models import MODELS, ROUNDING, fit_model, read_pupils

from evaluation.errors import DataError, UnidentifiedError
from evaluation.inference import count_clusters, decision_test, design_df, linear, randomisation_test


@pytest.fixture(scope="module")
def pupils():
    return read_pupils()


def counts(*blocks):
    return pd.DataFrame([(chr(65 + number), *block) for number, block in enumerate(blocks)], columns=["block", "treated", "comparison"])


def test_enough_clusters_and_degrees_of_freedom_let_cr2_decide():
    decision = decision_test(counts((3, 5), (2, 6)), df=5.0)
    assert (decision.test, decision.fragile, decision.warnings) == ("cr2_satterthwaite", False, ())
    assert (decision.treated, decision.comparison, decision.blocks, decision.df) == (5, 11, 2, 5.0)
    assert "5 treated clusters, 5.0 degrees of freedom" in decision.reason


@pytest.mark.parametrize(
    ("blocks", "df", "reason"),
    [
        ([(4, 20)], 12.0, "at least 5 treated clusters, not 4"),
        ([(5, 20)], 4.999, "at least 5 Satterthwaite degrees of freedom, not 4.99"),
        ([(1, 20)], None, "not 1 and CR2 does not exist for an effect that rests on one cluster"),
        ([(2, 3), (2, 5)], 3.0, "not 4 and CR2 needs at least 5 Satterthwaite degrees of freedom, not 3.00"),
    ],
)
def test_otherwise_randomisation_inference_decides_and_is_called_fragile(blocks, df, reason):
    decision = decision_test(counts(*blocks), df=df)
    assert (decision.test, decision.fragile) == ("randomisation", True)
    assert reason in decision.reason and decision.warnings[0] == "Inference is fragile."
    assert decision.assignments == math.prod(math.comb(t + c, t) for t, c in blocks)


def test_floor_is_printed_and_a_design_that_cannot_decide_is_said():
    decision = decision_test(counts((1, 3), (1, 4)), df=None)
    assert (decision.assignments, decision.floor) == (20, pytest.approx(1 / 20))
    assert "With 20 possible assignments, randomisation inference cannot reach a p-value below 0.05" in repr(decision)
    assert "decides nothing" not in repr(decision) and "decides nothing" in repr(decision_test(counts((1, 3), (1, 3)), df=None))
    # As many treated as not: exchanging them only turns the sign. A block without treated clusters has no say in that.
    assert decision_test(counts((2, 2), (0, 3)), df=2.0).floor == pytest.approx(2 / 6)
    assert decision_test(counts((300, 600), (1, 900)), df=3.0).warnings[1].startswith("With more than a million possible assignments")


@pytest.mark.parametrize("blocks", [[(1, 3), (1, 4)], [(2, 2), (0, 3)], [(2, 2), (1, 1)], [(3, 4)]])
def test_floor_is_that_of_the_randomisation_test(blocks):
    rows = pd.DataFrame([(b, treated) for b, (t, c) in enumerate(blocks) for treated in [1] * t + [0] * c], columns=["area", "treated"])
    rows = rows.assign(school=np.arange(len(rows)), y=np.random.default_rng(3).normal(size=len(rows)))
    found = randomisation_test(rows, "y", "treated", cluster="school", block="area")
    decision = decision_test(count_clusters(rows, "treated", cluster="school", block="area"), df=None)
    assert (decision.assignments, decision.floor) == (found.assignments, pytest.approx(found.floor))


def test_thresholds_can_be_registered():
    assert decision_test(counts((5, 9)), df=6.0, minimum_treated=6).test == "randomisation"
    assert decision_test(counts((5, 9)), df=6.0, minimum_df=6.5).test == "randomisation"
    assert decision_test(counts((3, 9)), df=4.0, minimum_treated=2, minimum_df=3).test == "cr2_satterthwaite"


def test_areas_without_an_untreated_school_are_refused():
    with pytest.raises(UnidentifiedError, match="block B, D: no untreated cluster") as refusal:
        decision_test(counts((3, 3), (2, 0), (0, 2), (1, 0)), df=9.0)
    assert "leave the block out" in refusal.value.mend
    with pytest.raises(UnidentifiedError, match="no cluster is treated"):
        decision_test(counts((0, 3)), df=9.0)


@pytest.mark.parametrize(
    ("table", "df", "message"),
    [
        (counts((3, 3)).drop(columns="comparison"), 9.0, "column comparison: the counts have no such column"),
        (counts(), 9.0, "there is no block"),
        (counts((3, 3), (4, 4)).assign(block="A"), 9.0, "block A: the block has more than one row"),
        (counts((3, -1)), 9.0, "block A, column 'comparison': .* is no number of clusters"),
        (counts((2.5, 4)), 9.0, "block A, column 'treated'"),
        (counts((np.nan, 4)), 9.0, "block A, column 'treated'"),
        (counts((5, 9)), 0.0, "0.0 is no number of degrees of freedom"),
        (counts((5, 9)), float("nan"), "nan is no number"),
    ],
)
def test_unfit_facts_are_refused(table, df, message):
    with pytest.raises(DataError, match=message):
        decision_test(table, df=df)


def test_clusters_are_counted_by_block(pupils):
    table = count_clusters(pupils, "treated_school", cluster="school_id", block="area_id")
    schools = pupils.drop_duplicates("school_id").groupby("area_id")["treated_school"]
    assert table["block"].tolist() == [1, 2, 3, 4]
    assert table["treated"].tolist() == schools.sum().tolist() and (table["treated"] + table["comparison"]).tolist() == schools.size().tolist()
    # Pupils who were not mentored are among the rows of treated schools.
    pd.testing.assert_frame_equal(count_clusters(pupils, "mentored", cluster="school_id", block="area_id"), table)
    whole = count_clusters(pupils.assign(treated_school=pupils["treated_school"] == 1), "treated_school", cluster="school_id")
    assert whole.to_dict("records") == [{"block": "all", "treated": 4, "comparison": 12}]


def test_clusters_that_the_weights_leave_out_are_not_counted(pupils):
    """The rule would else count treated schools that take no part in the fit."""
    dropped = pupils.loc[pupils["treated_school"] == 1, "school_id"].iloc[0]
    weighted = pupils.assign(weight=pupils["weight"].where(pupils["school_id"] != dropped, 0))
    table = count_clusters(weighted, "treated_school", cluster="school_id", weights="weight")
    assert table.to_dict("records") == [{"block": "all", "treated": 3, "comparison": 12}]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"treated_school": 2}, "takes the value 2"),
        ({"area_id": np.arange(496)}, "cluster 1 of column 'school_id': the cluster lies in several blocks"),
        ({"school_id": np.nan}, "column 'school_id', row 1"),
    ],
)
def test_what_cannot_be_counted_is_refused(pupils, change, message):
    with pytest.raises(DataError, match=message):
        count_clusters(pupils.assign(**change), "treated_school", cluster="school_id", block="area_id")


@pytest.mark.parametrize("model", MODELS)
def test_degrees_of_freedom_are_known_without_the_outcome(pupils, model):
    term, weights, absorb = MODELS[model]
    terms = [term, "prior_absence", "fsm"]
    got = design_df(pupils.drop(columns="change"), terms, weights=weights, absorb=absorb, cluster="school_id")
    assert got.index.tolist() == terms
    np.testing.assert_allclose(got, fit_model(pupils, model, "CR2").frame["df"][:3], rtol=ROUNDING)


def test_degrees_of_freedom_that_do_not_exist_are_refused(pupils):
    with pytest.raises(UnidentifiedError, match="rests on one cluster alone"):
        design_df(pupils.assign(x=pupils["school_id"] == 5), "x", cluster="school_id")
    with pytest.raises(DataError, match="no term is named"):
        design_df(pupils, [], cluster="school_id")
    with pytest.raises(DataError, match="two-way"):
        design_df(pupils, ["fsm"], cluster=("school_id", "area_id"))
    with pytest.raises(DataError, match="no cluster column"):
        design_df(pupils, ["fsm"])


def test_the_reference_design_goes_to_randomisation(pupils):
    """From data to decision: four treated schools of sixteen."""
    table = count_clusters(pupils, "treated_school", cluster="school_id")
    df = design_df(pupils, ["treated_school", "prior_absence", "fsm"], weights="weight", cluster="school_id")["treated_school"]
    decision = decision_test(table, df=df)
    assert decision.test == "randomisation" and decision.assignments == 1820
    fit = linear(pupils, "change", ["treated_school", "prior_absence", "fsm"], weights="weight", cluster="school_id")
    assert fit.frame["df"].iloc[0] == pytest.approx(df)
