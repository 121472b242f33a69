"""Keyed pseudonyms: what is replaced, with which key, what is refused, and that no raw identifier goes anywhere."""

import hashlib
import hmac
import random

import duckdb
import pytest
from small_study import ROOT
from stdnum.gb import upn
from take import take_tables
from tiny import PUPILS, header, tables, write_csv, write_extract, write_parquet

from evaluation.errors import DataError
from evaluation.registers.extracts import open_source, workspace
from evaluation.registers.entries import load_table
from evaluation.registers.pseudonyms import KEY_FILE_VARIABLE, KEY_VARIABLE, hidden_sql, key_mark, load_key, pseudonym, pseudonym_sql, read_key, upn_sql

KEY = b"a key of the tests, long enough"
LETTERS = "ABCDEFGHJKLMNPQRTUVWXYZ"


def number(i: int, valid: bool = True) -> str:
    """A unique pupil number with a right or a wrong check letter; 999 is no authority's number."""
    digits = f"999{i:09d}"
    letter = upn.calc_check_digit("A" + digits)
    return (letter if valid else LETTERS[(LETTERS.index(letter) + 1) % 23]) + digits


UPNS = {p: number(i) for i, p in enumerate(PUPILS)}


@pytest.fixture
def key(monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, KEY.decode())
    return KEY


@pytest.fixture(autouse=True)
def no_key(monkeypatch):
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    monkeypatch.delenv(KEY_FILE_VARIABLE, raising=False)


def raw(found=None):
    """The tiny extract as a supplier has it: with unique pupil numbers under the census's name for them."""
    found = found or tables()
    for rows in found.values():
        for row in rows:
            if "pupil_id" in row:
                pairs = [("UPN" if name == "pupil_id" else name, UPNS.get(value, value) if name == "pupil_id" else value) for name, value in row.items()]
                row.clear()
                row.update(pairs)
    return found


@pytest.mark.parametrize("text", ["pupil", "é and a quote ' in it", "", "x" * 500])
@pytest.mark.parametrize("secret", [KEY, b"k" * 64, b"longer than one block of the hash " * 3])
def test_the_pseudonym_in_sql_is_that_of_the_standard_library(text, secret):
    with duckdb.connect() as con:
        load_key(con, secret)
        found = con.execute(f"SELECT {pseudonym_sql('v')} FROM (SELECT $1::VARCHAR AS v)", [text]).fetchone()[0]
    assert found == "p" + hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()[:32] == pseudonym(secret, text)


def test_pupil_numbers_are_told_by_their_check_letter_as_python_stdnum_does():
    draw = random.Random(5)
    texts = []
    for _ in range(3000):
        digits = f"{draw.randrange(10**11):011d}" + draw.choice("0123456789" + LETTERS)
        texts.append((upn.calc_check_digit("A" + digits) if draw.random() < 0.5 else draw.choice(LETTERS)) + digits)
    texts += ["", "A", "I99900000000I", "a99900000000", number(1).lower(), number(1) + " ", "P000001", "p" + "0" * 12]
    known = [len(t) == 13 and t[0] in LETTERS and t[1:12].isdigit() and t[12] in "0123456789" + LETTERS and upn.calc_check_digit(t) == t[0] for t in texts]
    with duckdb.connect() as con:
        found = con.execute(f"SELECT list({upn_sql('v')} ORDER BY i) FROM (SELECT unnest($1::VARCHAR[]) AS v, generate_subscripts($1::VARCHAR[], 1) AS i)", [texts]).fetchone()[0]
    assert found == known and 1000 < sum(known) < 2600


