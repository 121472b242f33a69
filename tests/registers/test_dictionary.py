"""The dictionary as the single source: entries that are refused, what is rendered from them, and that all of it agrees."""

import csv
from html.parser import HTMLParser
from pathlib import Path

import duckdb
import pandas as pd
import pytest
import yaml
from small_study import ROOT
from tiny import ORDER, entry, tables, write_csv

from evaluation.errors import ContractError
from evaluation.registers.code_lists import NOT_YET, OUTDATED, UNKNOWN, broken_codes, code_lists
from evaluation.registers.codes import CODE_CHANGE, attendance_codes
from evaluation.registers.dictionary import check_frame, find_fault, pandera_schema, typed_frame
from evaluation.registers.entries import load_table, table_names
from evaluation.registers.rules import duckdb_table, rule_queries
from evaluation.reporting.dictionary import META_COLUMNS, PAGE, WORKBOOK, dictionary_groups, open_data_meta, page_html, workbook_sheets, write_dictionary

NAMES = table_names(ROOT)
RULES_OF_CODES = (UNKNOWN, NOT_YET, OUTDATED)


@pytest.fixture(scope="module")
def con():
    with duckdb.connect() as found:
        yield found


@pytest.fixture
def change(tmp_path):
    """Write a copy of an entry with changes and load it."""

    def run(name: str, edit):
        (tmp_path / "data_dictionary").mkdir(exist_ok=True)
        given = yaml.safe_load((ROOT / "data_dictionary" / f"{name}.yaml").read_text(encoding="utf-8"))
        edit(given)
        (tmp_path / "data_dictionary" / f"{name}.yaml").write_text(yaml.safe_dump(given, sort_keys=False), encoding="utf-8")
        return load_table(tmp_path, name)

    return run


@pytest.mark.parametrize(("edit", "said"), [
    (lambda e: e["fields"][0].update(unit="x"), "keys that nothing reads: unit"),
    (lambda e: e.update(key=["x"]), "keys that nothing reads: key"),
    (lambda e: e["fields"][0].update(type="text"), "needs a `name` and a `type`"),
    (lambda e: e["fields"][0]["constraints"].update(most=3), "constraints that nothing checks: ['most']"),
    (lambda e: e["fields"].append(dict(e["fields"][0])), "stands for both|fields named twice"),
    (lambda e: e["fields"][1].update({"x-synonyms": ["School-ID"]}), "`schoolid` stands for both"),
    (lambda e: e["fields"][1].update({"x-sensitivity": "secret"}), "sensitivity `secret`"),
    (lambda e: e.update(primaryKey=["nothing"]), "key columns that are no fields: ['nothing']"),
    (lambda e: e["x-rules"][0].update(column="nothing"), "names nothing, which is no field"),
    (lambda e: e["x-rules"][0].update(maximum=3), "needs name, column, mend and one of"),
    (lambda e: e["fields"][0].update({"x-personal": {"names": ["UPN"], "becomes": "visible"}}), "`x-personal` needs names, and becomes"),
    (lambda e: e.update(foreignKeys=[{"fields": ["trust"]}]), "`foreignKeys` is not in Table Schema form"),
])
def test_an_entry_with_a_fault_is_refused_by_name(change, edit, said):
    with pytest.raises(ContractError) as refusal:
        change("schools", edit)
    assert any(part in str(refusal.value) for part in said.split("|")) and "data_dictionary/schools.yaml" in str(refusal.value)


@pytest.mark.parametrize("name", NAMES)
def test_every_entry_makes_a_schema_a_table_and_queries_that_accept_no_rows(name, con):
    table = load_table(ROOT, name)
    empty = typed_frame(table, pd.DataFrame({c.name: pd.Series([], dtype=object) for c in table.columns}))
    assert find_fault(table, empty) is None and set(pandera_schema(table).columns) == {c.name for c in table.columns}
    con.execute(duckdb_table(table))
    queries = rule_queries(table)
    assert con.execute("SELECT " + ", ".join(f"({query})" for query in queries.values())).fetchone() == (0,) * len(queries)
    described = {row[0]: row[1] for row in con.execute(f'DESCRIBE "{table.name}"').fetchall()}
    kinds = {"string": "VARCHAR", "integer": "BIGINT", "number": "DOUBLE", "boolean": "BOOLEAN", "date": "DATE"}
    assert described == {c.name: kinds[c.type] for c in table.columns}


