"""What an entry declares is looked for in the data: a table that contradicts its entry stays, with row, column, rule and mend."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from evaluation.errors import ContractError
from evaluation.registers.dictionary import load_table, table_names
from evaluation.reporting.disclosure import PROFILES, clear_tables, disclosure_of, prove_clearance
from evaluation.reporting.disclosure.honesty import settled_pairs, share_scale
from evaluation.reporting.disclosure.network import build_system

ROOT = Path(__file__).resolve().parents[3]

REACH = {"about": "pupils", "dimensions": {"area": "all"}, "counts": {"referred": "pupils referred", "started": "pupils who started"}, "parts": [["started", "referred"]],
         "shares": {"share": ["started", "referred"]}}
FLOW = {"about": "pupils", "dimensions": {"position": None}, "counts": {"pupils": "flow"}, "plain": ["kind"],
        "chain": {"order": "position", "kind": "kind", "kept": "kept", "left_out": "left out", "count": "pupils"}}
LOST = {"about": "pupils", "dimensions": {"reason": None}, "counts": {"pupils": "lost", "of_pupils": "entered"}, "partition": {"count": "pupils", "over": "reason", "whole": "of_pupils"},
        "parts": [["pupils", "of_pupils"]]}


def reach(**changes) -> pd.DataFrame:
    """Pupils referred and started in three areas and in all, as an honest stage writes it; ``changes`` make it lie."""
    frame = pd.DataFrame({"area": ["A", "B", "C", "all"], "referred": [40, 60, 80, 180], "started": [20, 45, 50, 115]})
    frame["share"] = frame["started"] / frame["referred"]
    return frame.assign(**changes)


def spec(**changes) -> dict:
    return {**REACH, **changes}


def refusal(*tables, profile: str = "srs") -> str:
    """Why the first table that stays is refused; empty where all leave."""
    clearance = clear_tables(dict(tables), PROFILES[profile], "restricted")
    return clearance.refused[0].reason if clearance.refused else ""


def test_an_honest_table_leaves(dictionary):
    assert refusal(dictionary.table("reach", reach(), REACH)) == ""
    assert refusal(dictionary.table("percent", reach(share=lambda f: 100 * f["started"] / f["referred"]), REACH, units={"share": "%"})) == ""
    assert refusal(dictionary.table("rounded", reach(share=lambda f: (100 * f["started"] / f["referred"]).round(1)), REACH, units={"share": "%"})) == ""


LIES = {
    "the share has another denominator": (reach(share=[0.4, 0.45, 0.5, 0.46]), REACH, "`share`, row A: it is not `started` over `referred`", "name the counts"),
    "a percentage under the unit of a share": (reach(share=lambda f: 100 * f["started"] / f["referred"]), REACH, "`share`, row A: it is not", "name the counts"),
    "the rest instead of the part": (reach(share=lambda f: 1 - f["started"] / f["referred"]), REACH, "`share`, row B: it is not", "name the counts"),
    "a part larger than its whole": (reach(started=[41, 45, 50, 136], share=lambda f: f["started"] / f["referred"]), REACH, "`started`, row A: it is larger than `referred`", "take the pair out"),
    "a part that is not declared": (reach(started=[37, 45, 50, 132], share=lambda f: f["started"] / f["referred"]), spec(parts=[]), "`started`, row A: it is below `referred` in every row and here by fewer than 10", "under `parts`"),
    "a total that never occurs": (reach(area=["A", "B", "C", "whole"]), REACH, "`area`: `all`, declared its total, never occurs", "name the label"),
    "a total that is not declared": (reach(), spec(dimensions={"area": None}), "`area`, row all: `all` reads like a total", "no_totals"),
    "a total under another name": (reach(area=["A", "B", "C", "North"]), spec(dimensions={"area": None}), "`referred`, row North: it is the sum of all other rows of `area`", "declare `North` as the total"),
    "a total smaller than a group": (reach(area=["A", "B", "all", "D"]), REACH, "the total over `area` is smaller than one of its groups", "correct the label"),
    "two rows for one area": (reach(area=["A", "A", "C", "all"]), REACH, "another row has the same primary key (area)", "give every row its own"),
    "a count called plain": (reach(pupils_lost=[3, 4, 5, 12]), spec(plain=["pupils_lost"]), "`pupils_lost`: it holds whole numbers of people", "declare it under `counts`"),
    "a count called a code": (reach(n=[3, 4, 5, 12]), spec(codes=["n"]), "`n`: it holds whole numbers of people", "declare it under `counts`"),
    "words with a number of pupils": (reach(note=["as planned", "2 pupils left", "as planned", "as planned"]), spec(words=["note"]), "`note`, row B: its words state a number of people", "withheld"),
    "a share called a mean": (reach(mean=lambda f: 100 * f["started"] / f["referred"]), spec(based_on={"mean": ["referred"]}), "`mean`: it is `started` over `referred` in every row", "under `shares`"),
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
def test_a_table_that_contradicts_its_entry_stays_with_the_reason(dictionary, lie):
    frame, entry, rule, mend = LIES[lie]
    reason = refusal(dictionary.table("reach", frame, entry, units={"share": "share"}))
    assert rule in reason and mend in reason and reason.startswith("contradicts its entry")


def test_parts_that_make_more_than_their_whole_stay(dictionary):
    assert "summed over `reason` it is larger than `of_pupils`" in refusal(dictionary.table("lost", pd.DataFrame({"reason": ["a", "b"], "pupils": [60, 50], "of_pupils": [100, 100]}), LOST))
    assert "it differs between the values of `reason`" in refusal(dictionary.table("lost", pd.DataFrame({"reason": ["a", "b"], "pupils": [20, 50], "of_pupils": [100, 110]}), LOST))
    assert refusal(dictionary.table("lost", pd.DataFrame({"reason": ["a", "b"], "pupils": [20, 50], "of_pupils": [100, 100]}), LOST)) == ""


def test_a_flow_that_does_not_add_up_stays(dictionary):
    flow = pd.DataFrame({"position": [1, 2, 3], "kind": ["kept", "left out", "kept"], "pupils": [400, 40, 350]})
    assert "350 kept and 40 left out are not the 400 kept before" in refusal(dictionary.table("flow", flow, FLOW))
    assert refusal(dictionary.table("flow", flow.assign(pupils=[400, 50, 350]), FLOW)) == ""


def test_pupils_within_others_who_are_fewer_stay(dictionary):
    answered = dictionary.table("answered", pd.DataFrame({"scale": ["a"], "answered": [100]}), {"about": "pupils", "dimensions": {"scale": None}, "counts": {"answered": "answered"}})
    twice = dictionary.table("twice", pd.DataFrame({"scale": ["a"], "pupils": [120]}), {
        "about": "pupils", "dimensions": {"scale": None}, "counts": {"pupils": "twice"}, "sums": [{"parts": ["pupils"], "within": [{"population": "answered", "same": ["scale"]}]}]})
    assert "larger than every count of `answered`" in refusal(answered, twice)


def test_a_part_that_is_all_of_its_whole_is_still_no_larger(dictionary):
    """All 63 were referred at once: those without a partner are 8 at most, because no more than 63 were."""
    whole, part = ({"about": "pupils", "dimensions": {"area": None}, "counts": {"pupils": name}} for name in ("ever", "at once"))
    part["sums"] = [{"parts": ["pupils"], "within": [{"population": "ever", "same": ["area"], "perhaps": True}]}]
    frames = {name: pd.DataFrame({"area": ["A"], "pupils": [63]}) for name in ("ever", "first")}
    tables = dict([dictionary.table("ever", frames["ever"], whole), dictionary.table("first", frames["first"], part)])
    system, where = build_system({name: (disclosure_of(table), frame) for name, (table, frame) in tables.items()})
    (bound,) = [equation for equation in system.equations if equation[0] == where["ever", 0, "pupils"]]
    assert sorted(system.values[at] for at in bound[1]) == [0, 63]


def test_numbers_with_decimals_need_counts_or_a_reason(dictionary):
    frame = reach(effect=[0.1, 0.2, 0.3, 0.2])
    assert "behind which nothing is counted" in refusal(dictionary.table("reach", frame, spec(plain=["effect"])))
    assert refusal(dictionary.table("registered", frame, spec(apart={"effect": "registered"}))) == ""
    with pytest.raises(ContractError, match="effect"):
        disclosure_of(dictionary.table("reach", frame, spec(plain=["effect"]))[1][0])


@pytest.mark.parametrize("column, values, unit, stays", [
    ("pupils", [4, 20, 30], None, True), ("caseload", [4, 20, 30], "pupils", True), ("starts", [4.2, 20.7, 30.1], "pupils", False), ("days", [4, 20, 30], "days", False), ("cost_per_pupil", [4, 20, 30], "\u00a3 per pupil", False),
])
def test_tables_about_no_pupils_hold_no_small_number_of_them(dictionary, column, values, unit, stays):
    reason = refusal(dictionary.table("plan", pd.DataFrame({"place": ["a", "b", "c"], column: values}), {"about": "no pupils", "why": "registered"}, units={column: unit} if unit else None))
    assert bool(reason) == stays and ("below the threshold" in reason) == stays


def test_measures_of_two_schools_stay_and_their_counts_leave(dictionary):
    frame = reach(schools=[2, 3, 4, 9], days=[7.0, 8.0, 9.0, 8.0])
    clearance = clear_tables(dict([dictionary.table("reach", frame, spec(schools=["schools"], based_on={"days": ["started"]}))]), PROFILES["srs"], "restricted")
    shown = clearance.cleared[0].frame.set_index("area")
    assert shown.loc["A", ["share", "days"]].isna().all() and shown.at["A", "started"] == 20 and shown.loc["B":, ["share", "days"]].notna().all().all()
    assert {e.reason for e in clearance.log} == {"rests on fewer than 3 schools (schools)"}


def test_sentences_of_a_row_go_with_the_counts_that_they_rest_on(dictionary):
    frame = reach(started=[20, 57, 50, 127], share=lambda f: f["started"] / f["referred"], said=["half of them started", "nearly all started", "2 pupils left", "most started"])
    clearance = clear_tables(dict([dictionary.table("reach", frame, spec(texts={"said": ["started"]}))]), PROFILES["srs"], "restricted")
    hidden = clearance.cleared[0].hidden.set_index(frame["area"])
    assert hidden.at["C", "said"] and (hidden["said"] >= hidden["started"]).all() and hidden["started"].any()


def test_those_left_out_of_a_total_are_a_group(dictionary):
    frame = pd.DataFrame({"area": ["A", "B", "all"], "pupils": [60, 70, 133]})
    shown = clear_tables(dict([dictionary.table("roll", frame, {"about": "pupils", "dimensions": {"area": "all"}, "counts": {"pupils": "roll"}})]), PROFILES["srs"], "restricted").cleared[0]
    assert shown.hidden["pupils"].any(), "133 - 60 - 70 leaves three pupils in no area"


def test_counts_of_nearly_the_same_pupils_are_tied_either_way(dictionary):
    entry = {"about": "pupils", "dimensions": {"area": None}, "counts": {"met": "met", "started": "started"}, "near": [["met", "started"]]}
    shown = clear_tables(dict([dictionary.table("reach", pd.DataFrame({"area": ["A", "B"], "met": [40, 66], "started": [44, 63]}), entry)]), PROFILES["srs"], "restricted").cleared[0]
    assert shown.hidden.loc[0, ["met", "started"]].any() and shown.hidden.loc[1, ["met", "started"]].any()


def test_the_unit_says_whether_a_share_is_a_percentage_and_the_data_where_it_is_silent():
    small = np.array([0.671, 0.939, 0.0])
    assert share_scale("%", small, small / 100) == 100.0 and share_scale("share", small, small) == 1.0
    assert share_scale(None, small, small / 100) == 100.0 and share_scale(None, small, small) == 1.0


def test_percentages_below_one_are_rounded_as_percentages(dictionary):
    frame = pd.DataFrame({"reason": ["left", "moved"], "pupils": [28, 20], "of_pupils": [2982, 2982], "share": [100 * 28 / 2982, 100 * 20 / 2982]})
    shown = clear_tables(dict([dictionary.table("lost", frame, LOST | {"shares": {"share": ["pupils", "of_pupils"]}}, units={"share": "%"})]), PROFILES["dfe_absence"], "restricted").cleared[0].frame
    assert shown["pupils"].tolist() == [30, 20] and shown["share"].tolist() == [1.01, 0.671]


@pytest.mark.parametrize("name", [n for n in table_names(ROOT) if (load_table(ROOT, n).disclosure or {}).get("about") == "pupils"])
def test_every_pair_of_counts_says_whether_one_is_part_of_the_other(name):
    entry = disclosure_of(load_table(ROOT, name))
    assert [pair for pair in combinations(entry.counts, 2) if frozenset(pair) not in settled_pairs(entry)] == []


def test_all_of_a_group_in_one_category_is_a_class_disclosure_unless_everybody_knows(dictionary):
    frame = reach(started=[40, 45, 50, 135], share=lambda f: f["started"] / f["referred"])
    open_to_all = clear_tables(dict([dictionary.table("known", frame, spec(certain=[["started", "referred"]]))]), PROFILES["srs"], "restricted").cleared[0]
    assert not open_to_all.hidden.to_numpy().any()
    clearance = clear_tables(dict([dictionary.table("barriers", frame, REACH)]), PROFILES["srs"], "restricted")
    hidden = clearance.cleared[0].hidden.set_index(frame["area"])
    assert hidden.loc["A", ["referred", "started"]].any() and hidden.at["A", "share"] and hidden["started"].sum() + hidden["referred"].sum() >= 2
    loose = clear_tables(dict([dictionary.table("loose", frame, REACH)]), PROFILES["dfe_absence"], "restricted").cleared[0]
    assert not loose.hidden.to_numpy().any(), "the profile says whether class disclosure counts"


POOLED = {"about": "pupils", "dimensions": {"trait": None, "group": None}, "counts": {"n": "n", "partners": "partners"}, "based_on": {"effect": ["n"]}, "not_parts": [["n", "partners"]],
          "together": [["n", "partners"]], "pooled": "group"}


def test_the_result_of_a_few_pupils_does_not_follow_from_that_of_all_and_of_the_others(dictionary):
    frame = pd.DataFrame([("severity", "severe", 9, 18, -7.3), ("severity", "persistent", 308, 536, 1.31), ("sen", "plan", 14, 26, 0.5), ("sen", "none", 200, 380, 1.0), ("sen", "support", 103, 148, 0.9)],
                         columns=["trait", "group", "n", "partners", "effect"])  # fmt: skip
    shown = clear_tables(dict([dictionary.table("subgroups", frame, POOLED)]), PROFILES["srs"], "restricted").cleared[0]
    hidden = shown.hidden.set_index(frame["group"])
    assert hidden.loc[["severe", "persistent"], "effect"].all(), "(317 x 1.05 - 308 x 1.31) / 9"
    assert not hidden.loc[["plan", "none", "support"], "effect"].any()
    assert hidden.loc["severe", ["n", "partners"]].all(), "two partners each tell how many they are"


def test_a_column_is_stated_at_the_decimals_that_its_entry_names(dictionary):
    frame = reach(smd=[0.12345, -0.1, 1.2345, 0.0])
    shown = clear_tables(dict([dictionary.table("balance", frame, spec(based_on={"smd": ["started"]}, decimals={"smd": 2}))]), PROFILES["srs"], "restricted").cleared[0]
    assert shown.frame["smd"].tolist() == [0.12, -0.1, 1.23, 0.0]


def test_all_of_a_group_is_protected_although_other_counts_equal_it(dictionary):
    """Everyone assessed has a barrier, and as many started: no guess that the two are one may stand in the way."""
    areas = ["A", "B", "C", "D", "all"]
    started = [112, 85, 84, 83, 364]
    barriers = dictionary.table("barriers", pd.DataFrame({"area": areas, "assessed": started, "with_any": started}),
                                {"about": "pupils", "dimensions": {"area": "all"}, "counts": {"assessed": "assessed", "with_any": "with any barrier"}, "parts": [["with_any", "assessed"]]})
    met = dictionary.table("met", pd.DataFrame({"area": areas, "met": started}), {"about": "pupils", "dimensions": {"area": "all"}, "counts": {"met": "first meetings"}})
    clearance = clear_tables(dict([barriers, met]), PROFILES["srs"], "restricted")
    assert clearance.refused == () and {c.table.name for c in clearance.cleared} == {"barriers", "met"}
    assert clearance.tables["barriers"].hidden[["assessed", "with_any"]].any(axis=1).all()


def test_all_of_a_group_is_protected_although_those_outside_it_equal_another_count(dictionary):
    """All who answered have a score; to guess of those without either that they are the 222 elsewhere would settle that they are all."""
    entry = {"about": "pupils", "dimensions": {"wave": None}, "counts": {"asked": "asked", "answered": "answered", "scored": "scored"},
             "parts": [["answered", "asked"], ["scored", "answered"], ["scored", "asked"]]}  # fmt: skip
    survey = dictionary.table("survey", pd.DataFrame({"wave": ["before", "after"], "asked": [465, 465], "answered": [375, 243], "scored": [340, 243]}), entry)
    other = dictionary.table("barriers", pd.DataFrame({"area": ["A"], "barriers": [222]}), {"about": "pupils", "dimensions": {"area": None}, "counts": {"barriers": "barriers"}})
    both = dictionary.table("both", pd.DataFrame({"arm": ["comparison"], "pupils": [0]}), {
        "about": "pupils", "dimensions": {"arm": None}, "counts": {"pupils": "scored twice"}, "sums": [{"parts": ["pupils"], "within": [{"population": "scored", "same": []}]}]})  # fmt: skip
    clearance = clear_tables(dict([survey, other, both]), PROFILES["srs"], "restricted")
    assert clearance.refused == () and prove_clearance(clearance) == []
    assert clearance.tables["survey"].hidden.loc[1, ["answered", "scored"]].any()


def test_a_statistic_that_is_nothing_wherever_there_is_a_ratio_is_no_share(dictionary):
    frame = pd.DataFrame({"arm": ["a", "b", "c", "d"], "pupils": [300, 200, 400, 250], "without": [0, 0, 0, 0], "outside": [0, 20, 0, 30], "referred": [0.11, 0.0, 0.12, 0.0]})
    entry = {"about": "pupils", "dimensions": {"arm": None}, "counts": {"pupils": "pupils", "without": "without", "outside": "outside"}, "parts": [["without", "pupils"], ["outside", "pupils"]],
             "not_parts": [["without", "outside"]], "based_on": {"referred": ["pupils"]}}  # fmt: skip
    assert refusal(dictionary.table("overlap", frame, entry)) == ""
    assert "it is `without` over `outside` in every row" in refusal(dictionary.table("overlap", frame.assign(without=[0, 5, 0, 12], referred=[0.11, 0.25, 0.12, 0.4]), entry))


def test_a_table_whose_columns_are_not_those_of_its_entry_stays(dictionary):
    name, (entry, frame) = dictionary.table("reach", reach(), REACH)
    assert "not declared: pupils_lost" in refusal((name, (entry, frame.assign(pupils_lost=[1, 2, 3, 6]))))
    assert "missing: started" in refusal((name, (entry, frame.drop(columns="started"))))
