"""Intake: what is refused as a whole, what is rejected row by row, and that no row is lost on the way."""

import re
import shutil
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from small_study import ROOT, SEED, small_design
from take import take_marks, take_tables

from evaluation.errors import DataError
from evaluation.registers.dictionary import check_frame, load_table
from evaluation.registers.intake import EXTRACT_TABLES, take_in

TOLERANT = dict.fromkeys(EXTRACT_TABLES, 100.0)


@pytest.fixture(scope="module")
def extract(tmp_path_factory) -> Path:
    """Simulated extracts of 14 pupils a school; tests that change them copy them first."""
    from evaluation.registers.simulator import simulate_extracts

    folder = tmp_path_factory.mktemp("extract")
    simulate_extracts(small_design(roll__pupils_per_school=14), ROOT, folder, SEED)
    return folder


@pytest.fixture(scope="module")
def clean(extract, root, section):
    """What intake makes of it."""
    return take_in(extract, root, section)


@pytest.fixture
def copy(extract, tmp_path) -> Path:
    """A copy without the log of deliveries, which holds each file to its hash."""
    return Path(shutil.copytree(extract, tmp_path / "copy", ignore=shutil.ignore_patterns("deliveries.parquet", "simulation.json")))


def edit(folder: Path, table: str, change) -> pd.DataFrame:
    """Replace a table by what ``change`` makes of it."""
    path = folder / f"{table}.parquet"
    frame = change(pd.read_parquet(path, dtype_backend="pyarrow"))
    frame.to_parquet(path)
    return frame


def tolerant(section):
    return section.model_copy(update={"reject_tolerance": TOLERANT})


def account(taken, table: str) -> tuple[int, int, int]:
    row = taken["intake_counts"].set_index("table").loc[table]
    assert row["rows_read"] == row["rows_accepted"] + row["rows_rejected"] + row["rows_collapsed"]
    return int(row["rows_accepted"]), int(row["rows_rejected"]), int(row["rows_collapsed"])


def account_of(taken) -> tuple[int, int, int]:
    """The same of a single table."""
    assert taken.read == taken.accepted + taken.rejected + taken.collapsed
    return taken.accepted, taken.rejected, taken.collapsed


def test_a_clean_extract_is_accepted_whole_and_every_table_keeps_to_the_dictionary(extract, clean, root):
    taken = clean
    counts = taken["intake_counts"]
    assert (counts["rows_accepted"] == counts["rows_read"]).all() and len(taken["intake_rejects"]) == 0
    for name, frame in taken.tables.items():
        assert len(check_frame(load_table(root, name), frame)) == len(frame)
    panel = taken["panel"]
    assert (panel["sessions_possible"] == panel["sessions_attended"] + panel["sessions_authorised"] + panel["sessions_unauthorised"]).all()
    total = panel[["sessions_possible", "sessions_not_possible", "sessions_no_mark"]].sum().sum()
    sessions = pd.read_parquet(extract / "marks.parquet", columns=["pupil_id", "date", "session"]).drop_duplicates()
    assert total == len(sessions) <= counts.set_index("table").loc["marks", "rows_read"], "a session marked at two schools is one session"


def test_csv_and_parquet_give_the_same_tables(extract, clean, root, section, tmp_path):
    folder = tmp_path / "csv"
    folder.mkdir()
    for name in (name for name in EXTRACT_TABLES if name != "deliveries"):
        pd.read_parquet(extract / f"{name}.parquet", dtype_backend="pyarrow").to_csv(folder / f"{name}.csv", index=False)
    from_csv, from_parquet = take_in(folder, root, section), clean
    for name in from_parquet.tables:
        if name != "intake_counts":
            table = load_table(root, name)
            pd.testing.assert_frame_equal(check_frame(table, from_csv[name]), check_frame(table, from_parquet[name]))


def test_an_absent_folder_is_refused(root, section, tmp_path):
    with pytest.raises(DataError, match="no such data folder") as refusal:
        take_in(tmp_path / "nowhere", root, section)
    assert refusal.value.exit_code == 3 and "Mend:" in str(refusal.value)


def test_a_missing_table_is_named_with_its_near_match(copy, root, section):
    (copy / "marks.parquet").rename(copy / "mark.parquet")
    with pytest.raises(DataError, match=r"lacks table `marks`.*did you mean `marks`\?"):
        take_in(copy, root, section)


def test_a_misspelt_column_is_named_with_its_near_match(copy, root, section):
    edit(copy, "pupils", lambda f: f.rename(columns={"sen_provision": "sen_provison"}))
    with pytest.raises(DataError, match=r"pupils\.parquet, header.*`sen_provision`.*`sen_provison`: did you mean `sen_provision`\?"):
        take_in(copy, root, section)


