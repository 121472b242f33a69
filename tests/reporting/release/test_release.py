"""A release of two hand-made tables: files, open data, workbook, editions from the folder alone, and what the checker gets."""

from __future__ import annotations

import io
import json
import shutil
from datetime import date
from pathlib import Path

import openpyxl
import pandas as pd
import pytest
import yaml

from evaluation.errors import ContractError, GateError
from evaluation.registers.dictionary import load_table
from evaluation.reporting.disclosure import PROFILES
from evaluation.reporting.release.build import ReleaseFacts, build_release, edition_files
from evaluation.reporting.release.editions import release_editions
from evaluation.reporting.release.open_data import authorities
from evaluation.reporting.release.workbook import LETTER_WIDTH, LINE_POINTS, WIDEST_COLUMN, _in_letters

META = {"title": "A small study", "study": "small", "report_kind": "interim", "protocol_version": "0.1", "protocol_digest": "d" * 64, "registered_on": "2026-01-05", "amendments": []}
REACH = {
    "name": "reach", "title": "Pupils reached", "description": "Pupils referred and started, by area.", "x-stage": "delivery", "x-sensitivity": "aggregate", "source": "Referrals", "primaryKey": ["area_code"],
    "x-disclosure": {"about": "pupils", "dimensions": {"area_code": "all"}, "counts": {"referred": "referred", "started": "started"}, "parts": [["started", "referred"]],
                     "shares": {"share": ["started", "referred"]}, "words": ["area_name"]},
    "fields": [{"name": "area_code", "type": "string", "title": "Area code"}, {"name": "area_name", "type": "string", "title": "Area"}, {"name": "referred", "type": "integer", "title": "Pupils referred", "x-unit": "pupils"},
               {"name": "started", "type": "integer", "title": "Pupils who started", "x-unit": "pupils"}, {"name": "share", "type": "number", "title": "Share started", "x-unit": "share"}],
}
SAID = {
    "name": "headline", "title": "Headline", "description": "Sentences.", "x-stage": "report", "x-sensitivity": "aggregate", "primaryKey": ["position"],
    "x-disclosure": {"about": "sentences", "words": ["text"], "sentences": {"who": ["reach: area_code=E06000002"]}},
    "fields": [{"name": "position", "type": "integer"}, {"name": "key", "type": "string"}, {"name": "text", "type": "string"}, {"name": "value", "type": "number"}, {"name": "conf_low", "type": "number"},
               {"name": "conf_high", "type": "number"}, {"name": "unit", "type": "string"}, {"name": "source_table", "type": "string"}, {"name": "source_key", "type": "string"}],
}


def tables(root: Path, started: int = 4, label: str = "=A1+1") -> dict:
    (root / "data_dictionary").mkdir(exist_ok=True)
    for entry in (REACH, SAID):
        (root / "data_dictionary" / f"{entry['name']}.yaml").write_text(yaml.safe_dump(entry), encoding="utf-8")
    reach = pd.DataFrame({"area_code": ["E06000002", "E06000021", "E08000006", "all"], "area_name": [label, "Stoke-on-Trent", "Salford", "All areas"], "referred": [60, 80, 90, 230],
                          "started": [started, 50, 55, 105 + started]})
    reach["share"] = reach["started"] / reach["referred"]
    said = pd.DataFrame({"position": [1, 2, 3], "key": ["verdict", "effect", "who"], "text": ["No clear evidence either way.", "Attendance rose by 0.2 days.", "In Middlesbrough, 7% of the pupils referred started."],
                         "value": [None, 0.2, 60.0], "conf_low": [None, -0.1, None], "conf_high": [None, 0.5, None], "unit": [None, "days", "pupils"], "source_table": [None, "estimates", "reach"], "source_key": [None, "B", "E06000002"]})
    said[["value", "conf_low", "conf_high"]] = said[["value", "conf_low", "conf_high"]].astype(float)
    return {name: (load_table(root, name), frame) for name, frame in (("reach", reach), ("headline", said))}


def facts(label: str) -> ReleaseFacts:
    return ReleaseFacts("small", label, META, "content 0123456789ab", "2024/25", date(2026, 1, 5))


@pytest.fixture(scope="module", params=["simulated", "restricted"])
def released(request, tmp_path_factory):
    root = tmp_path_factory.mktemp(request.param)
    record = build_release(tables(root), PROFILES["srs"], facts(request.param), root / "run")
    return request.param, root / "run", record


