"""Files of an extract: what is read under which name, and bad files that are refused with a reason and never a traceback."""

import os
import resource
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mutators import FORMULA, LONG
from small_study import ROOT
from take import take_tables
from tiny import ORDER, header, tables, text, write_csv, write_extract, write_parquet

from evaluation.errors import DataError
from evaluation.registers import extracts
from evaluation.registers.accept import accept
from evaluation.registers.check import check_files
from evaluation.registers.entries import load_table, plain, table_names
from evaluation.registers.extracts import find_file, open_source, workspace
from evaluation.registers.headers import LONGEST_LINE, count_rows

SCHOOLS = load_table(ROOT, "schools")


@pytest.fixture
def folder(tmp_path) -> Path:
    return write_extract(tmp_path / "extract", tables())


def opened(folder: Path, name: str = "schools"):
    with workspace(ROOT) as con:
        source = open_source(con, folder, load_table(ROOT, name))
        return source, con.execute(f"SELECT * FROM {source.relation} ORDER BY file_row").fetchall()


def refused(folder: Path, name: str = "schools") -> str:
    with pytest.raises(DataError) as refusal:
        opened(folder, name)
    assert refusal.value.exit_code == 3 and refusal.value.mend and refusal.value.where
    return str(refusal.value)


def schools_csv(folder: Path) -> str:
    return (folder / "schools.csv").read_text(encoding="utf-8")


def put(folder: Path, content: bytes | str) -> None:
    (folder / "schools.csv").write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))


def test_a_byte_order_mark_and_windows_line_ends_are_read(folder):
    plain_rows = opened(folder)[1]
    put(folder, b"\xef\xbb\xbf" + schools_csv(folder).replace("\r\n", "\n").replace("\n", "\r\n").encode())
    assert opened(folder)[1] == plain_rows
    put(folder, schools_csv(folder).replace("\r\n", "\n").replace("\n", "\r"))
    assert opened(folder)[1] == plain_rows, "carriage returns alone are read too"
    put(folder, schools_csv(folder).rstrip("\r\n"))
    assert opened(folder)[1] == plain_rows, "nor does a last line without an end matter"


@pytest.mark.parametrize("coding", ["utf-16", "utf-16-le", "utf-32"])
def test_utf_16_is_refused(folder, coding):
    put(folder, schools_csv(folder).encode(coding))
    assert "not UTF-8" in refused(folder) and "save it as UTF-8" in refused(folder)


def test_bytes_that_are_not_utf_8_are_refused_in_the_header_and_below(folder):
    own = schools_csv(folder)
    put(folder, own.replace("trust", "tr\xfast").encode("latin-1"))
    assert "not UTF-8" in refused(folder)
    head, _, rows = own.partition("\n")
    put(folder, head.encode() + b"\n" + rows.replace("Abbey", "Abb\xe9y").encode("latin-1"))
    assert "not UTF-8" in refused(folder)
    put(folder, head.encode() + b"\n" + b"".join(b"S%d,n,a,b,secondary,false,,,\n" % i for i in range(200_000)) + b"S,caf\xe9,a,b,secondary,false,,,\n")
    assert "not UTF-8" in refused(folder), "past the part that is looked at for the header"


@pytest.mark.parametrize(("header_row", "said"), [
    ("school_id,school_id,school_name", "column `school_id` is there twice"),
    ("school_id,URN,school_name", "column `school_id` is there twice, as `school_id` and `URN`"),
    ("School ID,school_id", "column `school_id` is there twice, as `School ID` and `school_id`"),
    ("school_id,note,note", "column `note` is there twice"),
    ("school_id;school_name;phase", "not separated by commas"),
    ('school_id,"school_name', "a quote in the header never closes"),
    (",,", "the file has no header"),
    ("school_id,school_nam,area_code,area_name,phase,mentor_school,mentoring_start", "`school_nam`: did you mean `school_name`?"),
])
def test_headers_that_cannot_be_read_are_refused(folder, header_row, said):
    put(folder, header_row + "\n" + "1," * header_row.count(",") + "1\n")
    assert said in refused(folder)


def test_a_misspelt_optional_column_gets_a_hint(folder):
    put(folder, schools_csv(folder).replace("inspection_judgement", "inspection_judgment"))
    assert "`inspection_judgment`: did you mean `inspection_judgement`?" in refused(folder)