def test_a_missing_and_an_undeclared_column_are_named(copy, root, section):
    edit(copy, "pupils", lambda f: f.drop(columns="idaci"))
    with pytest.raises(DataError, match="lacks column `idaci`"):
        take_in(copy, root, section)
    edit(copy, "pupils", lambda f: f.assign(idaci=0.2, surname="x"))
    with pytest.raises(DataError, match="`surname`, which the data dictionary does not know"):
        take_in(copy, root, section)


@pytest.mark.parametrize(("table", "column", "value"), [("pupils", "year_group", "nine"), ("marks", "date", "01/09/2023"), ("pupils", "fsm", "Y"), ("pupils", "idaci", "n/a")])
def test_a_column_that_is_of_the_wrong_type_throughout_is_refused(copy, root, section, table, column, value):
    edit(copy, table, lambda f: f.assign(**{column: value}))
    with pytest.raises(DataError, match=f"column `{column}` is declared .* but no value is one"):
        take_in(copy, root, section)


def test_a_physical_type_that_cannot_hold_the_declared_one_is_refused(copy, root, section):
    edit(copy, "pupils", lambda f: f.assign(enrolment_start=1.5))
    with pytest.raises(DataError, match="`enrolment_start` is declared date, the file holds DOUBLE"):
        take_in(copy, root, section)


def test_an_empty_file_and_a_file_without_rows_are_refused(copy, root, section):
    edit(copy, "pupils", lambda f: f.iloc[:0])
    with pytest.raises(DataError, match="no rows"):
        take_in(copy, root, section)
    (copy / "pupils.parquet").write_bytes(b"")
    with pytest.raises(DataError, match=r"pupils\.parquet: the file is empty"):
        take_in(copy, root, section)


def test_a_file_that_is_not_what_its_name_says_is_refused(copy, root, section):
    (copy / "pupils.parquet").write_bytes(b"not parquet at all")
    with pytest.raises(DataError, match="cannot be read"):
        take_in(copy, root, section)
    (copy / "pupils.parquet").unlink()
    (copy / "pupils.csv").write_bytes("pupil_id,n\xe9\n1,2\n".encode("latin-1"))
    with pytest.raises(DataError, match="not UTF-8"):
        take_in(copy, root, section)


def test_a_table_that_is_there_twice_is_refused(copy, root, section):
    (copy / "schools.csv").write_text("school_id\n", encoding="utf-8")
    with pytest.raises(DataError, match="there twice"):
        take_in(copy, root, section)


def test_each_row_rule_of_a_small_table(copy):
    def spoil(f):
        f["sen_provision"] = f["sen_provision"].astype(object)
        f.loc[0, "sen_provision"] = "some"
        f.loc[1, "year_group"] = 15
        f.loc[2, "idaci"] = -0.1
        f.loc[3, "academic_year"] = "2022-23"
        f.loc[4, "school_id"] = "S999"
        f.loc[5, "sex"] = None
        f.loc[6, "enrolment_end"] = pd.Timestamp("2020-01-01").date()
        f.loc[7, "academic_year"] = "2018/19"
        return f

    pupils = edit(copy, "pupils", spoil)
    taken = take_tables(copy, ("pupils",))["pupils"]
    rejects = taken.rejects.set_index("file_row")
    assert rejects["rule"].to_dict() == {1: "not in list", 2: "too high", 3: "too low", 4: "form", 5: "not in schools", 6: "missing", 7: "ends before it begins",
                                           8: "year without a calendar"}
    assert rejects["column"].to_dict() == {1: "sen_provision", 2: "year_group", 3: "idaci", 4: "academic_year", 5: "school_id", 6: "sex", 7: "enrolment_end",
                                             8: "academic_year"}
    assert account_of(taken) == (len(pupils) - 8, 8, 0)
    assert "some" not in set(rejects["value"]), "pseudonymous values are shown as a hash"
    assert rejects["mend"].str.len().min() > 0


def test_a_row_that_breaks_two_rules_is_one_reject_listed_under_each(copy):
    pupils = edit(copy, "pupils", lambda f: f.assign(idaci=f["idaci"].where(f.index != 3, 2.0), year_group=f["year_group"].where(f.index != 3, 99)))
    taken = take_tables(copy, ("pupils",))["pupils"]
    assert account_of(taken) == (len(pupils) - 1, 1, 0)
    assert taken.rejects["rule"].tolist() == ["too high", "too high"]