def test_the_small_count_is_nowhere_in_the_release_and_its_reason_is_in_the_log(released):
    _, run, record = released
    shown = pd.read_csv(run / "release" / "tables" / "reach.csv").set_index("area_code")
    assert shown.at["E06000002", "started"] == "c" and shown.at["E06000002", "share"] == "c" and (shown["started"] == "c").sum() >= 2
    log = pd.read_csv(run / "disclosure" / "disclosure_log.csv")
    assert log.loc[log["reason"].str.contains("below the threshold"), "unweighted_count"].tolist() == [4]
    assert [e["row"] for e in record["log"] if e["action"] == "withheld"] == ["who"]
    assert record["proof"]["recovered"] == 0 and record["proof"]["primary"] == 1


def test_the_checker_gets_a_request_by_file_and_the_counts_behind_each_cell(released):
    _, run, record = released
    request = pd.read_csv(run / "disclosure" / "output_request.csv").set_index("file")
    assert {p.removeprefix("release/") for p in record["files"]} - {"release.json"} == set(request.index)
    assert request.at["tables/reach.csv", "smallest_unweighted_count"] == "55" and request["decision"].isna().all()
    assert pd.read_csv(run / "disclosure" / "counts" / "reach.csv")["started"].tolist() == [4, 50, 55, 109]


def test_simulated_data_bear_no_official_name_and_say_what_they_are_everywhere(released):
    label, run, _ = released
    names = [p.name for p in (run / "release").rglob("*") if p.is_file() and p.suffix in (".xlsx", ".html", ".pdf", ".docx") or p.parent.name == "open_data"]
    assert len(names) == 9 and all(name.startswith("simulated_") == (label == "simulated") for name in names)
    if label == "simulated":
        book = openpyxl.load_workbook(next((run / "release").glob("*.xlsx")))
        assert all(any("SIMULATED - not a finding" in str(c) for row in sheet.iter_rows(values_only=True) for c in row) for sheet in book)


def test_open_data_has_the_form_that_screening_asks_for(released):
    _, run, record = released
    data = pd.read_csv(next(p for p in (run / "release" / "open_data").iterdir() if not p.name.endswith("meta.csv")), dtype=str, keep_default_na=False)
    assert data["geographic_level"].tolist() == ["Local authority"] * 3 + ["National"] and data.at[0, "old_la_code"] == "806" and set(data["time_period"]) == {"202425"}
    assert data["started"].tolist().count("c") >= 2 and "area_name" not in data
    assert not [e for e in record["log"] if "open data" in e["reason"]]


def test_areas_without_their_codes_are_not_written_as_national(tmp_path):
    entry = {**REACH, "name": "named", "primaryKey": ["area_name"], "fields": REACH["fields"][1:]}
    entry["x-disclosure"] = {key: value for key, value in REACH["x-disclosure"].items() if key != "words"} | {"dimensions": {"area_name": "All areas"}}
    given = tables(tmp_path, started=20, label="Middlesbrough")
    (tmp_path / "data_dictionary" / "named.yaml").write_text(yaml.safe_dump(entry), encoding="utf-8")
    frame = given["reach"][1].drop(columns="area_code")
    record = build_release({"named": (load_table(tmp_path, "named"), frame)}, PROFILES["srs"], facts("restricted"), tmp_path / "run")
    assert record["tables"] == ["named"] and not (tmp_path / "run" / "release" / "open_data").exists()
    assert [e["reason"] for e in record["log"] if "geographic level" in e["reason"]]


def test_the_workbook_has_cover_contents_notes_and_one_table_a_sheet_with_nothing_that_runs(released):
    _, run, _ = released
    book = openpyxl.load_workbook(next((run / "release").glob("*.xlsx")))
    assert book.sheetnames == ["Cover", "Contents", "Notes", "Headline", "Pupils reached"]
    sheet = book["Pupils reached"]
    assert not sheet.merged_cells.ranges and len(sheet.tables) == 1
    area, = sheet.tables.values()
    head = [c.value for c in sheet[area.ref][0]]
    assert len(head) == len(set(head)) and "Share started" in head
    cells = [c for row in sheet[area.ref] for c in row]
    assert all(c.value is not None and c.data_type != "f" for c in cells)
    assert "'=A1+1" in [c.value for c in cells] and "[c]" in [c.value for c in cells]


def test_columns_of_the_workbook_are_no_wider_than_a_line_and_rows_hold_what_wraps(released):
    _, run, _ = released
    book = openpyxl.load_workbook(next((run / "release").glob("*.xlsx")))
    for sheet in book.worksheets[1:]:
        assert max(column.width for column in sheet.column_dimensions.values()) <= WIDEST_COLUMN * LETTER_WIDTH + 3
        assert sheet.page_setup.orientation == "landscape" and sheet.sheet_properties.pageSetUpPr.fitToPage and sheet.page_setup.fitToHeight == 0
    notes = book["Notes"]
    tall = [row for row in range(1, notes.max_row + 1) if (notes.row_dimensions[row].height or 0) > LINE_POINTS]
    assert any("withheld so that no pupil" in str(notes.cell(row, 2).value) for row in tall)


