"""Surveys: who answered, changes among respondents that are never called effects, and waves that no key says how to score."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from small_trial import section

from evaluation.errors import DataError
from evaluation.impact.engagement import (
    COMPARISON, DIFFERENCE, MENTORED, NOT_AN_EFFECT, check_key, survey_changes, survey_pupils, survey_response,
)
from evaluation.registers.surveys import survey_reliability, survey_scores

RULES = section("impact", subgroup_minimum_pupils=4, subgroup_minimum_schools=2)
SCALES = pd.DataFrame({"scale": "engagement", "item": ["E1", "E2", "E3"], "reverse": [False, False, True], "lowest": 1, "highest": 5, "minimum_items": 2})


def answers(rows: list[tuple]) -> pd.DataFrame:
    """Answers from (pupil, wave, E1, E2, E3); None is an item left out."""
    lines = [(pupil, wave, pd.Timestamp("2023-10-01"), "engagement", item, value) for pupil, wave, *values in rows
             for item, value in zip(("E1", "E2", "E3"), values, strict=True)]
    frame = pd.DataFrame(lines, columns=["pupil_id", "wave", "answered_on", "scale", "item", "response"])
    return frame.astype({"response": "Int64"})


def scores(arm_size: int = 4, comparison: bool = False, shift: float = 1.0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Scores and pupils: mentored pupils gain ``shift``, comparison ones a tenth of it; one more mentored pupil answers only before."""
    rows, pupils = [], []
    for arm, gain in ((MENTORED, shift), (COMPARISON, shift / 10)):
        for i in range(arm_size + (arm == MENTORED)):
            pupil = f"{arm[0]}{arm[-1]}{i}"
            pupils.append((pupil, f"{arm[0]}{arm[-1]}{i % 2}", arm))
            if arm == COMPARISON and not comparison:
                continue
            rows.append((pupil, "baseline", 2.0 + 0.1 * i))
            if i < arm_size:
                rows.append((pupil, "follow-up", 2.0 + 0.1 * i + gain + 0.05 * (-1) ** i * (1 + i)))
    table = pd.DataFrame(rows, columns=["pupil_id", "wave", "score"]).assign(scale="engagement", items=3, minimum_items=2, items_answered=3)
    return table, pd.DataFrame(pupils, columns=["pupil_id", "school_id", "arm"])


def test_response_is_counted_out_of_everyone_who_could_have_answered():
    table, pupils = scores()
    table.loc[0, ["score", "items_answered"]] = [np.nan, 1]
    found = survey_response(table, pupils).set_index(["arm", "wave"])
    assert found.loc[(MENTORED, "baseline"), ["pupils", "answered", "scored"]].tolist() == [5, 5, 4]
    assert found.loc[(MENTORED, "follow-up"), "share"] == pytest.approx(80.0)
    assert found.loc[(COMPARISON, "baseline"), ["pupils", "answered", "share"]].tolist() == [4, 0, 0.0] and pd.isna(found.loc[(COMPARISON, "baseline"), "mean"])


def test_without_comparison_answers_a_change_is_no_effect():
    table, pupils = scores()
    found = survey_changes(table, pupils, rules=RULES).set_index("what")
    wide = table.pivot(index="pupil_id", columns="wave", values="score").dropna()
    assert found.loc[MENTORED, "pupils"] == 4 and found.loc[MENTORED, "estimate"] == pytest.approx((wide["follow-up"] - wide["baseline"]).mean())
    assert found.loc[MENTORED, "mean_before"] == pytest.approx(wide["baseline"].mean()) and found.loc[MENTORED, "text"] == NOT_AN_EFFECT
    assert not found["is_effect"].any() and pd.isna(found.loc[DIFFERENCE, "estimate"]) and "no effect can be told" in found.loc[DIFFERENCE, "text"]