def test_identical_copies_collapse_and_contradictions_are_rejected(copy):
    def spoil(f):
        again = f.iloc[[10, 10, 20]].copy()
        again.iloc[2, f.columns.get_loc("idaci")] = 0.777
        return pd.concat([f, again], ignore_index=True)

    pupils = edit(copy, "pupils", spoil)
    taken = take_tables(copy, ("pupils",))["pupils"]
    assert account_of(taken) == (len(pupils) - 4, 2, 2)
    rejects = taken.rejects
    assert rejects["file_row"].tolist() == [21, len(pupils)] and set(rejects["rule"]) == {"contradictory rows with one key"}
    assert set(rejects["column"]) == {"pupil_id+academic_year+school_id+enrolment_start"}


def test_each_row_rule_of_marks(copy):
    from evaluation.registers.codes import CODE_CHANGE

    marks = pd.read_parquet(copy / "marks.parquet", dtype_backend="pyarrow")
    dates = pd.to_datetime(marks["date"])
    old, new = (int(rows.index[0]) for rows in (marks.loc[dates < pd.Timestamp(CODE_CHANGE)], marks.loc[dates >= pd.Timestamp(CODE_CHANGE)]))
    pupils = pd.read_parquet(copy / "pupils.parquet").query("academic_year == '2024/25'")
    single = pupils.drop_duplicates("pupil_id", keep=False)
    leaver = single.loc[pd.to_datetime(single["enrolment_end"]) < pd.Timestamp("2025-07-01")].iloc[0]["pupil_id"]
    last = int(marks.loc[marks["pupil_id"] == leaver].index[-1])

    def spoil(f):
        f.loc[old + 2, "code"] = "C2"
        f.loc[new + 2, "code"] = "H"
        f.loc[old + 4, "code"] = "??"
        f.loc[old + 6, "code"] = None
        f.loc[old + 8, "session"] = "EV"
        f.loc[old + 10, "date"] = pd.Timestamp("2022-12-26").date()
        f.loc[old + 12, "pupil_id"] = "P999999"
        f.loc[last, "date"] = pd.Timestamp("2025-07-16").date()
        extra = f.iloc[[old + 14, old + 16, old + 16]].copy()
        extra.iloc[0, f.columns.get_loc("code")] = "G" if f.loc[old + 14, "code"] != "G" else "I"
        return pd.concat([f, extra], ignore_index=True)

    spoilt = edit(copy, "marks", spoil)
    taken = take_marks(copy)
    rejects = taken["intake_rejects"].query("table == 'marks'")
    expected = {
        old + 3: "code not yet in use", new + 3: "outdated code", old + 5: "unknown code", old + 7: "missing",
        old + 9: "not in list", old + 11: "on a bank holiday", old + 13: "not in pupils", last + 1: "after leaving",
        old + 15: "contradictory rows with one key", len(marks) + 1: "contradictory rows with one key",
    }
    assert rejects.set_index("file_row")["rule"].to_dict() == expected
    assert account(taken, "marks") == (len(spoilt) - len(expected) - 2, len(expected), 2)
    kept = spoilt.drop(index=[row - 1 for row in expected]).drop_duplicates(["pupil_id", "date", "session"])
    assert take_in_counts(taken) == len(kept), "a session marked at two schools is one session"


def take_in_counts(taken) -> int:
    """Sessions in the panel, of any class."""
    return int(taken["panel"][["sessions_possible", "sessions_not_possible", "sessions_no_mark"]].sum().sum())


def test_every_old_and_new_code_passes_on_its_side_alone(copy):
    from evaluation.registers.codes import CODE_CHANGE, attendance_codes

    marks = pd.read_parquet(copy / "marks.parquet", dtype_backend="pyarrow")
    after = (pd.to_datetime(marks["date"]) >= pd.Timestamp(CODE_CHANGE)).to_numpy()
    codes = list(attendance_codes().values())
    rows = {}
    for side, name in ((~after, "class_before"), (after, "class_from")):
        for code, row in zip(codes, marks.index[side][:: 7], strict=False):
            rows[int(row)] = (code.code, getattr(code, name))

    def spoil(f):
        for row, (code, _) in rows.items():
            f.loc[row, "code"] = code
        return f

    edit(copy, "marks", spoil)
    rejects = take_marks(copy)["intake_rejects"]
    assert sorted(rejects["file_row"] - 1) == sorted(row for row, (_, kind) in rows.items() if kind is None)


