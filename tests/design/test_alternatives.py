"""Registered alternatives to the leading match: which there are, that each is matched anew, and that no outcome is read."""

import json

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from evaluation.design import build_cohort, match_alternatives, match_cohort, registered_alternatives, season_matched_windows
from evaluation.design.registered import KEY
from evaluation.errors import ParameterError
from small_trial import drawn_trial, section

NONE = {"design": [], "entries": [], "method": [], "distance": [], "caliper": [], "ratio": [], "covariates": {}, "crossed": []}
EVERY = {**NONE, "design": ["between_areas"], "entries": ["matched_history"], "distance": ["mahalanobis", "propensity"], "caliper": [0.1, None], "ratio": [1],
         "method": ["nearest_reuse", "optimal", "full", "entropy", "att_weights", "overlap_weights", "same_rule"],
         "covariates": {"window alone": ["window_absence_rate"]}}  # fmt: skip


def rules(**listed):
    return section("matching", unmatched_tolerance=0.5, alternatives={**NONE, **listed})


@pytest.fixture(scope="module")
def cohort() -> pd.DataFrame:
    trial = drawn_trial(11, pupils_per_school=60)
    return build_cohort(trial["panel"], trial["enrolments"], trial["schools"], trial["referrals"], rules=section("cohort"), windows=season_matched_windows())


@pytest.fixture(scope="module")
def every(cohort):
    return match_alternatives(cohort.frame, rules=rules(**EVERY), seed=1)


def test_the_registered_match_is_the_one_behind_the_headline(cohort, every):
    matched = match_cohort(cohort.frame, cohort.trajectories, rules=rules(), seed=1)
    expected = matched.match_weights.query("design == 'within_area'").sort_values(KEY)
    own = every.alternatives.loc[every.alternatives["registered"], "match_id"]
    found = every.weights.loc[every.weights["match_id"] == own.item()].sort_values(KEY)
    assert found["pupil_id"].tolist() == expected["pupil_id"].tolist() and found["weight"].tolist() == expected["weight"].tolist()
    line = every.alternatives.set_index("match_id").loc[own.item()]
    assert line["unmatched"] == matched.unmatched.query("design == 'within_area'")["pupils"].sum()


def test_choices_change_one_at_a_time_unless_they_are_crossed():
    apart = registered_alternatives(rules(caliper=[0.1, None], ratio=[1]))
    crossed = registered_alternatives(rules(caliper=[0.1, None], ratio=[1], crossed=["caliper", "ratio"]))
    assert len(apart) == 1 + 3 and len(crossed) == 3 * 2
    assert apart[0] == crossed[0] and (apart[0].caliper, apart[0].ratio) == (0.2, 2)
    assert {(a.caliper, a.ratio) for a in crossed} == {(c, r) for c in (0.1, 0.2, None) for r in (1, 2)}


def test_a_choice_that_a_method_does_not_use_makes_no_branch_of_its_own():
    listed = registered_alternatives(rules(method=["entropy", "full"], caliper=[0.1, None], ratio=[1], crossed=["method", "caliper", "ratio"]))
    assert sum(a.method == "entropy" for a in listed) == 1 and sum(a.method == "full" for a in listed) == 3
    assert len({a.match_id for a in listed}) == len(listed)


def test_the_order_in_which_choices_are_listed_and_the_number_of_processes_change_nothing(cohort):
    one = match_alternatives(cohort.frame, rules=rules(caliper=[0.1, None], method=["full", "same_rule"]), seed=1)
    two = match_alternatives(cohort.frame, rules=rules(caliper=[None, 0.1], method=["same_rule", "full"]), seed=1, processes=2)
    pd.testing.assert_frame_equal(one.alternatives, two.alternatives)
    pd.testing.assert_frame_equal(one.weights, two.weights)


def test_every_alternative_keeps_its_design_and_counts_its_pupils(cohort, every):
    assert every.alternatives["failed"].isna().all() and len(every.alternatives) == 1 + 15
    joined = every.weights.merge(cohort.frame, on=KEY, validate="many_to_one")
    for line in every.alternatives.itertuples():
        mine = joined.loc[joined["match_id"] == line.match_id]
        assert (mine["referred"] == mine["treated"]).all() and (mine["mentor_school"] == mine["treated"]).all()
        assert mine["weight"].gt(0).all() and not mine.duplicated(KEY).any()
        assert (line.referred, line.comparison) == (mine["treated"].sum(), (~mine["treated"]).sum())
        cells = ["stack", "area_code"] if line.design == "within_area" else ["stack"]
        if line.method in ("nearest", "nearest_reuse", "optimal", "full", "same_rule"):
            totals = mine.groupby([*cells, "treated"])["weight"].sum().unstack()
            np.testing.assert_allclose(totals[True], totals[False], rtol=1e-9)


def test_reuse_is_capped(cohort, monkeypatch):
    monkeypatch.setattr("evaluation.design.alternatives.REUSE_CAP", 1)
    result = match_alternatives(cohort.frame, rules=rules(method=["nearest_reuse"]), seed=1)
    without, capped = (frame.set_index(KEY)["weight"].sort_index() for _, frame in result.weights.groupby("match_id"))
    pd.testing.assert_series_equal(without, capped)  # a cap of one is matching without replacement


def test_no_outcome_is_read(cohort, every):
    blind = cohort.frame.copy()
    shuffled = np.random.default_rng(0).permutation(len(blind))
    for column in ("followup_rate", "followup_absent", "change", "started", "baseline_rate"):
        blind[column] = blind[column].to_numpy()[shuffled]
    pd.testing.assert_frame_equal(match_alternatives(blind, rules=rules(**EVERY), seed=1).weights, every.weights)


def test_an_alternative_that_cannot_be_matched_is_kept_with_its_reason(cohort):
    frame = cohort.frame.assign(known_to_all=cohort.frame["referred"] + 0.25 * cohort.frame["idaci"])
    result = match_alternatives(frame, rules=rules(covariates={"telling": ["known_to_all"]}), seed=1)
    failed = result.alternatives.loc[result.alternatives["failed"].notna()]
    assert failed["failed"].item().startswith("the covariates separate") and failed["covariates"].item() == "telling"
    assert set(result.weights["match_id"]) == set(result.alternatives["match_id"]) - set(failed["match_id"])
    assert failed["referred"].item() == 0 and failed["unmatched"].item() == frame.query("analysed and entry == 'first' and referred")["pupil_id"].size


@pytest.mark.parametrize(("listed", "said"), [
    ({"caliper": [0]}, "caliper"), ({"ratio": [11]}, "ratio"), ({"covariates": {"registered": ["fsm"]}}, "name other than"), ({"covariates": {"none": []}}, "at least one"),
    ({"covariates": {"history": ["baseline_rate"]}}, "overlaps the baseline"), ({"covariates": {"later": ["change"]}}, "overlaps the baseline"), ({"method": ["genetic"]}, "method"),
])  # fmt: skip
def test_alternatives_that_cannot_be_registered_are_refused(listed, said):
    with pytest.raises((ValidationError, ParameterError), match=said):
        section("matching", alternatives=json.loads(json.dumps({**NONE, **listed})))
