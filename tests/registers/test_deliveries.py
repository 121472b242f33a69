"""The log of deliveries: the current file must be the one delivered and still allowed, and a re-delivery shows what it changed."""

import hashlib
from datetime import date
from pathlib import Path

import pytest
from small_study import ROOT
from tiny import tables, write_csv, write_extract, write_parquet

from evaluation.errors import DataError
from evaluation.registers.check import check_files
from evaluation.registers.dictionary import check_frame
from evaluation.registers.entries import load_table, table_names
from evaluation.registers.intake import EXTRACT_TABLES, take_in

TODAY = date(2025, 9, 1)
# The tables of these tests.
SMALL = ("deliveries", "calendar", "schools", "pupils", "programmes", "referrals", "meetings", "barriers", "costs", "marks")
EXTRACT = [name for name in table_names(ROOT) if load_table(ROOT, name).extract and name != "absence_bands"]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def delivery(identifier: str, table: str, version: int, file: Path, **more) -> dict:
    return {"delivery_id": identifier, "supplier": "Trust", "table": table, "version": version, "received_on": date(2025, 7, version), "supersedes": None,
            "sha256": sha256(file), "agreement": "DSA-1", "retention_until": date(2030, 7, 1), **more}


@pytest.fixture
def folder(tmp_path) -> Path:
    return write_extract(tmp_path / "extract", {name: rows for name, rows in tables().items() if name in SMALL})


def redelivered(folder: Path, write=write_csv) -> Path:
    """Marks delivered twice: the second file lacks two marks of pupil-1, has one more of pupil-6, and a changed one of pupil-2."""
    (folder / "superseded").mkdir()
    first = write(folder / "superseded", "marks", tables()["marks"])
    first = first.rename(first.with_name(f"marks.1{first.suffix}"))
    rows = tables()["marks"]
    assert rows[0]["pupil_id"] == rows[1]["pupil_id"] == "pupil-1"
    changed = next(row for row in rows if row["pupil_id"] == "pupil-2" and row["date"] >= date(2024, 9, 2))
    changed["code"] = "I" if changed["code"] != "I" else "O"
    rows = rows[2:] + [{"pupil_id": "pupil-6", "date": date(2023, 11, 6), "session": "AM", "code": "/"}]
    now = write_csv(folder, "marks", rows)
    write_csv(folder, "deliveries", [delivery("D1", "marks", 1, first), delivery("D2", "marks", 2, now, supersedes="D1")])
    return folder


def check(folder: Path, today: date = TODAY) -> tuple[str, ...]:
    return check_files(folder, ROOT, ("deliveries", "costs", "schools", "barriers", "marks"), today)


def refused(folder: Path, today: date = TODAY) -> str:
    with pytest.raises(DataError) as refusal:
        check(folder, today)
    assert refusal.value.mend and refusal.value.where
    return str(refusal.value)


def log(folder: Path, *rows: dict) -> Path:
    write_csv(folder, "deliveries", list(rows))
    return folder


def test_a_log_that_fits_passes_and_names_tables_it_does_not_list(folder):
    notes = check(log(folder, delivery("D1", "costs", 1, folder / "costs.csv")))
    assert "deliveries.csv: no delivery of `marks` is listed" in notes and not any("`costs`" in note or "of `deliveries`" in note for note in notes)


def test_a_file_that_is_not_the_one_delivered_is_refused(folder):
    log(folder, delivery("D1", "costs", 1, folder / "costs.csv"))
    (folder / "costs.csv").write_bytes((folder / "costs.csv").read_bytes().replace(b"accounts", b"ledger"))
    assert "the file is not delivery `D1` of `costs`: its SHA-256 begins" in refused(folder)


def test_a_delivered_file_that_is_absent_is_refused(folder):
    log(folder, delivery("D1", "barriers", 1, folder / "barriers.csv"))
    (folder / "barriers.csv").unlink()
    assert "delivery `D1` of `barriers` was received, but the extract has no such file" in refused(folder)


def test_data_may_be_used_on_the_last_day_of_retention_and_not_after(folder):
    log(folder, delivery("D1", "costs", 1, folder / "costs.csv", retention_until=TODAY))
    check(folder)
    assert "was to be kept until 01 September 2025 (agreement DSA-1)" in refused(folder, date(2025, 9, 2))


