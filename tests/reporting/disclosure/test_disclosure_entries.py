"""Every table that a stage writes says what stands behind it, so that none stays behind for want of a word."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from evaluation.registers.dictionary import load_table, table_names
from evaluation.reporting.disclosure import PROFILES, clear_tables, disclosure_of

ROOT = Path(__file__).resolve().parents[3]
WRITTEN = [name for name in table_names(ROOT) if load_table(ROOT, name).stage and load_table(ROOT, name).sensitivity == "aggregate"]


@pytest.mark.parametrize("name", WRITTEN)
def test_a_table_of_groups_says_what_stands_behind_it(name):
    spec = disclosure_of(load_table(ROOT, name))
    assert spec is not None, f"add x-disclosure to data_dictionary/{name}.yaml"
    if spec.about == "pupils":
        counts = {c.name for c in load_table(ROOT, name).columns if c.unit == "pupils" and c.type == "integer"}
        assert counts <= {*spec.counts, *spec.withheld, *spec.plain}, "a column of pupils is not taken for a count"
    if spec.about == "sentences":
        assert spec.words


def test_what_a_table_of_single_pupils_says_never_lets_it_leave():
    said = [disclosure_of(load_table(ROOT, n)) for n in table_names(ROOT) if load_table(ROOT, n).sensitivity != "aggregate"]
    assert {spec.about for spec in said if spec is not None} <= {"not for release"}


def test_the_few_pupils_who_were_lost_cannot_be_had_by_subtraction():
    # Everyone who entered, less those analysed (table `estimates`), are the pupils lost; the estimate over its tipping point is their share.
    harms, models, bounds = (disclosure_of(load_table(ROOT, name)) for name in ("harms", "delivery_model_effects", "attrition_bounds"))
    assert bounds.only == {"method": ("Lee bounds",)}, "the width of worst-case bounds is the share of pupils lost"
    assert {"retention_treated", "share_trimmed", "tipping", "n_treated", "n_comparison", "text"} <= set(bounds.withheld)
    assert "left_the_roll" not in harms.only["outcome"] and "medical_rate" in harms.only["outcome"]
    assert "pupils" in models.withheld  # less `pupils_beside` of the other model: pupils with nobody to be compared with


def cleared(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    """A hand-made table under the project's own entry, as it would leave."""
    clearance = clear_tables({name: (load_table(ROOT, name), frame)}, PROFILES["srs"], "restricted")
    return clearance.cleared[0].frame


def test_the_share_and_the_mean_of_a_survey_do_not_tell_how_many_answers_had_no_score():
    frame = pd.DataFrame([("pupils who started with a mentor", "engagement", "baseline", 441, 366, 364, 100 * 364 / 441, 2.663690476190476, 0.79)],
                         columns=["arm", "scale", "wave", "pupils", "answered", "scored", "share", "mean", "standard_deviation"])  # fmt: skip
    row = cleared("survey_response", frame).iloc[0]
    assert row["answered"] == 366 and row[["scored", "share", "mean", "standard_deviation"]].isna().all()
    enough = cleared("survey_response", frame.assign(scored=350, share=100 * 350 / 441)).iloc[0]
    assert enough["scored"] == 350 and enough[["share", "mean"]].notna().all()


def test_barriers_of_any_kind_are_the_total_of_their_kinds():
    kinds = {"anxiety": (53, 22), "health": (40, 20), "transport": (5, 2), "other": (4, 2), "any": (102, 46)}
    frame = pd.DataFrame([("all", "All areas", kind, 112, 112, pupils := 90 if kind == "any" else have, pupils / 112, have, done, done / have, 60.0)
                          for kind, (have, done) in kinds.items()],
                         columns=["area_code", "area_name", "barrier_type", "pupils_started", "pupils_assessed", "pupils", "share", "barriers", "resolved", "share_resolved",
                                  "median_days_to_resolve"])  # fmt: skip
    told = cleared("delivery_barriers", frame).set_index("barrier_type")
    one_kind = told.drop(index="any")
    assert (one_kind["pupils"].isna() == one_kind["barriers"].isna()).all(), "a pupil has a barrier once: the one column would give the other back"
    shown = told["barriers"]
    assert shown[["transport", "other"]].isna().all()
    assert shown.isna().sum() > 2, "102 - 53 - 40 is 9: both together are fewer than 10"


def test_pupils_referred_who_never_met_the_rule_are_a_group():
    row = {"level": "programme", "area_code": "all", "area_name": "All areas", "delivery_model": "all", "schools": 4, "eligible": 1156, "eligible_referred": 167, "referrals": 176,
           "referred": 176, "consented": 147, "started": 112, "completed": 90, "share_started": 112 / 176, "share_completed": 90 / 112, "first_meetings": 112,
           "median_days_to_first_meeting": 15.5, "quarter_met_by_days": 10.0, "three_quarters_met_by_days": 19.0, "identification": "not a comparison of models"}  # fmt: skip
    shown = cleared("delivery_reach", pd.DataFrame([row])).iloc[0]
    assert pd.isna(shown["eligible_referred"]) or pd.isna(shown["referred"])