@pytest.mark.parametrize("name", [name for name in ORDER if name != "deliveries"])
def test_the_tiny_extract_keeps_to_every_entry(name):
    rows = tables()[name]
    frame = pd.DataFrame({key: pd.Series([row.get(key) for row in rows], dtype=object) for key in rows[0]})
    checked = check_frame(entry(name), frame)
    assert len(checked) == len(rows) and list(checked) == [c.name for c in entry(name).columns], "optional columns that are absent are there, empty"


def test_references_lead_to_tables_and_columns_that_exist():
    for name in NAMES:
        for columns, resource, references in (*load_table(ROOT, name).foreign_keys, *load_table(ROOT, name).links):
            assert set(references) <= {c.name for c in load_table(ROOT, resource).columns} and len(columns) == len(references)


def test_the_code_list_is_that_of_the_register_codes_on_both_sides_of_the_change():
    from datetime import timedelta

    before, after = CODE_CHANGE - timedelta(days=1), CODE_CHANGE
    marks = entry("marks")
    column, codes = marks.column("code"), list(attendance_codes().values())
    for day, rule in ((before, "code not yet in use"), (after, "outdated code")):
        frame = typed_frame(marks, pd.DataFrame({"pupil_id": [f"p{i}" for i in range(len(codes))], "date": day, "session": "AM", "code": [c.code for c in codes]}))
        found = {name: set(frame.loc[broken_codes(column, frame, name), "code"]) for name in RULES_OF_CODES}
        assert found == {name: {c.code for c in codes if c.class_on(day) is None} if name == rule else set() for name in RULES_OF_CODES}
        fault = find_fault(marks, frame)
        assert (fault.rule, fault.column, fault.count) == (rule, "code", len(found[rule]))
    assert marks.column("code").code_list in code_lists() and marks.column("code").valid_by == "date"


class Page(HTMLParser):
    """Headings, ids, links, tables' headers and text of a page."""

    def __init__(self):
        super().__init__()
        self.ids, self.links, self.levels, self.text, self.scopes, self.captions = [], [], [], "", 0, 0

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.ids += [found["id"]] if "id" in found else []
        self.links += [found["href"]] if tag == "a" else []
        self.levels += [int(tag[1])] if tag in ("h1", "h2", "h3", "h4") else []
        self.captions += tag == "caption"
        assert tag not in ("script", "img", "iframe", "link"), f"the page loads or runs {tag}"
        if tag == "th":
            assert found.get("scope") in ("col", "row")
            self.scopes += 1

    def handle_data(self, data):
        self.text += data


def test_the_page_holds_every_table_and_column_and_leads_nowhere_else():
    html = page_html(ROOT)
    page = Page()
    page.feed(html)
    assert len(page.ids) == len(set(page.ids)) and all(link.startswith("#") and link[1:] in page.ids for link in page.links)
    assert page.levels[0] == 1 and page.levels.count(1) == 1 and all(b - a <= 1 for a, b in zip(page.levels, page.levels[1:], strict=False))
    assert page.captions == len(NAMES) and page.scopes > len(NAMES)
    for name in NAMES:
        table = load_table(ROOT, name)
        assert f"table-{name}" in page.ids and table.title in page.text and table.description in page.text
        assert all(column.name in page.text and column.description in page.text for column in table.columns)
    assert "Traceback" not in html and str(ROOT) not in html and str(Path.home()) not in html and "None</td>" not in html
    assert {t.name for g in dictionary_groups(ROOT) for t in g.tables} == set(NAMES)


def test_the_page_escapes_what_an_entry_says(tmp_path, change):
    change("schools", lambda e: e.update(title="<script>alert(1)</script>", description='A "quoted" & <b>bold</b> table'))
    html = page_html(tmp_path)
    assert "<script>" not in html and "&lt;script&gt;" in html and "&amp; &lt;b&gt;bold" in html