@pytest.mark.parametrize(("row", "said"), [
    ('S3,"Abbey,E06,Mid,secondary,false,,,', "a quote never closes"),
    ('S3,"Abbey"x,E06,Mid,secondary,false,,,', "a quote never closes, or text follows a closing quote (line 4)"),
    ("S3,Abbey,E06", "a row has more or fewer columns than the header (line 4)"),
    ("S3,Abbey,E06,Mid,secondary,false,,,,,x", "a row has more or fewer columns than the header (line 4)"),
    ("S3," + "x" * 2_100_000 + ",E06,Mid,secondary,false,,,", "a line is longer than 2 million bytes (line 4)"),
])
def test_rows_that_break_the_form_of_csv_are_refused_without_showing_them(folder, row, said):
    put(folder, schools_csv(folder).rstrip("\r\n") + "\n" + row + "\n")
    found = refused(folder)
    assert said in found and "Abbey" not in found and "xxx" not in found and len(found) < 400


@pytest.mark.parametrize("after", [b"", b"\nS4,Dale,E06,Mid,secondary,false,,,\n"], ids=["at the end", "before another row"])
def test_a_row_longer_than_all_that_is_read_at_once_is_refused_and_not_passed_over(folder, after):
    """Rows before it are read; DuckDB says nothing of one of more than 32 MB at the end of a file."""
    put(folder, schools_csv(folder).rstrip("\r\n").encode() + b"\nS3,Abbey" + b"x" * (34 << 20) + b",E06,Mid,secondary,false,,," + after)
    assert "a line is longer than 2 million bytes (line 4)" in refused(folder)


@pytest.mark.parametrize(("text", "rows"), [
    (b"a,b\n", 0), (b"a,b", 0), (b"a,b\n1,2", 1), (b"a,b\r\n1,2\r\n", 1), (b"a,b\n" + b"1,2\n" * 700_000, 700_000), (b"a,b\n" + b"1,2\r\n" * 700_000 + b"1,2", 700_001),
    (b'a,b\n1,"2\n3"\n', None), (b"a,b\n1,2\n\n1,2\n", None), (b"a,b\r\n1,2\r\n\r\n", None),
    (b"a," + b"b" * (LONGEST_LINE - 3) + b"\n\n", None), (b"a," + b"b" * (LONGEST_LINE - 4) + b"\n\r\n1,2", None), (b"a,b\n1,2\n\r", None),
    (b"a,b\r1,2\r1,2", 2), (b"a,b\r1,2\r\r", None),
], ids=range(14))  # fmt: skip
def test_rows_are_counted_apart_where_they_are_lines(tmp_path, text, rows):
    (tmp_path / "x.csv").write_bytes(text)
    assert count_rows(tmp_path / "x.csv") == rows


def test_rows_that_the_reader_passes_over_are_refused(folder, monkeypatch):
    monkeypatch.setattr(extracts, "count_rows", lambda path: 3)
    assert "3 rows are in the file, but 2 were read" in refused(folder)


def single_line(path: Path, size: int, begin: bytes = b"") -> None:
    """A file of one line without an end, sparse where the disk allows it."""
    with path.open("wb") as stream:
        stream.write(begin)
        stream.truncate(size)


