"""The gate, on each kind of table that must not leave as it is: refused or made safe, with the reason in the log."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from evaluation.reporting.disclosure import PROFILES, clear_tables, find_profile, prove_clearance
from evaluation.reporting.disclosure.earlier import read_earlier
from evaluation.reporting.disclosure.shown import shown_findings
from evaluation.reporting.disclosure.stated import state_number
from evaluation.reporting.release.tables import table_csv

AREA_BY_NEED = {"about": "pupils", "dimensions": {"area": "all", "need": "all"}, "counts": {"pupils": "pupils"}, "shares": {}}


def two_way(small: int = 4) -> pd.DataFrame:
    """Two areas by two needs with every total; one cell is small."""
    inner = {("A", "severe"): small, ("A", "other"): 30, ("B", "severe"): 25, ("B", "other"): 40, ("C", "severe"): 18, ("C", "other"): 22}
    rows = [(a, n, v) for (a, n), v in inner.items()]
    rows += [(a, "all", sum(v for (x, _), v in inner.items() if x == a)) for a in "ABC"]
    rows += [("all", n, sum(v for (_, x), v in inner.items() if x == n)) for n in ("severe", "other")]
    return pd.DataFrame([*rows, ("all", "all", sum(inner.values()))], columns=["area", "need", "pupils"])


def clear(*tables, profile: str = "srs", label: str = "restricted", **more):
    clearance = clear_tables(dict(tables), PROFILES[profile], label, **more)
    assert prove_clearance(clearance) == []
    return clearance


def published(clearance, name: str) -> pd.DataFrame:
    cleared = next(c for c in clearance.cleared if c.table.name == name)
    return cleared.frame.astype(object).where(~cleared.hidden, "c")


def test_a_two_way_table_with_totals_loses_its_small_cell_and_three_more(dictionary):
    clearance = clear(dictionary.table("needs", two_way(), AREA_BY_NEED, key=["area", "need"]))
    shown = published(clearance, "needs").set_index(["area", "need"])["pupils"]
    assert shown["A", "severe"] == "c" and (shown == "c").sum() == 4
    for side in (shown.xs("A", level="area"), shown.xs("severe", level="need")):
        assert (side == "c").sum() >= 2, "a row or column with one unknown gives it away"
    assert [(e.row, e.reason, e.count) for e in clearance.log if "below" in e.reason] == [("A, severe", "below the threshold (10)", 4)]
    assert sum("worked out" in e.reason for e in clearance.log) == 3


def test_two_tables_that_give_a_cell_away_by_difference_are_seen_as_one(dictionary):
    by_area = pd.DataFrame({"area": ["A", "B", "all"], "pupils": [60, 70, 130]})
    without = pd.DataFrame({"area": ["A", "B"], "all_pupils": [60, 70], "absent": [56, 40]})
    first = dictionary.table("roll", by_area, {"about": "pupils", "dimensions": {"area": "all"}, "counts": {"pupils": "roll"}})
    second = dictionary.table("absence", without, {"about": "pupils", "dimensions": {"area": None}, "counts": {"all_pupils": "roll", "absent": "absent"}, "parts": [["absent", "all_pupils"]]})
    shown = published(clear(first, second), "absence").set_index("area")
    assert shown.at["A", "absent"] == "c" or shown.at["A", "all_pupils"] == "c", "60 less 56 leaves four pupils"
    assert shown.at["B", "absent"] == 40


def test_equal_numbers_left_over_here_and_printed_there_are_taken_for_the_same(dictionary):
    flow = dictionary.table("flow", pd.DataFrame({"step": ["analysed"], "pupils": [345]}), {"about": "pupils", "dimensions": {"step": None}, "counts": {"pupils": "flow"}})
    lost = dictionary.table("lost", pd.DataFrame({"reason": ["moved", "left"], "pupils": [0, 5], "of_pupils": [350, 350]}), {
        "about": "pupils", "dimensions": {"reason": None}, "counts": {"pupils": "lost", "of_pupils": "could be analysed"}, "partition": {"count": "pupils", "over": "reason", "whole": "of_pupils"}})
    shown = clear(flow, lost)
    assert (published(shown, "lost")["of_pupils"] == "c").all() or (published(shown, "flow")["pupils"] == "c").all(), "350 less 345 gives the five away"


def test_pupils_left_of_a_count_that_another_table_shows_are_a_group(dictionary):
    answered = pd.DataFrame([("engagement", 224), ("wellbeing", 300)], columns=["scale", "answered"])
    both = pd.DataFrame([("engagement", 221), ("wellbeing", 250)], columns=["scale", "pupils"])
    first = dictionary.table("answered", answered, {"about": "pupils", "dimensions": {"scale": None}, "counts": {"answered": "pupils who answered"}})
    spec = {"about": "pupils", "dimensions": {"scale": None}, "counts": {"pupils": "pupils who answered twice"}}
    apart = clear(first, dictionary.table("both", both, spec))
    assert list(published(apart, "both")["pupils"]) == [221, 250]  # 224 - 221 is 3 pupils: nothing says that these are among those
    tied = clear(first, dictionary.table("twice", both, {**spec, "sums": [{"parts": ["pupils"], "within": [{"population": "pupils who answered", "same": ["scale"]}]}]}))
    shown = [published(tied, "answered").loc[0, "answered"], published(tied, "twice").loc[0, "pupils"]]
    assert "c" in shown and published(tied, "twice").loc[1, "pupils"] == 250


def test_a_small_number_beside_a_sentence_makes_it_go_as_one_within_it_does(dictionary):
    frame = pd.DataFrame([("a", "Too few to say.", 9.0, "pupils"), ("b", "Said.", 65.0, "pupils"), ("c", "Rated.", 4.0, "of 5")], columns=["key", "text", "value", "unit"])
    cleared = clear(dictionary.table("said", frame, {"about": "sentences", "words": ["text"]}), dictionary.table("areas", two_way(), AREA_BY_NEED))
    assert list(published(cleared, "said")["key"]) == ["b", "c"]


def test_a_flow_is_safe_step_by_step(dictionary):
    frame = pd.DataFrame({"position": [1, 2, 3, 4], "kind": ["kept", "left out", "left out", "kept"], "pupils": [400, 3, 40, 357]})
    spec = {"about": "pupils", "dimensions": {"position": None}, "counts": {"pupils": "flow"}, "plain": ["kind"],
            "chain": {"order": "position", "kind": "kind", "kept": "kept", "left_out": "left out", "count": "pupils"}}
    assert published(clear(dictionary.table("flow", frame, spec)), "flow")["pupils"].tolist().count("c") == 2


def test_a_suppressed_total_stays_suppressed(dictionary):
    frame = pd.DataFrame({"area": ["A", "B", "C", "all"], "pupils": [2, 3, 3, 8]})
    assert (published(clear(dictionary.table("few", frame, {"about": "pupils", "dimensions": {"area": "all"}, "counts": {"pupils": "few"}})), "few")["pupils"] == "c").all()


def test_percentages_and_medians_go_with_their_counts(dictionary):
    frame = pd.DataFrame({"area": ["A", "B"], "started": [40, 60], "completed": [36, 30], "share": [0.9, 0.5], "median": [7.0, 8.0], "cost_each": [100.0, 120.0]})
    spec = {"about": "pupils", "dimensions": {"area": None}, "counts": {"started": "s", "completed": "c"}, "parts": [["completed", "started"]], "shares": {"share": ["completed", "started"]},
            "based_on": {"median": ["completed"]}, "reveals": {"cost_each": ["completed"]}}
    shown = published(clear(dictionary.table("support", frame, spec)), "support").set_index("area")
    assert "c" in (shown.at["A", "started"], shown.at["A", "completed"]) and shown.at["A", "share"] == "c" and shown.at["B", "share"] == 0.5
    assert shown.at["A", "median"] == 7.0, "a median of 36 pupils is safe"


def test_statistics_of_few_pupils_and_regressions_without_degrees_of_freedom_go(dictionary):
    frame = pd.DataFrame({"row": ["few", "saturated", "sound"], "n": [6, 65, 400], "effect": [1.0, 2.0, 3.0]})
    spec = {"about": "pupils", "dimensions": {"row": None}, "counts": {"n": "n"}, "based_on": {"effect": ["n"]}, "residual": {"counts": ["n"], "parameters": 60}}
    clearance = clear(dictionary.table("effects", frame, spec))
    assert published(clearance, "effects")["effect"].tolist() == ["c", "c", 3.0]
    assert {e.reason for e in clearance.log if e.column == "effect"} == {"rests on fewer than 10 (n)", "fewer than 10 residual degrees of freedom"}


def test_rounded_counts_carry_rounded_percentages_and_true_zeros(dictionary):
    frame = pd.DataFrame({"area": ["A", "B", "C"], "absent": [13, 0, 2], "pupils": [98, 52, 61], "share": [13.265, 0.0, 3.279]})
    spec = {"about": "pupils", "dimensions": {"area": None}, "counts": {"absent": "absent", "pupils": "pupils"}, "shares": {"share": ["absent", "pupils"]}}
    shown = published(clear(dictionary.table("absence", frame, spec), profile="dfe_absence"), "absence").set_index("area")
    assert shown.loc["A"].tolist() == [15, 100, 15.0] and shown.at["B", "absent"] == 0
    assert shown.at["C", "absent"] == "c" and shown.at["C", "share"] == "c" and shown.at["C", "pupils"] == 60


@pytest.mark.parametrize("name, frame, disclosure, sensitivity, reason", [
    ("pupils_list", pd.DataFrame({"pupil_id": ["p1"], "rate": [9.1]}), {"about": "no pupils", "why": "none"}, "pseudonymous", "pupil-level table"),
    ("hidden_list", pd.DataFrame({"pupil_id": ["x"], "rate": [9.1]}), {"about": "no pupils", "why": "none"}, "aggregate", "names single pupils"),
    ("numbers", pd.DataFrame({"area": ["A123456789012"], "pupils": [40]}), AREA_BY_NEED | {"dimensions": {"area": "all"}}, "aggregate", "unique pupil number"),
    ("mail", pd.DataFrame({"area": ["A"], "note": ["write to jo@school.example"]}), {"about": "no pupils", "why": "none"}, "aggregate", "email address"),
    ("words", pd.DataFrame({"area": ["A"], "note": ["She was away for weeks. " * 60]}), {"about": "no pupils", "why": "none"}, "aggregate", "longer than"),
    ("unknown", pd.DataFrame({"area": ["A"], "pupils": [400]}), None, "aggregate", "nothing is declared"),
    ("extra", pd.DataFrame({"area": ["A"], "pupils": [400], "new": [1]}), {"about": "pupils", "dimensions": {"area": None}, "counts": {"pupils": "p"}}, "aggregate", "does not fit"),
    ("official", pd.DataFrame({"area": ["A"], "value": [1.0]}), {"about": "published statistics"}, "aggregate", "not published"),
])
def test_what_may_never_leave_is_refused_with_the_reason(dictionary, name, frame, disclosure, sensitivity, reason):
    clearance = clear_tables(dict([dictionary.table(name, frame, disclosure, sensitivity=sensitivity)]), PROFILES["srs"], "restricted")
    assert clearance.cleared == () and len(clearance.refused) == 1 and reason in clearance.refused[0].reason


def test_a_formula_in_a_label_is_made_harmless(dictionary):
    frame = pd.DataFrame({"area": ["=HYPERLINK(1)", "B"], "pupils": [40, 50]})
    clearance = clear(dictionary.table("areas", frame, {"about": "pupils", "dimensions": {"area": None}, "counts": {"pupils": "p"}}))
    assert b"'=HYPERLINK(1)" in table_csv(clearance.cleared[0]) and b"\n=HYPERLINK" not in table_csv(clearance.cleared[0])


def test_a_table_that_shows_a_count_differently_from_another_stays(dictionary):
    spec = {"about": "pupils", "dimensions": {"area": None}, "counts": {"pupils": "p"}}
    tables = [dictionary.table(name, pd.DataFrame({"area": ["A"], "pupils": [n]}), spec) for name, n in (("one", 40), ("two", 41))]
    clearance = clear(*tables)
    assert [c.table.name for c in clearance.cleared] == ["one"] and "disagrees" in clearance.refused[0].reason


def test_sentences_go_when_they_state_what_is_held_back(dictionary):
    counts = dictionary.table("needs", two_way(), AREA_BY_NEED, key=["area", "need"])
    texts = ["4 pupils were severely absent.", "Of 139 pupils, many came back.", "In area A it is 11%.", "Over 3 half-terms, days rose by 1.5.", "All pupils in area A came back.", "In area A too few to say."]
    said = pd.DataFrame({"position": range(1, 7), "key": list("abcdef"), "text": texts})
    sentences = dictionary.table("headline", said, {"about": "sentences", "words": ["text"], "sentences": {**dict.fromkeys("cef", ["needs: area=A"]), "d": ["needs: area=all"]}}, key=["position"])
    clearance = clear(counts, sentences)
    assert published(clearance, "headline")["key"].tolist() == ["b", "d", "f"]
    assert [e.row for e in clearance.log if e.action == "withheld"] == ["a", "c", "e"]


def test_results_without_counts_stay_where_the_groups_behind_them_are_too_small(dictionary):
    effects = pd.DataFrame({"row": ["main"], "n": [6], "effect": [1.0], "headline": [True]})
    behind = dictionary.table("estimates", effects, {"about": "pupils", "dimensions": {"row": None}, "counts": {"n": "n"}, "based_on": {"effect": ["n"]}, "plain": ["headline"]})
    more = dictionary.table("bounds", pd.DataFrame({"m": [0.5], "low": [0.1]}), {"about": "no pupils", "why": "effects of estimates", "rests_on": ["estimates: headline=True"]})
    assert [r.table for r in clear(behind, more).refused] == ["bounds"]


def test_an_earlier_release_that_shows_a_count_a_little_differently_makes_it_go(dictionary, tmp_path):
    spec = {"about": "pupils", "dimensions": {"area": None}, "counts": {"pupils": "p"}}
    folder = tmp_path / "release"
    (folder / "tables").mkdir(parents=True)
    (folder / "tables" / "areas.csv").write_text("area,pupils\nA,40\nB,50\nC,c\n", encoding="utf-8")
    (folder / "release.json").write_text('{"run_id": "r", "profile": {"rounding_base": 1}, "tables": [{"name": "areas", "file": "tables/areas.csv", "dimensions": {"area": null}, "counts": {"pupils": "p"}}]}', encoding="utf-8")
    table = dictionary.table("areas", pd.DataFrame({"area": ["A", "B", "C"], "pupils": [43, 50, 60]}), spec)
    clearance = clear(table, earlier=read_earlier(folder))
    assert published(clearance, "areas")["pupils"].tolist() == ["c", 50, 60]
    assert "earlier release" in clearance.log[0].reason


def test_a_count_already_published_protects_nothing(dictionary, tmp_path):
    folder = tmp_path / "release"
    (folder / "tables").mkdir(parents=True)
    before = two_way().assign(pupils=lambda f: f["pupils"].astype(str).where(~((f["area"] == "A") & (f["need"] == "severe")), "c"))
    before.to_csv(folder / "tables" / "needs.csv", index=False)
    (folder / "release.json").write_text('{"run_id": "r", "profile": {"rounding_base": 1}, "tables": [{"name": "needs", "file": "tables/needs.csv", "dimensions": {"area": "all", "need": "all"}, "counts": {"pupils": "pupils"}}]}', encoding="utf-8")
    clearance = clear_tables(dict([dictionary.table("needs", two_way(), AREA_BY_NEED, key=["area", "need"])]), PROFILES["srs"], "restricted", read_earlier(folder))
    assert clearance.cleared == () and "whatever else is suppressed" in clearance.refused[0].reason


def test_a_studys_own_thresholds_are_used(dictionary):
    own = find_profile("srs", {"threshold": 4, "source": "agreement"})
    clearance = clear_tables(dict([dictionary.table("needs", two_way(), AREA_BY_NEED, key=["area", "need"])]), own, "restricted")
    assert not clearance.cleared[0].hidden.to_numpy().any()


@pytest.mark.parametrize("html, said", [
    ("<p>Pupil A12345678901B came back</p>", "unique pupil number"), ('<table><thead><tr><th scope="col">Pupil id</th></tr></thead><tbody><tr><th scope="row">17</th></tr></tbody></table>', "single pupils"),
    ("<p>/home/jo/marks.csv</p>", "file path"),
])
def test_a_report_that_would_show_a_person_names_the_cell(html, said):
    notebook = {"cells": [{"cell_type": "code", "id": "who", "outputs": [{"data": {"text/html": html}}]}]}
    finding, = shown_findings("delivery", notebook)
    assert finding.where == "delivery/who" and said in finding.message and finding.mend


def test_log_entries_of_the_manifest_hold_no_counts(dictionary):
    from evaluation.reporting.release.request import manifest_log

    log = manifest_log(clear(dictionary.table("needs", two_way(), AREA_BY_NEED, key=["area", "need"])))
    assert log and all(set(entry) == {"table", "row", "column", "action", "reason"} for entry in log)
    assert SimpleNamespace(**log[0]).table == "needs"


def test_codes_of_places_beside_years_are_no_pupil_number():
    """Two cells of a table are two texts: the code of an authority beside an academic year, or three counts, once read as one number."""
    html = ("<table><tr><th scope=\"row\">Buckinghamshire</th><td>E10000002, E06000060</td><td>2016/17</td><td>2022/23</td></tr>"
            "<tr><th scope=\"row\">Salford</th><td>0128</td><td>111</td><td>0841</td></tr></table>")
    cell = {"id": "authorities", "outputs": [{"output_type": "display_data", "data": {"text/html": html}, "metadata": {}}]}
    assert shown_findings("area_panel", {"cells": [cell]}) == []
    cell["outputs"][0]["data"]["text/html"] = html.replace("2016/17", "A823456789012")
    assert len(shown_findings("area_panel", {"cells": [cell]})) == 1


def test_a_measure_of_pupils_is_stated_to_few_digits_so_that_no_denominator_can_be_read_from_it():
    stated = state_number(np.array([221 / 441, 100 * 221 / 441, -2.684523, 0.0, np.nan, 0.012345, 12345.678]))
    assert np.allclose(stated, [0.501, 50.11, -2.68, 0.0, np.nan, 0.0123, 12345.68], rtol=0, atol=1e-12, equal_nan=True)
