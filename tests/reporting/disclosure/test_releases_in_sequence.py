"""A release beside an earlier one: what only the two together would show stays behind."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from evaluation.reporting.disclosure import PROFILES, clear_tables, prove_clearance
from evaluation.reporting.disclosure.earlier import CHANGED, HELD, read_earlier

REACH = {"about": "pupils", "dimensions": {"area": "all"}, "counts": {"started": "started", "completed": "completed"}, "parts": [["completed", "started"]]}
AREAS = {"A": (60, 45), "B": (70, 50), "C": (84, 80)}
"""Pupils who started and who completed: four of C did not."""


def reach(areas: str) -> pd.DataFrame:
    rows = [(a, *AREAS[a]) for a in areas]
    return pd.DataFrame([*rows, ("all", *(sum(column) for column in list(zip(*rows, strict=True))[1:]))], columns=["area", "started", "completed"])


def released(folder: Path, cleared) -> Path:
    """The folder of a release that holds one cleared table."""
    told = {"run_id": "before", "profile": {"rounding_base": 1}, "tables": [{"name": "reach", "file": "reach.csv", "dimensions": {"area": "all"}, "counts": REACH["counts"]}]}
    folder.mkdir()
    cleared.frame.astype(object).where(~cleared.hidden, "c").to_csv(folder / "reach.csv", index=False)
    (folder / "release.json").write_text(json.dumps(told), encoding="utf-8")
    return folder


def in_sequence(dictionary, tmp_path: Path, before: str, now: str) -> tuple[pd.DataFrame, pd.DataFrame, set[str]]:
    """What either release shows, by area, and the reasons that the second gives."""
    first = clear_tables(dict([dictionary.table("reach", reach(before), REACH)]), PROFILES["srs"], "restricted")
    earlier = read_earlier(released(tmp_path / "release", first.cleared[0]))
    second = clear_tables(dict([dictionary.table("reach", reach(now), REACH)]), PROFILES["srs"], "restricted", earlier)
    assert prove_clearance(second) == []
    shown = [c.frame.astype(object).where(~c.hidden, "c").set_index("area") for c in (first.cleared[0], second.cleared[0])]
    return *shown, {entry.reason for entry in second.log}


@pytest.mark.parametrize(("before", "now"), [("ABC", "AB"), ("AB", "ABC")], ids=["an area leaves", "an area joins"])
def test_totals_of_two_releases_do_not_tell_the_few_of_the_area_between_them(dictionary, tmp_path, before, now):
    first, second, reasons = in_sequence(dictionary, tmp_path, before, now)
    totals = [{column: frame.at["all", column] for column in ("started", "completed")} for frame in (first, second)]
    readable = [column for column in ("started", "completed") if "c" not in (totals[0][column], totals[1][column])]
    assert readable != ["started", "completed"], f"84 less 80: four pupils of area C, from {totals}"
    assert any(reason.startswith(CHANGED) for reason in reasons) or before == "AB"


def test_a_count_held_back_before_is_held_back_where_sums_tie_it(dictionary, tmp_path):
    first, second, reasons = in_sequence(dictionary, tmp_path, "ABC", "AB")
    hidden = first.index[first["completed"].eq("c") & (first.index != "all")]
    assert len(hidden) >= 2 and all(second.at[area, "completed"] == "c" for area in hidden if area in second.index)
    assert HELD in reasons


def test_a_release_that_shows_the_same_as_before_holds_nothing_more_back(dictionary, tmp_path):
    first, second, _ = in_sequence(dictionary, tmp_path, "ABC", "ABC")
    assert first.equals(second)