@pytest.mark.parametrize("write", [write_csv, write_parquet], ids=["csv", "parquet"])
def test_pupil_numbers_become_keyed_pseudonyms_that_link_every_table(tmp_path, key, write):
    folder = write_extract(tmp_path / "raw", raw(), write)
    with workspace(ROOT) as con:
        for name in ("pupils", "referrals", "meetings"):
            source = open_source(con, folder, load_table(ROOT, name))
            found = {row[0] for row in con.execute(f"SELECT DISTINCT pupil_id FROM {source.relation}").fetchall()}
            assert found == {pseudonym(KEY, UPNS[row["pupil_id"]]) for row in tables()[name]}
            assert any("`UPN` read as `pupil_id`, replaced by a keyed pseudonym" in note for note in source.notes)
        spilt = b"".join(p.read_bytes() for p in _spill(con).rglob("*") if p.is_file())
    assert not any(number.encode() in spilt for number in UPNS.values()), "no raw identifier reaches the disk"
    taken = take_tables(folder)
    assert all(t.rejected == 0 for t in taken.values())


def _spill(con):
    from pathlib import Path

    return Path(con.execute("SELECT getvariable('spill')").fetchone()[0])


def test_raw_identifiers_without_a_key_are_refused(tmp_path):
    folder = write_extract(tmp_path / "raw", raw())
    with pytest.raises(DataError, match="column `UPN` holds raw identifiers, and there is no key") as refusal:
        take_tables(folder, ("pupils",))
    assert KEY_VARIABLE in refusal.value.mend and KEY_FILE_VARIABLE in refusal.value.mend


def test_pupil_numbers_under_the_name_of_the_pseudonym_are_refused(tmp_path, key):
    found = tables()
    found["referrals"][1]["pupil_id"] = number(77)
    folder = write_extract(tmp_path / "raw", found)
    with pytest.raises(DataError, match="column `pupil_id` holds unique pupil numbers where pseudonyms are declared, first in row 2") as refusal:
        take_tables(folder, ("referrals",))
    assert "name the column `UPN`" in refusal.value.mend and number(77) not in str(refusal.value)


def test_a_number_with_a_wrong_check_letter_is_rejected_and_shown_only_as_a_keyed_hash(tmp_path, key):
    found = raw()
    found["referrals"][1]["UPN"] = number(9, valid=False)
    found["referrals"][2]["UPN"] = UPNS["pupil-3"].lower()
    taken = take_tables(write_extract(tmp_path / "raw", found), ("referrals",))["referrals"]
    assert taken.rejects[["file_row", "column", "rule"]].values.tolist() == [[2, "pupil_id", "not a UPN"], [3, "pupil_id", "not a UPN"]]
    assert all(len(value) == 12 and set(value) <= set("0123456789abcdef") for value in taken.rejects["value"])


def test_a_missing_pupil_number_stays_missing(tmp_path, key):
    found = raw()
    found["referrals"][1]["UPN"] = None
    taken = take_tables(write_extract(tmp_path / "raw", found), ("referrals",))["referrals"]
    assert taken.rejects[["file_row", "column", "rule"]].values.tolist() == [[2, "pupil_id", "missing"]]


def test_mentors_names_become_pseudonyms(tmp_path, key):
    found = tables()
    for row in found["meetings"]:
        row["mentor_name"] = "Ada Lovelace" if row.pop("mentor_id") else None
    folder = write_extract(tmp_path / "raw", found)
    with workspace(ROOT) as con:
        source = open_source(con, folder, load_table(ROOT, "meetings"))
        assert {r[0] for r in con.execute(f"SELECT mentor_id FROM {source.relation}").fetchall()} == {pseudonym(KEY, "Ada Lovelace")}


@pytest.mark.parametrize("write", [write_csv, write_parquet], ids=["csv", "parquet"])
def test_a_date_of_birth_becomes_year_and_month(tmp_path, write):
    from datetime import date

    found = tables()
    for i, row in enumerate(found["pupils"]):
        row["DOB"] = date(2010, 1 + i, 28)
    folder = write_extract(tmp_path / "raw", found, write)
    with workspace(ROOT) as con:
        source = open_source(con, folder, load_table(ROOT, "pupils"))
        values = [r[0] for r in con.execute(f"SELECT month_of_birth FROM {source.relation} ORDER BY file_row").fetchall()]
    assert values == [f"2010-{1 + i:02d}" for i in range(12)]
    assert take_tables(folder, ("pupils",))["pupils"].rejected == 0