def test_yes_and_no_in_the_workbook_are_words_and_names_of_sheets_end_in_none_that_hang(tmp_path):
    entry = {**REACH, "name": "flags", "title": "Joint tests of the specification curve", "primaryKey": ["area_code"],
             "fields": [*REACH["fields"][:4], {"name": "kept", "type": "boolean", "title": "Kept"}, REACH["fields"][4]]}
    entry["x-disclosure"] = {**REACH["x-disclosure"], "plain": ["kept"]}
    root = tmp_path / "root"
    root.mkdir()
    given = tables(root, started=20, label="Middlesbrough")
    (root / "data_dictionary" / "flags.yaml").write_text(yaml.safe_dump(entry), encoding="utf-8")
    frame = given["reach"][1].assign(kept=pd.array([True, False, True, None], dtype="boolean"))
    build_release({"flags": (load_table(root, "flags"), frame)}, PROFILES["srs"], facts("restricted"), tmp_path / "run")
    book = openpyxl.load_workbook(next((tmp_path / "run" / "release").glob("*.xlsx")))
    sheet = book["Joint tests"]
    area, = sheet.tables.values()
    at = [c.value for c in sheet[area.ref][0]].index("Kept")
    assert [row[at].value for row in sheet[area.ref][1:]] == ["Yes", "No", "Yes", "[x]"]


def test_every_edition_is_built_from_the_release_folder_alone(released, tmp_path):
    label, run, _ = released
    alone = tmp_path / "alone"
    shutil.copytree(run / "release", alone)
    shutil.rmtree(alone / "editions")
    pages = release_editions(alone)
    prefix = "simulated_" if label == "simulated" else ""
    for name, page in pages.items():
        assert page == (run / "release" / "editions" / f"{prefix}{name}").read_text(encoding="utf-8")
        assert "No clear evidence either way" in page and "In Middlesbrough" not in page and "FOR OUTPUT CHECKING" in page or label == "simulated"
    assert "[c]" in pages["technical.html"]


def test_an_altered_release_builds_no_edition(released, tmp_path):
    _, run, _ = released
    shutil.copytree(run / "release", tmp_path / "altered")
    path = tmp_path / "altered" / "tables" / "reach.csv"
    path.write_text(path.read_text(encoding="utf-8").replace(",50,", ",51,").replace(",80,", ",81,"), encoding="utf-8")
    with pytest.raises(ContractError, match="not the file that was cleared"):
        edition_files(tmp_path / "altered", date(2026, 1, 5))
    with pytest.raises(ContractError, match="no release|not a release"):
        release_editions(tmp_path)


def test_the_same_tables_give_the_same_bytes(released, tmp_path):
    label, run, record = released
    again = build_release(tables(tmp_path), PROFILES["srs"], facts(label), tmp_path / "run")
    assert again["files"] == record["files"]


def test_where_nothing_may_leave_nothing_is_written(tmp_path):
    given = tables(tmp_path)
    entry, frame = given["reach"]
    with pytest.raises(GateError, match="no table may leave"):
        build_release({"reach": (entry, frame.assign(area_name="A123456789012"))}, PROFILES["srs"], facts("restricted"), tmp_path / "run")
    assert not (tmp_path / "run" / "release").exists() and not (tmp_path / "run" / "disclosure").exists()


def test_every_authority_has_both_codes_and_its_region():
    known = authorities()
    assert len(known) >= 150 and all(row["old_la_code"] and row["region_code"] and row["la_name"] for row in known.values())
    assert known["E06000002"]["la_name"] == "Middlesbrough"


def test_the_release_says_of_itself_what_it_is(released):
    label, run, _ = released
    told = json.loads((run / "release" / "release.json").read_text(encoding="utf-8"))
    assert told["label"] == label and told["profile"]["name"] == "srs" and [t["name"] for t in told["tables"]] == ["headline", "reach"]
    assert "4" not in io.StringIO((run / "release" / "tables" / "reach.csv").read_text(encoding="utf-8")).read().splitlines()[1].split(",")


def test_a_unit_that_is_only_a_sign_is_a_word_in_the_workbook():
    """A cell of signs stops the writing of the workbook."""
    assert [_in_letters(text) for text in ("%", "\u00a3", "%/\u00a3", " ", "\u00a3 per pupil", "")] == ["per cent", "pounds", "percent sign solidus pound sign", "[x]", "\u00a3 per pupil", "[x]"]
