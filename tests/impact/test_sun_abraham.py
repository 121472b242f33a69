"""Sun and Abraham's event study: agreement with fixest's ``sunab``, the meaning of its averages, refusals."""

import numpy as np
import pandas as pd
import pytest
from two_way_reference import KEYS, ROUNDING, SMALL, UNCERTAINTY_TOLERANCE, assert_agrees, panel, results, small_panel

from evaluation.errors import DataError, UnidentifiedError
from evaluation.impact import group_time_effects, sun_abraham_effects, two_way_effects

RUNS = {"sunab": ("panel", None), "sunab_w": ("panel", "weight"), "sunab_unb": ("unbalanced_panel", None)}


@pytest.fixture(scope="module")
def fits():
    return {run: sun_abraham_effects(panel(name), "absence_rate", start="start", cluster="school_id", weights=weights, **KEYS)
            for run, (name, weights) in RUNS.items()}


def small(data=None, **changes):
    return sun_abraham_effects(small_panel() if data is None else data, "rate", **{**SMALL, "start": "start", "cluster": "school", **changes})


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("average", ["att", "period", "cohort", "none"])
def test_it_agrees_with_fixest(fits, run, average):
    wanted = results("sunab").query("run == @run").loc[lambda d: d["agg"] == average]
    fit = fits[run]
    found = {"att": fit.overall.frame, "period": fit.frame, "cohort": fit.groups, "none": fit.cells.sort_values(["event_time", "start"])}[average]
    assert_agrees(found, wanted)
    np.testing.assert_allclose(found["p_value"], wanted["p"], rtol=UNCERTAINTY_TOLERANCE)


def test_published_base_stagg(published):
    data = pd.read_csv(published / "published" / "base_stagg.csv")
    data["start"] = data["year_treated"].where(data["year_treated"] < 1000)
    fit = sun_abraham_effects(data, "y", unit="id", time="year", start="start", covariates=["x1"], kind="iid")
    assert (fit.overall.estimate, fit.overall.std_error) == pytest.approx((-1.133749, 0.194764), abs=5e-7)
    row = fit.covariates.iloc[0]
    assert (row["term"], row["estimate"], row["std_error"]) == ("x1", pytest.approx(0.994678, abs=5e-7), pytest.approx(0.018823, abs=5e-7))


def test_averages_are_weighted_by_rows_and_their_covariance_follows():
    fit = small(weights="weight")
    cells = fit.cells
    assert cells["weight"].sum() == pytest.approx(1.0)
    data = small_panel()
    rows = data[(data["start"] == 4) & (data["term"] == 5)]
    treated = data[(data["start"] > 0) & (data["term"] != data["start"] - 1)]
    assert cells.set_index("term").loc["start=4, event_time=1", "weight"] == pytest.approx(rows["weight"].sum() / treated["weight"].sum())
    at_one = cells["event_time"] == 1
    share = np.where(at_one, cells["weight"], 0.0) / cells.loc[at_one, "weight"].sum()
    row = fit.frame.set_index("event_time").loc[1]
    assert row["estimate"] == pytest.approx(share @ cells["estimate"])
    assert row["std_error"] == pytest.approx(np.sqrt(share @ fit.cells_vcov.to_numpy() @ share))


def test_with_one_start_it_is_the_two_way_event_study():
    data = small_panel().query("start in (0, 4)")
    one, other = small(data), two_way_effects(data, "rate", start="start", cluster="school", **SMALL)
    np.testing.assert_allclose(one.frame["estimate"], other.frame["estimate"], rtol=ROUNDING)
    np.testing.assert_allclose(one.vcov, other.vcov, rtol=ROUNDING)
    assert one.reference == other.reference == -1 and list(one.frame["event_time"]) == list(other.frame["event_time"])


def test_order_of_rows_and_the_callers_frame():
    data = small_panel()
    before = data.copy(deep=True)
    one, other = small(data), small(data.sample(frac=1, random_state=2))
    pd.testing.assert_frame_equal(data, before)
    pd.testing.assert_frame_equal(one.frame, other.frame, rtol=ROUNDING, atol=ROUNDING)
    assert "measured from event time -1" in repr(one) and "<table" in one._repr_html_()


def test_a_start_group_in_one_cluster_leaves_what_it_enters_without_an_error():
    data = small_panel()
    fit = small(data[~(data["start"].eq(3) & ~data["school"].eq("S0"))])
    assert np.isnan(fit.overall.std_error) and np.isfinite(fit.overall.estimate)
    assert np.isfinite(fit.groups.set_index("start")["std_error"]).loc[[4, 5]].all() and np.isnan(fit.groups.set_index("start").loc[3, "std_error"])
    assert any("rests on one cluster alone (S0)" in note for note in fit.warnings)


def test_always_treated_units_are_left_out_with_their_count():
    fit = small(pd.concat([small_panel(), small_panel().head(6).assign(pupil="always", start=1)]))
    pd.testing.assert_frame_equal(fit.frame, small().frame, rtol=ROUNDING, atol=ROUNDING)
    assert any("1 unit treated from the first period on" in note for note in fit.warnings)


def test_refusals():
    with pytest.raises(UnidentifiedError, match="no unit is never treated"):
        small(small_panel().query("start > 0"))
    with pytest.raises(DataError, match="not known"):
        small(kind="CR2")
    with pytest.raises(DataError, match="no cluster column"):
        small(cluster=None)
    with pytest.raises(UnidentifiedError, match="one cluster"):
        small(small_panel().assign(school="S"))


def test_a_start_group_without_its_reference_period_is_named():
    data = small_panel()
    with pytest.raises(UnidentifiedError, match="no unit of start group 4 has a row at event time -1") as caught:
        small(data[~(data["start"].eq(4) & data["term"].eq(3))])
    assert "leave out and count" in caught.value.mend


def test_its_cells_are_group_time_effects_against_the_never_treated():
    """In a balanced panel without covariates both compare the same four means."""
    data = panel()
    named = {"start": "start", "cluster": "school_id", **KEYS}
    cells = sun_abraham_effects(data, "absence_rate", **named).cells
    other = group_time_effects(data, "absence_rate", base_period="universal", **named).frame.assign(event_time=lambda d: d["time"] - d["start"])
    both = cells.merge(other, on=["start", "event_time"], validate="one_to_one")
    assert len(both) == len(cells)
    np.testing.assert_allclose(both["estimate_x"], both["estimate_y"], rtol=0, atol=1e-10)
