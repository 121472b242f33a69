"""What notebooks show, held against the cleared tables: hidden, left out or replaced by a note in the report, whole in the working edition."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html import unescape

import pandas as pd
import pytest
from test_gate import AREA_BY_NEED, two_way

from evaluation.errors import ContractError, GateError
from evaluation.reporting import show_figure, show_headline, show_table, show_text
from evaluation.reporting.disclosure import PROFILES, Profile, clear_tables
from evaluation.reporting.disclosure.matching import rounded_once, sources_of
from evaluation.reporting.disclosure.report import LEFT_OUT, Tally, clear_notebook
from evaluation.reporting.disclosure.shown import released_figures
from evaluation.reporting.render.lint import lint

RATES = {"about": "pupils", "dimensions": {"group": None}, "counts": {"pupils": "pupils of the rates"}, "based_on": {"rate": "pupils"}, "plain": ["half_term"]}


@pytest.fixture
def needs(dictionary):
    """Pupils by area and need, one cell of 4."""
    return dictionary.table("needs", two_way(), AREA_BY_NEED, key=["area", "need"])


def rates(dictionary, smallest: int = 30):
    frame = pd.DataFrame({"group": ["a", "b", "c"], "half_term": [1, 2, 3], "pupils": [40, smallest, 60], "rate": [4.5678, 5.25, 61.125]})
    return dictionary.table("rates", frame, RATES)


class Report:
    """The cleared outputs of one cell: their HTML, their words, and what clearing noted."""

    def __init__(self, shown, *tables, profile: str | Profile = "srs", protocol: dict | None = None):
        tables = dict(tables)
        self.sources = sources_of(clear_tables(tables, PROFILES[profile] if isinstance(profile, str) else profile, "simulated"), tables)
        self.notebook = json.loads(json.dumps({"cells": [{"cell_type": "code", "id": "c1", "source": "", "outputs": list(shown)}]}))
        self.tally = Tally()
        (cell,) = clear_notebook("impact", self.notebook, self.sources, protocol or {}, self.tally)["cells"]
        self.html = "".join(output["data"]["text/html"] for output in cell["outputs"])
        self.words = " ".join(unescape(re.sub(r"<[^>]+>", " ", self.html)).split())
        self.marks = [output["metadata"]["evaluation"] for output in cell["outputs"]]

    def cells(self) -> list[list[str]]:
        return [[unescape(re.sub(r"<[^>]+>", "", cell)) for cell in re.findall(r"(?s)<t[hd]\b[^>]*>(.*?)</t[hd]>", row)]
                for row in re.findall(r"(?s)<tr\b[^>]*>(.*?)</tr>", self.html)]


def test_a_small_count_is_c_in_the_report_and_a_number_in_the_working_edition(shown, needs):
    show_table(two_way(), caption="Pupils by area and need", source="needs")
    report = Report(shown, needs)
    hidden = {tuple(row[:2]) for row in report.cells() if row[2] == "[c]"}
    assert ("A", "severe") in hidden and len(hidden) == 4 == report.tally.cells_hidden
    assert ["C", "severe", "18"] in report.cells() or ["C", "severe", "[c]"] in report.cells()
    assert "[c] means withheld" in report.words and ">4<" in shown[0]["data"]["text/html"] and "[c]" not in shown[0]["data"]["text/html"]
    assert report.marks == [{"kind": "table", "stage": "impact", "label": "simulated"}], "raw values do not travel with the report"


def test_a_complement_computed_in_the_notebook_does_not_give_a_hidden_count_back(shown, needs):
    frame = two_way()
    total = frame.loc[frame["need"].eq("all")].set_index("area")["pupils"]
    frame["others"] = frame["area"].map(total) - frame["pupils"]
    frame["share"] = frame["pupils"] / frame["area"].map(total)
    show_table(frame, caption="Pupils by area and need", source="needs", labels={"others": "The others"})
    report = Report(shown, needs)
    hidden = [row for row in report.cells() if row[2] == "[c]"]
    assert len(report.cells()[0]) == 4 and "no table that may leave holds them: The others." in report.words, "whole numbers that no table holds are left out"
    assert hidden and all(row[3] == "[c]" for row in hidden) and ["C", "all", "40", "1.00"] in report.cells()


def test_columns_turned_into_rows_keep_what_their_source_shows(shown, needs):
    wide = two_way().query("area != 'all' and need != 'all'").pivot(index="area", columns="need", values="pupils").reset_index()
    show_table(wide, caption="Pupils by area, needs side by side", source="needs")
    report = Report(shown, needs)
    assert report.cells()[1] == ["A", "[c]", "[c]"] and len(report.cells()) == 4
    assert sorted(cell for row in report.cells()[1:] for cell in row[1:] if cell != "[c]") == sorted(
        str(v) for (a, n), v in two_way().set_index(["area", "need"])["pupils"].items()
        if a != "all" and n != "all" and not report.sources.tables["needs"].cleared.hidden.set_index(report.sources.tables["needs"].cleared.frame["area"] + report.sources.tables["needs"].cleared.frame["need"])["pupils"][a + n])


@pytest.mark.parametrize("given, reason", [
    ({}, "the run keeps no table of its numbers"), ({"source": "others"}, "is none of this run"), ({"source": ["needs", "others"]}, "is none of this run"),
])  # fmt: skip
def test_a_table_without_a_source_of_the_run_is_a_note_that_says_why(shown, needs, given, reason):
    show_table(two_way(), caption="Pupils by area and need", **given)
    report = Report(shown, needs)
    assert "Table held back: Pupils by area and need. It is in the working edition only, because" in report.words and reason in report.words
    assert report.cells() == [] and report.tally.held_back["tables"] == 1 and reason in report.tally.log[0].reason


def test_a_frame_that_is_not_what_its_source_holds_is_held_back(shown, needs):
    show_table(two_way(small=5), caption="Another count of the same pupils", source="needs")
    show_table(pd.DataFrame({"pupils": [30, 25]}), caption="Counts that no row claims", source="needs")
    show_table(pd.DataFrame({"place": ["A"], "pupils": [30], "rate": [0.123]}), caption="A place that is none of them", source="needs")
    report = Report(shown, needs)
    assert report.words.count("held back: ") == 3 == report.words.count("its rows are not rows of the table needs")


def test_what_its_entry_keeps_from_leaving_is_held_back_with_that_reason(shown, dictionary):
    table = dictionary.table("schools", pd.DataFrame({"school": ["s1"], "pupils": [40]}), {"about": "not for release", "why": "single schools"})
    show_table(table[1][1], caption="Pupils of each school", source="schools")
    assert "stays behind: single schools" in Report(shown, table).words


def test_columns_and_rows_that_stay_behind_are_left_out_and_named(shown, dictionary):
    frame = pd.DataFrame({"group": ["a", "b", "c"], "half_term": [1, 2, 3], "pupils": [40, 50, 60], "rate": [4.5, 5.25, 61.125], "draws": [7, 8, 9]})
    table = dictionary.table("rates", frame, {**RATES, "withheld": ["draws"], "only": {"group": ["a", "b"]}})
    show_table(frame, caption="Rates of every group", source="rates", labels={"draws": "Draws of the test"})
    report = Report(shown, table)
    assert [row[0] for row in report.cells()[1:]] == ["a", "b"] and all("Draws" not in cell for cell in report.cells()[0])
    assert "Draws of the test" in report.words and "1 row that may not leave the run" in report.words


def test_a_number_that_a_table_may_show_stays_though_another_row_that_stays_behind_holds_it_too(shown, dictionary):
    frame = pd.DataFrame({"group": ["a", "b"], "half_term": [1, 2], "pupils": [40, 50], "rate": [4.625, 5.375]})
    first = dictionary.table("rates", frame, RATES)
    again = pd.DataFrame({"group": ["x", "y"], "half_term": [1, 2], "pupils": [30, 31], "rate": [4.625, 9.875]})
    second = dictionary.table("others", again, {**RATES, "only": {"group": ["y"]}})
    show_table(pd.DataFrame({"called": ["one", "two"], "effect": [4.625, 5.375], "other": [5.375, 4.625]}), caption="Rates put into words", source=["rates", "others"])
    show_table(pd.DataFrame({"called": ["one"], "effect": [4.625]}), caption="A rate of a row that stays behind", source=["others"])
    report = Report(shown, first, second)
    assert ["one", "4.62", "5.38"] in report.cells() and ["two", "5.38", "4.62"] in report.cells()
    assert report.words.count("Table held back") == 1 and "all of its numbers are withheld" in report.words


def test_a_hostile_column_name_is_neither_run_nor_taken_for_a_column_of_the_source(shown, needs):
    frame = two_way().assign(**{"<script>alert(1)</script>": 7, "pupils'; drop": 4.0})
    show_table(frame, caption="Pupils with strange columns", source="needs")
    report = Report(shown, needs)
    assert "<script" not in report.html and all("alert" not in cell for cell in report.cells()[0]) and all("4" != cell for row in report.cells() for cell in row)


def test_rounded_counts_stand_rounded_and_what_is_computed_from_them_is_left_out(shown, dictionary):
    frame = pd.DataFrame({"group": ["a", "b", "c"], "half_term": [1, 2, 3], "pupils": [41, 52, 63], "rate": [4.5678, 5.25, 61.125]})
    table = dictionary.table("rates", frame, RATES)
    show_table(frame.assign(per_place=frame["pupils"] / 7), caption="Rates of every group", source="rates")
    report = Report(shown, table, profile="dfe_absence")
    assert [row[2] for row in report.cells()[1:]] == ["40", "50", "65"] and len(report.cells()[0]) == 4


def test_a_measure_is_stated_as_released_but_rounded_only_once(shown, dictionary):
    frame = pd.DataFrame({"group": ["a", "b", "c"], "half_term": [1, 2, 3], "pupils": [40, 50, 60], "rate": [0.04496, 2.349123, 61.125]})
    table = dictionary.table("rates", frame, RATES)
    show_table(frame, caption="Rates of every group", source="rates", decimals={"rate": 5})
    show_table(frame, caption="Rates in few digits", source="rates", decimals={"rate": 1})
    report = Report(shown, table)
    assert [row[3] for row in report.cells()[1:4]] == ["0.04500", "2.35000", "61.12000"] and [row[3] for row in report.cells()[5:]] == ["0.0", "2.3", "61.1"]


@pytest.mark.parametrize("frame, reason", [
    (pd.DataFrame({"term": ["Cohort"], "pupils": [4]}), "counts people"), 
    (pd.DataFrame({"term": ["A12345678901B"], "meaning": ["x"]}), "unique pupil number"), (pd.DataFrame({"upn": ["x"]}), "column names single pupils"),
])  # fmt: skip
def test_what_says_that_it_is_about_no_pupils_is_looked_through(shown, needs, frame, reason):
    show_table(frame, caption="Terms in plain words", about="no pupils")
    report = Report(shown, needs)
    assert "Table held back" in report.words and reason in report.words and "A12345678901B" not in report.words


def test_a_glossary_passes_as_it_is(shown, needs):
    show_table(pd.DataFrame({"term": ["Window"], "meaning": ["The half-term in which a pupil qualified"], "years": [3]}), caption="Terms in plain words", about="no pupils")
    assert Report(shown, needs).html == shown[0]["data"]["text/html"]


@pytest.mark.parametrize("given", [{"source": "needs", "about": "no pupils"}, {"about": "nobody"}, {"source": ["needs", 3]}, {"source": "not a name"}])
def test_a_contradiction_is_refused_while_the_analyst_is_looking(given):
    with pytest.raises(ContractError, match="which written tables stand behind it"):
        show_table(two_way(), caption="Pupils by area and need", **given)


def figure_of(frame, figure, **more):
    show_figure(figure, alt="Rates of absence of three groups, rising from the first to the third.", caption="Rates of absence by group", data=frame, name="rates", **more)


@pytest.mark.parametrize("columns", [["group", "rate", "pupils"], ["group", "rate"]])
def test_a_figure_whose_point_stands_for_two_pupils_is_a_note(shown, figure, dictionary, columns):
    table = rates(dictionary, smallest=2)
    figure_of(table[1][1][columns], figure, source="rates")
    report = Report(shown, table)
    assert "Figure held back: Rates of absence by group" in report.words and "<img" not in report.html and "some of the numbers that it plots are withheld" in report.words
    assert ["b", "[c]"] in [row[:2] for row in report.cells()], "its other numbers stay, as a table"


def test_points_may_need_more_pupils_than_cells_do(shown, figure, dictionary):
    table = rates(dictionary)
    figure_of(table[1][1][["group", "rate"]], figure, source="rates")
    assert "points of it stand for fewer than 35 pupils" in Report(shown, table, profile=replace(PROFILES["srs"], point_minimum=35)).words
    assert "<img" in Report(shown, table, profile=replace(PROFILES["srs"], point_minimum=30)).html


def test_a_figure_of_large_groups_stays_and_its_numbers_are_stated(shown, figure, dictionary):
    table = rates(dictionary)
    figure_of(table[1][1], figure, source="rates", decimals={"rate": 4})
    report = Report(shown, table)
    assert "<img" in report.html and ["a", "1", "40", "4.5700"] in report.cells() and "4.5678" in shown[0]["data"]["text/html"]


@pytest.mark.parametrize("profile, reason", [("srs", ""), ("dfe_absence", "draws counts, which the rules of this study round")])
def test_a_figure_that_draws_counts_passes_where_each_stands_unsuppressed_and_is_not_rounded(shown, figure, needs, profile, reason):
    frame = two_way().query("area == 'C'")
    safe = two_way(small=24).query("area == 'C'")
    pd.testing.assert_frame_equal(frame, safe)
    figure_of(frame, figure, source="needs")
    name, (entry, _) = needs
    report = Report(shown, (name, (entry, two_way(small=24))), profile=profile)
    assert ("<img" in report.html) == (not reason) and reason in report.words


@pytest.mark.parametrize("more, reason", [
    ({}, "the run keeps no table of its numbers"), ({"source": "rates", "alt": "Rates of three groups, one of which has only 4 pupils."}, "number of people"),
])  # fmt: skip
def test_a_figure_without_source_or_with_few_pupils_in_its_words_is_held_back(shown, figure, dictionary, more, reason):
    table = rates(dictionary)
    show_figure(figure, **{"alt": "Rates of absence of three groups, rising to the third.", "caption": "Rates of absence by group", "data": table[1][1], **more})
    assert reason in Report(shown, table).words


@pytest.mark.parametrize("words, stays", [("Group b (40)", True), ("Group b (4)", False), ("44", False)])
def test_a_number_that_only_the_drawing_says_holds_the_figure_back(shown, figure, dictionary, words, stays):
    table = rates(dictionary)
    (axes,) = figure.axes
    axes.annotate(words, (1, 3))
    figure_of(table[1][1], figure, source="rates")
    report = Report(shown, table)
    assert ("<img" in report.html) == stays and ("a number that is not among those plotted" in report.words) == (not stays)


@pytest.mark.parametrize("smallest, reason", [(30, ""), (2, "withheld")])
def test_the_release_judges_figures_as_the_report_does(shown, figure, dictionary, tmp_path, smallest, reason):
    table = rates(dictionary, smallest)
    figure_of(table[1][1], figure, source="rates")
    report = Report(shown, table)
    (missing,) = released_figures("impact", report.notebook, tmp_path, report.sources)
    assert "not kept beside it" in missing.reason
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "simulated-rates.png").write_bytes(b"png")
    (found,) = released_figures("impact", report.notebook, tmp_path, report.sources)
    assert reason in found.reason and bool(found.reason) == bool(reason) and found.smallest == (None if reason else 30)


def test_a_sentence_with_a_suppressed_count_is_left_out_and_the_others_stay(shown, needs):
    frame = two_way()
    show_text("In area C there were 40 pupils.\n\n- Of area A, 4 pupils were severely absent.\n- Area B is large.", rows={"needs": frame})
    report = Report(shown, needs)
    assert "In area C there were 40 pupils." in report.words and LEFT_OUT in report.words and "Area B is large." in report.words
    assert "4 pupils" not in report.words and "[c]" in report.words and report.tally.held_back["sentences"] == 1


def test_no_id_repeats_the_words_of_what_is_held_back(shown, needs):
    show_text("Of area A, 4 pupils were severely absent.", rows={"needs": two_way()})
    show_table(two_way(), caption="The 4 pupils of area A", source="needs")
    report = Report(shown, needs)
    assert "area-a-4-pupils" in shown[0]["data"]["text/html"] and "4-pupils" not in report.html and not any("4-pupils" in e.table for e in report.tally.log)
    assert "id" not in report.marks[0] and "its words are withheld" in report.words


@pytest.mark.parametrize("sentence, rows, stays", [
    ("In all 157 pupils qualified.", ["needs: all"], False),  # 139 did
    ("In all 139 pupils qualified.", ["needs: all"], True), ("In all 139 pupils qualified.", [], False), ("In area C, 40 pupils qualified.", ["elsewhere"], False),
    ("The window is 6 half-terms long.", ["protocol: windows"], True), ("The window is 7 half-terms long.", ["protocol: windows"], False), ("No number is said here.", [], True),
    ("Fewer than 10 pupils were lost: fewer than 10.", ["needs"], True), ("Four pupils were lost.", ["needs"], False),
])  # fmt: skip
def test_a_text_stays_only_if_each_of_its_numbers_stands_in_rows_that_may_leave(shown, needs, sentence, rows, stays):
    show_text(sentence, rows=rows)
    report = Report(shown, needs, protocol={"windows": {"length": 6}})
    assert (sentence in report.words) == stays and (LEFT_OUT in report.words) == (not stays)


def test_rows_behind_a_text_that_are_no_rows_of_their_table_are_held_back_with_the_numbers_they_give(shown, needs):
    show_text("The mean area has 46.3 pupils.", rows={"needs (in all)": pd.DataFrame({"mean": [139 / 3]})})
    report = Report(shown, needs)
    assert LEFT_OUT in report.words and "Rows of needs (in all): in the working edition only" in report.words


def test_the_place_of_a_sentence_among_others_does_not_excuse_as_many_pupils(shown, dictionary):
    frame = pd.DataFrame({"position": [4, 5, 20], "rule": ["few", "many", "none"], "text": ["4 pupils stand in no comparison.", "139 pupils qualified.", "Nothing is counted."]})
    said = dictionary.table("said", frame, {"about": "sentences", "words": ["text"], "sentences": {"few": ["needs"], "many": ["needs: area=all, need=all"]}}, key=["position"])
    show_text("- 4 pupils stand in no comparison.\n- 5 pupils are another number.\n- 20 pupils, too.\n- 139 pupils qualified.", rows={"said": frame})
    report = Report(shown, dictionary.table("needs", two_way(), AREA_BY_NEED, key=["area", "need"]), said)
    assert "139 pupils qualified." in report.words and LEFT_OUT in report.words
    assert not re.search(r"\b(4|5|20) pupils", report.words) and report.tally.held_back["sentences"] == 3


def test_a_headline_keeps_its_items_and_loses_sentences_that_were_not_cleared(shown, dictionary):
    frame = pd.DataFrame({"position": [1, 2, 3], "key": ["verdict", "who", "greatest_need"], "text": ["No clear evidence either way. It is open.", "139 pupils qualified.", "Only 4 pupils were severely absent."],
                          "value": [None, 139.0, 4.0], "conf_low": [None] * 3, "conf_high": [None] * 3, "unit": [None, "pupils", "pupils"], "source_table": [None, "needs", "needs"], "source_key": [None, "all", "A"]})
    spec = {"about": "sentences", "words": ["text"], "sentences": {"who": ["needs: area=all, need=all"], "greatest_need": ["needs"]}}
    needs = dictionary.table("needs", two_way(), AREA_BY_NEED, key=["area", "need"])
    show_headline(frame)
    report = Report(shown, needs, dictionary.table("headline", frame.astype({"value": "float64", "conf_low": "float64", "conf_high": "float64"}), spec, key=["position"]))
    assert "139 pupils qualified." in report.words and LEFT_OUT in report.words and "Only 4" not in report.words and "Pupils with the greatest need" in report.words
    assert [row for row in report.cells() if row[:2] == ["3", "greatest_need"]][0][2] == "[c]"


def test_printed_text_is_left_out_and_prose_that_counts_a_few_pupils_refuses_the_report(needs):
    report = Report([{"output_type": "stream", "name": "stdout", "text": "4 rows"}], needs)
    assert report.html == "" and report.tally.held_back["texts"] == 1
    notebook = {"cells": [{"cell_type": "markdown", "id": "typed", "source": "Only 4 pupils were lost."}]}
    with pytest.raises(GateError, match="prose") as refused:
        clear_notebook("impact", notebook, report.sources, {}, Tally())
    assert refused.value.where == "impact/typed" and refused.value.mend
    notebook["cells"][0]["source"] = "One more word on 3 things, of schools with fewer than 10 pupils."
    assert clear_notebook("impact", notebook, report.sources, {}, Tally())["cells"] == notebook["cells"]


def test_a_note_keeps_the_rules_for_pages(shown, needs):
    show_table(two_way(), caption="Pupils by area & need")
    page = f'<!DOCTYPE html><html lang="en-GB"><head><title>SIMULATED - not a finding</title></head><body data-label="simulated"><header>SIMULATED - not a finding</header><main><h1>A</h1>{Report(shown, needs).html}</main><footer>SIMULATED - not a finding</footer></body></html>'
    assert lint(page, "summary.html", user="nobody-1") == []


def test_a_number_that_is_written_with_more_digits_because_it_is_small_stays_as_cleared():
    assert rounded_once(0.0075, 0.01, 1) == 0.01 and rounded_once(12.3456, 12.35, 1) == 12.3456