def test_with_answers_of_both_arms_their_difference_is_the_effect_and_the_arms_are_not():
    table, pupils = scores(comparison=True)
    found = survey_changes(table, pupils, rules=RULES).set_index("what")
    assert found.loc[DIFFERENCE, "estimate"] == pytest.approx(found.loc[MENTORED, "estimate"] - found.loc[COMPARISON, "estimate"])
    assert found["is_effect"].to_dict() == {MENTORED: False, COMPARISON: False, DIFFERENCE: True}


def test_too_few_respondents_have_no_number():
    table, pupils = scores(arm_size=3)
    assert survey_changes(table, pupils, rules=RULES)["estimate"].isna().all()


def test_a_wave_without_a_key_is_refused():
    table, pupils = scores()
    for broken, said in ((table.assign(items=np.nan), "has no key"), (table.assign(minimum_items=np.nan), "has no key"),
                         (table.assign(wave="spring"), "`spring` is neither"), (pd.concat([table, table.head(1)]), "two scores")):
        with pytest.raises(DataError, match=said):
            survey_changes(broken, pupils, rules=RULES)
        with pytest.raises(DataError, match=said):
            check_key(broken)


def test_a_study_without_surveys_has_tables_without_rows():
    table, pupils = scores()
    assert survey_response(table.head(0), pupils).columns[0] == "arm" and survey_changes(table.head(0), pupils, rules=RULES).columns[0] == "scale"
    assert survey_response(table.head(0), pupils).empty and survey_changes(table.head(0), pupils, rules=RULES).empty


def test_who_could_have_answered_is_everyone_who_started_and_the_comparison_pupils():
    referrals = pd.DataFrame({"pupil_id": ["a", "b", "a"], "school_id": ["S1", "S1", "S2"], "started": [True, False, True],
                              "referral_date": pd.to_datetime(["2023-01-01", "2023-01-01", "2024-01-01"])})

    class Change:
        rows = pd.DataFrame({"pupil_id": ["a", "x", "x", "y"], "school_id": ["S1", "C1", "C1", "C2"], "treated": [1, 0, 0, 0]})

    found = survey_pupils(pd.DataFrame(), referrals, Change())
    assert found.to_dict("list") == {"pupil_id": ["a", "x", "y"], "school_id": ["S1", "C1", "C2"], "arm": [MENTORED, COMPARISON, COMPARISON]}


def test_reverse_items_are_turned_and_a_minimum_of_items_is_needed():
    items = answers([("a", "baseline", 1, 2, 5), ("b", "baseline", 4, None, None), ("c", "baseline", 5, None, 1)])
    found = survey_scores(items, SCALES).set_index("pupil_id")["score"]
    assert found["a"] == pytest.approx((1 + 2 + 1) / 3) and pd.isna(found["b"]) and found["c"] == pytest.approx(5.0)


def test_reliability_of_a_case_worked_by_hand():
    # Turned: (1,1,2), (2,3,3), (4,4,4), (5,4,5). Item variances 10/3, 2, 5/3; totals 4, 8, 12, 14 with variance 59/3.
    items = answers([("a", "baseline", 1, 1, 4), ("b", "baseline", 2, 3, 3), ("c", "baseline", 4, 4, 2), ("d", "baseline", 5, 4, 1), ("e", "baseline", 5, None, 1)])
    found = survey_reliability(items, SCALES).iloc[0]
    assert found["pupils"] == 4 and found["items"] == 3 and found["alpha"] == pytest.approx(1.5 * (1 - 7 / (59 / 3)))


def test_items_scored_the_wrong_way_round_show_as_low_reliability():
    items = answers([("a", "baseline", 1, 1, 4), ("b", "baseline", 2, 3, 3), ("c", "baseline", 4, 4, 2), ("d", "baseline", 5, 4, 1)])
    wrong = survey_reliability(items, SCALES.assign(reverse=False))["alpha"].iloc[0]
    assert wrong < 0.3 < survey_reliability(items, SCALES)["alpha"].iloc[0]
    one = survey_reliability(items.query("item == 'E1'"), SCALES.query("item == 'E1'")).iloc[0]
    assert pd.isna(one["alpha"])