def test_the_workbook_holds_every_column_and_runs_no_formula(tmp_path, change):
    sheets = workbook_sheets(ROOT)
    assert len(sheets["Tables"]) == len(NAMES) and len(sheets["Columns"]) == sum(len(load_table(ROOT, name).columns) for name in NAMES)
    assert not any(frame.isna().any().any() or (frame == "").any().any() for frame in sheets.values()), "no empty cells: a screen reader skips them"
    change("schools", lambda e: e.update(description='=HYPERLINK("http://x","y")'))
    described = workbook_sheets(tmp_path)["Tables"]["Holds"].iloc[0]
    assert described.startswith("'=")


def test_meta_rows_are_those_that_explore_education_statistics_reads(tmp_path, change):
    meta = open_data_meta(ROOT)
    assert list(meta) == list(META_COLUMNS) and meta["col_name"].is_unique and len(meta) >= 5
    assert set(meta["col_type"]) == {"Filter", "Indicator"} and (meta["label"].str.len() <= 80).all()
    assert set(meta["indicator_unit"]) <= {"", "%", "pp", "£", "£m"}
    possible = meta.set_index("col_name").loc["sessions_possible"]
    assert (possible["col_type"], possible["indicator_dp"], possible["indicator_unit"]) == ("Indicator", "0", "")
    change("schools", lambda e: e["fields"][3].update({"x-open-data-label": "x" * 81}))
    with pytest.raises(ContractError, match="too long"):
        open_data_meta(tmp_path)


def test_the_command_writes_all_of_it_and_the_same_twice(tmp_path, monkeypatch, capsys):
    import openpyxl

    from evaluation.cli import main

    monkeypatch.chdir(ROOT)
    with pytest.raises(SystemExit) as end:
        main(["dictionary", "--out", str(tmp_path / "out")])
    assert end.value.code == 0
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["data_dictionary.html", "data_dictionary.sql", "data_dictionary.xlsx", "open_data.meta.csv"]
    said = capsys.readouterr().out
    assert all(name in said for name in names)
    again = write_dictionary(ROOT, tmp_path / "again")
    for path in again:
        if path.name != WORKBOOK:
            assert path.read_bytes() == (tmp_path / "out" / path.name).read_bytes()
    book = openpyxl.load_workbook(tmp_path / "out" / WORKBOOK)
    assert book.sheetnames == ["Cover", "Contents", "Tables", "Columns", "Rules"]
    with duckdb.connect() as con:
        con.execute((tmp_path / "out" / "data_dictionary.sql").read_text(encoding="utf-8"))
        assert con.execute("SELECT count(*) FROM duckdb_tables()").fetchone()[0] == len(NAMES)
    with (tmp_path / "out" / "open_data.meta.csv").open(encoding="utf-8", newline="") as stream:
        assert next(csv.reader(stream)) == list(META_COLUMNS)
    assert (tmp_path / "out" / PAGE).read_text(encoding="utf-8") == page_html(ROOT)


def test_a_changed_entry_changes_the_verdict_of_every_path(tmp_path, change):
    """One source: a bound that is tightened in the YAML alone is held by schema, query and table."""
    table = change("costs", lambda e: next(f for f in e["fields"] if f["name"] == "amount")["constraints"].update(maximum=100))
    rows = tables()["costs"]
    frame = typed_frame(table, pd.DataFrame({key: pd.Series([row.get(key) for row in rows], dtype=object) for key in rows[0]}))
    fault = find_fault(table, frame)
    assert (fault.rule, fault.column, fault.row) == ("too high", "amount", 0)
    with duckdb.connect() as con:
        con.register("frame", frame)
        con.execute("CREATE TABLE costs AS SELECT * FROM frame")
        assert con.execute(rule_queries(table)["too high", "amount"]).fetchone()[0] == 1
        con.execute(duckdb_table(table).replace('"costs"', '"held"'))
        with pytest.raises(duckdb.ConstraintException):
            con.execute("INSERT INTO held SELECT * FROM frame")
    from evaluation.registers.accept import accept
    from evaluation.registers.extracts import open_source, workspace

    (tmp_path / "extract").mkdir()
    write_csv(tmp_path / "extract", "costs", rows)
    with workspace(tmp_path) as con:
        taken = accept(con, open_source(con, tmp_path / "extract", table), 100.0)
    assert taken.rejects[["file_row", "column", "rule"]].values.tolist() == [[1, "amount", "too high"]]