def test_too_many_rejects_stop_the_run_and_tell_every_rule_and_where_the_rejects_lie(copy, root, section, tmp_path):
    edit(copy, "programmes", lambda f: pd.concat([f, f.iloc[[0]].assign(programme_id="RX", programme=None)], ignore_index=True))
    edit(copy, "marks", lambda f: f.assign(code=f["code"].where(f.index % 50 != 0, "??"), session=f["session"].where(f.index % 500 != 7, "EV")))
    tolerant = section.model_copy(update={"reject_tolerance": {**section.reject_tolerance, "programmes": 100.0}})
    with pytest.raises(DataError) as refusal:
        take_in(copy, root, tolerant, keep_rejects=tmp_path)
    said = str(refusal.value)
    kept = pd.read_csv(tmp_path / "intake_rejects.csv")
    assert re.match(r"marks\.parquet, column `code`: [0-9,]+ of [0-9,]+ rows are rejected \(2\.20%, tolerated 1%\); all are listed in ", said)
    counts = kept.groupby("rule")["file_row"].nunique()
    for rule, column, first, mend in (("unknown code", "code", "row 1 (value ??)", "unknown code: use a code of the attendance register"),
                                      ("not in list", "session", "row 8 (value withheld)", "not in list: use one of AM, PM")):
        assert f"{counts[rule]:,} by {rule}, column `{column}`, first in {first}" in said and mend in said
    assert said.index("by unknown code") < said.index("by not in list") and str(tmp_path / "intake_rejects.csv") in said
    assert kept["table"].value_counts().to_dict() == {"marks": counts["unknown code"] + counts["not in list"], "programmes": 1}
    assert list(kept.columns) == ["table", "file", "file_row", "column", "rule", "value", "mend"]


def test_a_calendar_that_opens_schools_on_saturdays_stops_the_run(copy, root, section):
    edit(copy, "calendar", lambda f: pd.concat([f, f.loc[f["school_day"]].iloc[[0]].assign(date=date(2022, 9, 10))], ignore_index=True))
    with pytest.raises(DataError, match="1 by school day on a weekend, column `date`, first in row .* no school day"):
        take_in(copy, root, section)


def test_an_unordered_calendar_is_refused(copy, root, section):
    edit(copy, "calendar", lambda f: f.assign(half_term=f["half_term"].replace({3: 4, 4: 3})))
    with pytest.raises(DataError, match="half-terms 3 and 4 overlap or are out of order"):
        take_in(copy, root, section)


def test_referrals_are_dated_by_half_term_and_support_needs_consent(copy, root, section):
    referrals = edit(copy, "referrals", lambda f: f.assign(referral_date=[pd.Timestamp("2023-02-14").date(), *f["referral_date"].tolist()[1:]],
                                                          start_date=None, end_date=None))
    taken = take_in(copy, root, tolerant(section))
    listed = taken["referral_list"].set_index("referral_id")
    assert listed.loc[referrals["referral_id"].iloc[0], "referral_half_term"] == 4
    assert not listed["started"].any()


def test_dates_outside_the_calendar_are_rejected_not_moved(copy):
    day = pd.Timestamp("2019-03-01").date()
    meetings = edit(copy, "meetings", lambda f: f.assign(meeting_date=[day, *f["meeting_date"].tolist()[1:]]))
    referrals = edit(copy, "referrals", lambda f: f.assign(referral_date=[day, *f["referral_date"].tolist()[1:]]))
    taken = take_tables(copy, ("meetings", "referrals"))
    assert account_of(taken["meetings"]) == (len(meetings) - 1, 1, 0) and account_of(taken["referrals"]) == (len(referrals) - 1, 1, 0)
    assert {rule for table in taken.values() for rule in table.rejects["rule"]} == {"outside the calendar"}


def test_missing_registers_lower_completeness_and_nothing_else(copy, root, section, clean):
    first = pd.read_parquet(copy / "schools.parquet").iloc[0]
    pupils = pd.read_parquet(copy / "pupils.parquet").query("school_id == @first.school_id")["pupil_id"]
    edit(copy, "marks", lambda f: f.loc[~(f["pupil_id"].isin(set(pupils)) & (pd.to_datetime(f["date"]) == pd.Timestamp("2022-11-02")))].reset_index(drop=True))
    before, after = (taken["register_quality"].set_index(["area_code", "half_term"]) for taken in (clean, take_in(copy, root, section)))
    here = (first["area_code"], 2)
    assert after.loc[here, "completeness"] < before.loc[here, "completeness"]
    assert after.loc[here, "sessions_expected"] == before.loc[here, "sessions_expected"]
    pd.testing.assert_frame_equal(after.drop(index=here), before.drop(index=here))