def test_a_line_that_never_ends_is_refused_after_a_megabyte(folder):
    put(folder, "school_id,".encode() * (LONGEST_LINE // 8))
    assert f"the first line is longer than {LONGEST_LINE:,} bytes" in refused(folder)
    single_line(folder / "schools.csv", 64 << 20, b"x" * LONGEST_LINE)
    assert "the first line is longer" in refused(folder)
    single_line(folder / "schools.csv", 64 << 20, (schools_csv_header() + "\nS1,").encode())
    assert "UTF-16 or binary" in refused(folder)
    put(folder, schools_csv_header() + "\nS1," + "x" * 3_000_000)
    assert "longer than 2 million bytes" in refused(folder)


def schools_csv_header() -> str:
    return ",".join(header("schools", tables()["schools"]))


@pytest.mark.slow
@pytest.mark.parametrize("begin", [b"x" * LONGEST_LINE, b"", (schools_csv_header() + "\nS1,").encode()], ids=["no header", "zeros", "after the header"])
def test_a_single_line_of_two_gigabytes_is_refused_in_little_memory(folder, begin):
    single_line(folder / "schools.csv", 2 << 30, begin)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(folder)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 512 * 1024, "kilobytes"


OPEN = """
import resource, sys
from pathlib import Path
from evaluation.registers.entries import load_table
from evaluation.registers.extracts import open_source, workspace
root, folder = Path(sys.argv[1]), Path(sys.argv[2])
with workspace(root, memory="256MB") as con:
    source = open_source(con, folder, load_table(root, "marks"))
    print(con.execute(f"SELECT count(*), max(file_row) FROM {source.relation}").fetchone())
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_a_csv_file(tmp_path):
    """A file eight times as long (700 MB) is read in at most a quarter more memory."""
    import subprocess
    import sys

    import duckdb

    resident = []
    for millions in (3, 24):
        folder = tmp_path / f"{millions}"
        folder.mkdir()
        with duckdb.connect() as con:
            con.execute(f"COPY (SELECT 'pupil-' || (i // 400) AS pupil_id, DATE '2023-09-04' + CAST(i % 190 AS INTEGER) AS date, CASE WHEN i % 2 = 0 THEN 'AM' ELSE 'PM' END "
                        f"AS session, '/' AS code FROM range({millions}000000) AS t(i)) TO '{folder}/marks.csv' (HEADER)")
        done = subprocess.run([sys.executable, "-c", OPEN, str(ROOT), str(folder)], capture_output=True, text=True, check=True, cwd=ROOT)
        counted, megabytes = done.stdout.splitlines()
        assert counted == f"({millions}000000, {millions}000000)"
        resident.append(int(megabytes))
        print(f"{(folder / 'marks.csv').stat().st_size // 2**20} MB read in {megabytes} MB")
    assert resident[1] <= 1.25 * resident[0]


def test_formula_like_text_and_long_cells_are_data(folder):
    rows = tables()["schools"]
    rows[0]["school_name"], rows[1]["school_name"] = FORMULA, LONG
    write_csv(folder, "schools", rows)
    source, found = opened(folder)
    assert found[0][1:3] == ("S1", FORMULA) and found[1][2] == LONG, "read as they are, neither cut nor changed"
    rejects = take_tables(folder, ("schools",))["schools"].rejects
    assert rejects[["file_row", "rule"]].values.tolist() == [[2, "too long"]] and len(rejects["value"].iloc[0]) <= 80


def test_a_dates_column_day_first_is_refused_and_a_single_one_is_rejected(folder):
    rows = tables()["programmes"]
    write_csv(folder, "programmes", [{**row, "start_date": "01/09/2023"} for row in rows])
    assert "`start_date` is declared date, but no value is one (such as '01/09/2023')" in refused(folder, "programmes")
    write_csv(folder, "programmes", rows + [{**rows[0], "programme_id": "R2", "start_date": "01/09/2023"}])
    rejects = take_tables(folder, ("programmes",))["programmes"].rejects
    assert rejects[["file_row", "column", "rule", "value"]].values.tolist() == [[2, "start_date", "type", "01/09/2023"]]


def test_nan_in_a_whole_number_column_of_parquet_is_a_missing_value(folder):
    rows = tables()["meetings"]
    (folder / "meetings.csv").unlink()
    arrays = {k: [row[k] for row in rows] for k in rows[0]}
    arrays["minutes"] = pa.array([30.0, float("nan"), 20.5], pa.float64())
    pq.write_table(pa.table(arrays), folder / "meetings.parquet")
    rejects = take_tables(folder, ("meetings",))["meetings"].rejects
    assert rejects[["file_row", "column", "rule"]].values.tolist() == [[2, "minutes", "missing"], [3, "minutes", "type"]]


@pytest.mark.parametrize("others", [(1.0,), (1.0, 2.0), (7.0, 7.0), ()], ids=["one", "two", "equal", "none"])
@pytest.mark.parametrize("column", ["amount", "quantity"])
def test_nan_is_seen_whatever_the_statistics_of_the_file_say(folder, others, column):
    """DuckDB folds isnan() and comparisons away when a Parquet file's minimum and maximum leave no room for NaN."""
    (folder / "costs.csv").unlink()
    row = {**tables()["costs"][0], "amount": 1.0}
    rows = [{**row, "cost_id": f"C{i}", column: value} for i, value in enumerate((*others, float("nan"), *others))]
    write_parquet(folder, "costs", rows)
    with workspace(ROOT) as con:
        taken = accept(con, open_source(con, folder, load_table(ROOT, "costs")), 100.0)
    expected = [[len(others) + 1, "amount", "missing"]] if column == "amount" else []
    assert taken.rejects[["file_row", "column", "rule"]].values.tolist() == expected


@pytest.mark.parametrize(("kind", "values"), [(pa.binary(), [b"S1", b"S2"]), (pa.int64(), [1, 2]), (pa.list_(pa.string()), [["S1"], ["S2"]])])
def test_parquet_columns_of_another_type_are_refused(folder, kind, values):
    (folder / "schools.csv").unlink()
    rows = tables()["schools"]
    pq.write_table(pa.table({k: pa.array(values, kind) if k == "school_id" else [row[k] for row in rows] for k in rows[0]}), folder / "schools.parquet")
    assert "column `school_id` is declared string, the file holds" in refused(folder)


def test_a_time_with_a_zone_is_no_date(folder):
    from datetime import UTC, datetime

    (folder / "programmes.csv").unlink()
    rows = tables()["programmes"]
    rows[0]["start_date"] = datetime(2023, 9, 1, tzinfo=UTC)
    pq.write_table(pa.table({k: pa.array([row[k] for row in rows], pa.string() if k in ("school_id", "end_date") else None) for k in rows[0]}), folder / "programmes.parquet")
    assert "`start_date` is declared date, the file holds TIMESTAMP WITH TIME ZONE" in refused(folder, "programmes")


def test_truncated_and_foreign_parquet_is_refused(folder):
    (folder / "schools.csv").unlink()
    path = write_parquet(folder, "schools", tables()["schools"])
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"PAR1" + b"\0" * 100 + b"PAR1", b"not parquet at all"):
        path.write_bytes(content)
        assert "the file cannot be read" in refused(folder)


def test_a_symbolic_link_is_refused_and_dots_lead_to_the_same_folder(folder, tmp_path):
    assert opened(tmp_path / "other" / ".." / "extract")[1] == opened(folder)[1] if (tmp_path / "other").mkdir() is None else None
    target = tmp_path / "schools.csv"
    os.replace(folder / "schools.csv", target)
    (folder / "schools.csv").symlink_to(target)
    assert "a symbolic link" in refused(folder)
    (folder / "schools.csv").unlink()
    (folder / "schools.csv").symlink_to(tmp_path / "nowhere")
    assert "a symbolic link" in refused(folder), "nor one that leads nowhere"
    target.unlink()


def test_a_record_that_names_files_outside_the_folder_does_not_make_data_simulated(folder, tmp_path):
    import json

    from evaluation.runs.data import open_folder
    from evaluation.runs.stages import TRIAL

    (tmp_path / "secret").write_text("x", encoding="utf-8")
    (folder / "simulation.json").write_text(json.dumps({"files": {"../secret": "0" * 64}}), encoding="utf-8")
    data = open_folder(ROOT, TRIAL, folder)
    assert data.label == "restricted" and "names files outside the folder" in data.notes[0]


def test_an_absent_optional_table_is_empty_and_a_misspelt_one_is_refused(folder):
    (folder / "barriers.csv").rename(folder / "barrier.csv")
    assert "there is `barrier`: did you mean `barriers`?" in refused(folder, "barriers")
    (folder / "barrier.csv").unlink()
    source, rows = opened(folder, "barriers")
    assert rows == [] and not source.supplied and find_file(folder, "barriers", optional=True) is None


@pytest.mark.parametrize("name", [name for name in ORDER if name not in ("deliveries", "survey_scales", "costs", "programmes")])
def test_every_synonym_is_read_as_its_column(name, tmp_path):
    table = load_table(ROOT, name)
    rows = tables()[name]
    synonyms = [(column, synonym) for column in table.columns if column.name in rows[0] for synonym in column.synonyms]
    with workspace(ROOT) as con:
        for column, synonym in synonyms:
            coded = {long: short for short, long in column.value_names}
            renamed = [{synonym.upper() if k == column.name else k: coded.get(text(v), v) if k == column.name else v for k, v in row.items()} for row in rows[:2]]
            folder = tmp_path / plain(synonym)
            folder.mkdir()
            write_csv(folder, name, renamed)
            source = open_source(con, folder, table)
            assert any(note.startswith(f"column `{synonym.upper()}` read as `{column.name}`") for note in source.notes)


def test_values_of_the_census_are_read_under_the_census_names_alone(folder):
    rows = [{**{("SENProvision" if k == "sen_provision" else "Gender" if k == "sex" else k): v for k, v in row.items()}} for row in tables()["pupils"]]
    for row in rows:
        row["SENProvision"] = {"none": "N", "support": "K", "ehcp": "E"}[row["SENProvision"]]
        row["Gender"] = {"female": "F", "male": "M"}[row["Gender"]]
    write_csv(folder, "pupils", rows)
    with workspace(ROOT) as con:
        source = open_source(con, folder, load_table(ROOT, "pupils"))
        found = con.execute(f"SELECT sen_provision, sex FROM {source.relation} ORDER BY file_row").fetchall()
    assert found == [(row["sen_provision"], row["sex"]) for row in tables()["pupils"]]
    assert "column `SENProvision` read as `sen_provision`: N as none, K as support, E as ehcp" in source.notes
    rows[0]["SENProvision"] = "X"
    write_csv(folder, "pupils", rows)
    assert take_tables(folder, ("pupils",))["pupils"].rejects["rule"].tolist() == ["not in list"]


def test_row_numbers_are_those_of_the_file(folder):
    rows = tables()["schools"][1:] * 20_000
    rows = [{**row, "school_id": f"S{i}", "school_name": 'a\nb, "c"' if i % 3 else "d"} for i, row in enumerate(rows, start=1)]
    write_csv(folder, "schools", rows)
    with workspace(ROOT) as con:
        source = open_source(con, folder, SCHOOLS)
        wrong = con.execute(f"SELECT count(*), count(*) FILTER (school_id <> 'S' || file_row) FROM {source.relation}").fetchone()
    assert wrong == (20_000, 0)


def test_the_workspace_leaves_nothing_behind(folder, monkeypatch, tmp_path):
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    opened(folder)
    refusing = tmp_path / "extract" / "schools.csv"
    refusing.write_bytes(b"school_id\n\xff")
    with pytest.raises(DataError):
        opened(folder)
    assert [p.name for p in tmp_path.iterdir()] == ["extract"]


def test_the_check_before_a_run_says_what_was_read_under_another_name(folder):
    content = schools_csv(folder)
    put(folder, content.replace("school_id", "URN", 1).replace("inspection_judgement", "Inspection Judgement"))
    names = [name for name in table_names(ROOT) if load_table(ROOT, name).extract and name != "absence_bands"]
    assert check_files(folder, ROOT, names) == ("schools.csv: column `URN` read as `school_id`",
                                               "schools.csv: column `Inspection Judgement` read as `inspection_judgement`")


@pytest.mark.parametrize("name", ["suspensions.CSV", "Suspensions.csv", "suspensions.xlsx", "suspensions.2024.csv", "suspensions"])
def test_a_table_under_a_name_that_is_not_read_is_refused_not_left_out(folder, name):
    text = (folder / "suspensions.csv").read_text(encoding="utf-8")
    (folder / "suspensions.csv").unlink()
    (folder / name).write_text(text, encoding="utf-8") if "." in name else (folder / name).mkdir()
    assert f"`{name}` is not called suspensions.parquet or suspensions.csv" in refused(folder, "suspensions")


def test_a_second_part_of_a_table_is_refused_and_other_files_may_lie_beside_it(folder):
    (folder / "schools.xlsx").write_bytes(b"x")
    assert opened(folder)[1]
    (folder / "schools.2024.csv").write_text(schools_csv(folder), encoding="utf-8")
    assert "`schools.2024.csv` is not called" in refused(folder)


def test_a_data_file_that_is_no_table_is_said_to_be_unread(folder):
    (folder / "attendance.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    assert check_files(folder, ROOT, ORDER) == ("attendance.csv: not read, the data dictionary has no extract table of that name",)