def test_retention_holds_for_superseded_files_and_for_a_run(folder, section):
    redelivered(folder)
    log(folder, delivery("D1", "marks", 1, folder / "superseded" / "marks.1.csv", retention_until=date(2025, 8, 31)),
        delivery("D2", "marks", 2, folder / "marks.csv", supersedes="D1"))
    assert "`D1`" in refused(folder)
    with pytest.raises(DataError, match="was to be kept until"):
        take_in(folder, ROOT, section)


@pytest.mark.parametrize(("supersedes", "version", "said"), [
    ("D9", 2, "which is not an earlier delivery"), ("D2", 2, "which is not an earlier delivery"), ("D1", 1, "which is not an earlier delivery"), (None, 2, "are both current"),
])
def test_a_log_that_contradicts_itself_is_refused(folder, supersedes, version, said):
    file = folder / "costs.csv"
    assert said in refused(log(folder, delivery("D1", "costs", 1, file), delivery("D2", "costs", version, file, supersedes=supersedes)))


def test_a_delivery_of_another_table_cannot_be_superseded_nor_one_twice(folder):
    costs, schools = folder / "costs.csv", folder / "schools.csv"
    assert "not an earlier delivery of that table" in refused(log(folder, delivery("D1", "schools", 1, schools), delivery("D2", "costs", 2, costs, supersedes="D1")))
    assert "superseded twice" in refused(log(folder, delivery("D1", "costs", 1, costs), delivery("D2", "costs", 2, costs, supersedes="D1"),
                                             delivery("D3", "costs", 3, costs, supersedes="D1")))


@pytest.mark.parametrize(("name", "said"), [("marks.csv", "is not called <table>.<version>"), ("marks.0.csv", "is not called"), ("diary.1.csv", "is not called"),
                                            ("marks.3.csv", "the log has no deliveries of `marks` in version 3")])
def test_a_stray_file_among_the_superseded_is_refused(folder, name, said):
    redelivered(folder)
    (folder / "superseded" / name).write_bytes(b"x")
    assert said in refused(folder)


def test_a_symbolic_link_among_the_superseded_is_refused(folder):
    redelivered(folder)
    (folder / "superseded" / "marks.2.csv").symlink_to(folder / "marks.csv")
    assert "a symbolic link" in refused(folder)


@pytest.mark.parametrize("write", [write_csv, write_parquet], ids=["csv", "parquet"])
def test_a_redelivery_shows_what_changed_by_school_and_half_term_and_only_it_is_read(folder, section, write):
    redelivered(folder, write)
    check(folder)
    tolerant = section.model_copy(update={"reject_tolerance": dict.fromkeys(EXTRACT_TABLES, 100.0)})
    taken = take_in(folder, ROOT, tolerant)
    changes = check_frame(load_table(ROOT, "delivery_changes"), taken["delivery_changes"])
    assert set(changes["table"]) == {"marks"} and set(changes["delivery_before"]) == {"D1"} and set(changes["delivery_after"]) == {"D2"}
    counted = changes.set_index(["school_id", "half_term"])[["rows_before", "rows_after", "added", "removed", "changed"]]
    assert counted.to_dict("index") == {
        ("S1", 1): {"rows_before": 30, "rows_after": 28, "added": 0, "removed": 2, "changed": 0},
        ("S1", 7): {"rows_before": 30, "rows_after": 30, "added": 0, "removed": 0, "changed": 1},
        ("S2", 1): {"rows_before": 30, "rows_after": 30, "added": 0, "removed": 0, "changed": 0},
        ("S2", 2): {"rows_before": 0, "rows_after": 1, "added": 1, "removed": 0, "changed": 0},
        ("S2", 7): {"rows_before": 30, "rows_after": 30, "added": 0, "removed": 0, "changed": 0},
    }
    assert taken["intake_counts"].set_index("table").loc["marks", "rows_read"] == 119, "rows of the superseded file are not read"


def test_without_a_redelivery_nothing_changed(folder, section):
    taken = take_in(folder, ROOT, section.model_copy(update={"reject_tolerance": dict.fromkeys(EXTRACT_TABLES, 100.0)}))
    assert len(check_frame(load_table(ROOT, "delivery_changes"), taken["delivery_changes"])) == 0


def test_the_log_may_name_every_extract_table_but_itself():
    assert set(load_table(ROOT, "deliveries").column("table").enum) == set(EXTRACT) - {"deliveries"}
