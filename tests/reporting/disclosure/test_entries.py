"""Every table that a stage writes says what stands behind it, so that none stays behind for want of a word."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluation.registers.dictionary import load_table, table_names
from evaluation.reporting.disclosure import disclosure_of

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
    harms, models = (disclosure_of(load_table(ROOT, name)) for name in ("harms", "delivery_model_effects"))
    assert disclosure_of(load_table(ROOT, "attrition_bounds")).about == "not for release"
    assert "left_the_roll" not in harms.only["outcome"] and "medical_rate" in harms.only["outcome"]
    assert "pupils" in models.withheld  # less `pupils_beside` of the other model: pupils with nobody to be compared with
