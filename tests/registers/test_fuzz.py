"""Random extracts: each is accepted with totals equal to a plain tally, or its rows are rejected under named rules; nothing else."""

import random
from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta

import pytest
from take import ALL_ROWS, taker
from tiny import ORDER, entry, header, rows_of, tables, text, write_csv, write_extract, write_parquet

from evaluation.errors import DataError
from evaluation.registers.codes import code_class
from evaluation.registers.rules import column_rules

FEW, MANY, SEED = 200, 2000, 20261121
ODD = ("", " ", "?", "0", "-1", "1e400", "nan", "NULL", "'; DROP TABLE x; --", "=1+1", "2023-13-01", "04/09/2023", "9" * 30, "x" * 1500, "\u202e", "é", "\x00", "true", "None",
       '"', "\\", "/", "S1", "pupil-1", 7, -3, 10**18, 0.5, float("nan"), float("inf"), True, None, date(1, 1, 1), date(9999, 12, 31), date(2024, 1, 9))
FILES = (b"", b"\xff\xfe\x00", b"a", b"a,b\n1", b'"', b"\n\n", b"PAR1")


@dataclass(frozen=True)
class Case:
    """One random table: the rows that it holds, whether as CSV, or the bytes of a file that is none."""

    table: str
    rows: list
    as_csv: bool
    content: bytes | None


def draw_case(draw: random.Random) -> Case:
    name = draw.choice(ORDER)
    rows = rows_of(name) or [{c.name: None for c in entry(name).columns}]
    columns = header(name, rows)
    for _ in range(draw.choice((0, 1, 1, 2, 5))):
        kind = draw.random()
        row = draw.randrange(len(rows))
        if kind < 0.6:
            rows[row][draw.choice(columns)] = draw.choice(ODD)
        elif kind < 0.7:
            rows.append(dict(rows[row]))
        elif kind < 0.8:
            rows.append({**rows[row], draw.choice(columns): draw.choice(ODD)})
        elif kind < 0.9:
            column = draw.choice(columns)
            moved = [r[column] for r in rows]
            draw.shuffle(moved)
            for r, value in zip(rows, moved, strict=True):
                r[column] = value
        elif kind < 0.94:
            old, new = draw.choice(columns), draw.choice(("surname", "UPN", "date", "x", columns[0]))
            rows = [{(new if key == old else key): value for key, value in r.items()} for r in rows]
            columns = header(name, rows)
        elif len(rows) > 1:
            del rows[row]
    draw.shuffle(rows)
    return Case(name, rows, draw.random() < 0.5, draw.choice(FILES) if draw.random() < 0.02 else None)


def known_rules() -> set[str]:
    """Every rule that a row of any table may break, as its maker names it."""
    from evaluation.registers import accept as accepting
    from evaluation.registers.code_lists import NOT_YET, OUTDATED, UNKNOWN
    from evaluation.registers.extracts import Source
    from evaluation.registers.mark_rules import CLOSED, OFF_ROLL, TWO_SCHOOLS
    from evaluation.registers.rules import foreign_rules, table_rules

    found = {UNKNOWN, NOT_YET, OUTDATED, *CLOSED, *OFF_ROLL, TWO_SCHOOLS, accepting.CONTRADICTION, "in two schools at once", "overlapping enrolments at one school"}
    for name in ORDER:
        table = entry(name)
        source = Source(table, table.path, name, dict.fromkeys((c.name for c in table.columns), "VARCHAR"))
        found |= {rule.name for rule in (*column_rules(source), *foreign_rules(source), *table_rules(name))}
    return found


def tally(rows: list) -> Counter:
    """Sessions by class of mark, counted in plain Python over distinct marks."""
    marks = {(row["pupil_id"], row["date"], row["session"]): row["code"] for row in rows}
    return Counter(code_class(code, day) for (_, day, _), code in marks.items())