def test_a_date_of_birth_that_is_no_date_is_rejected_and_withheld(tmp_path):
    found = tables()
    for row in found["pupils"]:
        row["DOB"] = "2010-02-28"
    found["pupils"][3]["DOB"] = "28/02/2010"
    found["pupils"][4]["DOB"] = "2010-02-30"
    taken = take_tables(write_extract(tmp_path / "raw", found), ("pupils",))["pupils"]
    assert taken.rejects[["file_row", "column", "rule", "value"]].values.tolist() == [[4, "month_of_birth", "not a date", "withheld"], [5, "month_of_birth", "not a date", "withheld"]]


def test_the_key_comes_from_the_environment_or_from_a_file_outside_the_project(tmp_path, monkeypatch):
    assert read_key(ROOT) is None and key_mark(None) == ""
    file = tmp_path / "key"
    file.write_bytes(KEY + b"\n")
    monkeypatch.setenv(KEY_FILE_VARIABLE, str(file))
    assert read_key(ROOT) == KEY
    assert key_mark(KEY) != key_mark(KEY + b"!") and KEY.decode() not in key_mark(KEY)
    monkeypatch.setenv(KEY_VARIABLE, KEY.decode())
    with pytest.raises(DataError, match="both set"):
        read_key(ROOT)


@pytest.mark.parametrize(("text", "said"), [("short", "the key has 5 bytes"), ("é" * 7, "the key has 14 bytes")])
def test_a_short_key_is_refused(monkeypatch, text, said):
    monkeypatch.setenv(KEY_VARIABLE, text)
    with pytest.raises(DataError, match=said) as refusal:
        read_key(ROOT)
    assert text not in str(refusal.value)


def test_a_key_file_inside_the_project_or_absent_is_refused(tmp_path, monkeypatch):
    root = tmp_path / "project"
    (root / "params").mkdir(parents=True)
    (root / "params" / "key").write_bytes(KEY)
    monkeypatch.setenv(KEY_FILE_VARIABLE, str(root / "params" / "key"))
    with pytest.raises(DataError, match="inside the project"):
        read_key(root)
    monkeypatch.setenv(KEY_FILE_VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="not there"):
        read_key(root)


def test_a_rejected_value_is_a_keyed_hash_with_a_key_and_withheld_without(key):
    with duckdb.connect() as con:
        assert con.execute(f"SELECT {hidden_sql(con, 'v')} FROM (VALUES ('2010-02-28'), (NULL)) AS t(v)").fetchall() == [("withheld",), (None,)]
        load_key(con, KEY)
        hashed = con.execute(f"SELECT {hidden_sql(con, 'v')} FROM (VALUES ('2010-02-28'), (NULL)) AS t(v)").fetchall()
    assert hashed == [(hmac.new(KEY, b"reject 2010-02-28", hashlib.sha256).hexdigest()[:12],), (None,)]


def test_a_different_key_is_another_input_of_the_stages(tmp_path, monkeypatch):
    from evaluation.runs.data import open_folder
    from evaluation.runs.stages import TRIAL

    folder = write_extract(tmp_path / "raw", raw())
    inputs = []
    for secret in (KEY.decode(), KEY.decode() + "!"):
        monkeypatch.setenv(KEY_VARIABLE, secret)
        data = open_folder(ROOT, TRIAL, folder)
        assert data.label == "restricted"
        inputs.append(data.inputs(["pupils", "deliveries"]))
    assert inputs[0]["extract pupils"] == inputs[1]["extract pupils"] and inputs[0]["pseudonym key"] != inputs[1]["pseudonym key"]
    assert inputs[0]["extract deliveries"] == "not supplied"
    assert header("pupils", raw()["pupils"])[0] == "UPN"