def run(cases: int, folder, seed: int) -> Counter:
    """Take random cases in; what became of them."""
    outcomes: Counter = Counter()
    rules = known_rules()
    clean = write_extract(folder / "clean", tables(), write_parquet)
    with taker(clean) as beside:
        for number in range(cases):
            case = draw_case(random.Random(seed + number))
            here = folder / f"{number}"
            here.mkdir()
            path = (write_csv if case.as_csv else write_parquet)(here, case.table, case.rows)
            if case.content is not None:
                path.write_bytes(case.content)
            try:
                taken = beside.take(here, case.table)
            except DataError as refusal:
                assert refusal.where and refusal.mend and len(str(refusal)) < 1500, f"seed {seed + number}"
                outcomes["refused"] += 1
                continue
            assert taken.read == len(case.rows) == taken.accepted + taken.rejected + taken.collapsed, f"seed {seed + number}"
            assert set(taken.rejects["rule"]) <= rules, f"seed {seed + number}: {set(taken.rejects['rule']) - rules}"
            assert taken.rejected == taken.rejects["file_row"].nunique() and taken.rejects["mend"].astype(str).str.len().gt(0).all()
            assert taken.rejects["file_row"].between(1, len(case.rows)).all(), f"seed {seed + number}"
            _hold_values(beside, case, taken, seed + number)
            outcomes["some rows rejected" if taken.rejected else "accepted whole"] += 1
    return outcomes


def _hold_values(beside, case: Case, taken, seed: int) -> None:
    """What was accepted is what the file held: for marks their tally by class, for other tables the sums of their numbers."""
    gone = {int(row) for row in taken.rejects["file_row"]}
    kept = [row for i, row in enumerate(case.rows, start=1) if i not in gone]
    if case.table == "marks":
        found = beside.con.execute("SELECT code, date FROM accepted_marks").fetchall()
        assert Counter(code_class(code, day) for code, day in found) == tally(kept), f"seed {seed}"
        return
    columns = entry(case.table).columns
    names = ", ".join(f'"{column.name}"' for column in columns)
    found = beside.con.execute(f"SELECT {names} FROM taken_{case.table}").fetchall()
    plain = {tuple(typed(row.get(column.name), column.type) for column in columns) for row in kept}
    assert len(found) == taken.accepted and set(found) == plain, f"seed {seed}"


def typed(value, kind: str):
    """A supplied value in plain Python: what is missing is None, a text is read by its type."""
    if value is None or value == "" or value != value:
        return None
    if kind == "string":
        return text(value)
    if kind == "boolean":
        return text(value).lower() == "true"
    if kind == "date":
        return date.fromisoformat(text(value))
    return int(float(value)) if kind == "integer" and isinstance(value, float) else int(text(value)) if kind == "integer" else float(text(value))


@pytest.mark.parametrize(("cases", "seed"), [(FEW, SEED), pytest.param(MANY, SEED + FEW, marks=pytest.mark.slow)], ids=["few", "many"])
def test_random_extracts_are_accepted_with_equal_totals_or_rejected_by_a_named_rule(cases, seed, tmp_path):
    outcomes = run(cases, tmp_path, seed)
    print(dict(outcomes))
    assert sum(outcomes.values()) == cases
    assert min(outcomes[kind] for kind in ("accepted whole", "some rows rejected", "refused")) >= cases // 40, "the draw reaches every outcome"


def test_whole_extracts_give_a_panel_equal_to_a_plain_tally(tmp_path, section):
    """Random marks over random enrolments: every class of session in the panel equals a count in plain Python."""
    from small_study import ROOT

    from evaluation.registers.intake import EXTRACT_TABLES, take_in

    tolerant = section.model_copy(update={"reject_tolerance": dict.fromkeys(EXTRACT_TABLES, ALL_ROWS)})
    for seed in range(3):
        draw = random.Random(seed)
        found = tables()
        codes = ("/", "\\", "L", "I", "O", "U", "B", "E", "X", "-")
        for row in found["marks"]:
            row["code"] = draw.choice(codes)
        found["marks"] = [row for row in found["marks"] if draw.random() < 0.9]
        found["marks"] += [{**draw.choice(found["marks"]), "date": date(2023, 12, 25) + timedelta(days=draw.randrange(9))} for _ in range(5)]
        taken = take_in(write_extract(tmp_path / f"{seed}", found, draw.choice((write_csv, write_parquet))), ROOT, tolerant)
        gone = {int(row) for row in taken["intake_rejects"].query("table == 'marks'")["file_row"]}
        assert len(gone) == 5
        kept = tally([row for i, row in enumerate(found["marks"], start=1) if i not in gone])
        panel = taken["panel"]
        sums = {name: int(panel[column].sum()) for name, column in (
            ("authorised_absence", "sessions_authorised"), ("unauthorised_absence", "sessions_unauthorised"), ("not_possible", "sessions_not_possible"),
            ("no_mark", "sessions_no_mark"), ("approved_educational_activity", "sessions_approved_activity"))}
        sums["attending"] = int(panel["sessions_attended"].sum()) - sums["approved_educational_activity"]
        assert sums == {name: kept[name] for name in sums}
