"""Every path that holds a table against the dictionary reaches the same verdict on the same spoilt table."""

import re
from collections import Counter
from types import SimpleNamespace

import duckdb
import pandas as pd
import pytest
from mutators import ACCEPTED, MUTATORS, Mutator, Verdict
from small_study import ROOT
from take import Taker, taker
from tiny import ORDER, Rows, entry, header, rows_of, tables, write_csv, write_extract, write_parquet

from evaluation.errors import ContractError, DataError
from evaluation.registers.dictionary import load_table, typed_frame
from evaluation.registers.rules import duckdb_table, rule_queries
from evaluation.runs.stage import OpenStage

AT_LEAST = 60
COPIES = ("a row twice", "a mark twice")


@pytest.fixture(scope="module")
def beside(tmp_path_factory):
    """Takes a spoilt table in beside the clean others."""
    with taker(write_extract(tmp_path_factory.mktemp("clean"), tables(), write_parquet)) as found:
        yield found


@pytest.fixture(scope="module")
def engine():
    with duckdb.connect() as con:
        yield con


def spoilt(mutator: Mutator) -> Rows:
    rows = rows_of(mutator.table)
    mutator.change(rows)
    return rows


def frame_of(name: str, rows: Rows) -> pd.DataFrame:
    return pd.DataFrame({key: pd.Series([row.get(key) for row in rows], dtype=object) for key in header(name, rows)})


def by_intake(write, beside: Taker, folder, mutator: Mutator) -> Verdict:
    """What intake says of the file that a writer makes of the spoilt table."""
    folder.mkdir()
    rows = spoilt(mutator)
    write(folder, mutator.table, rows)
    try:
        taken = beside.take(folder, mutator.table)
    except DataError as refusal:
        return Verdict(about=str(refusal))
    assert taken.read == taken.accepted + taken.rejected + taken.collapsed == len(rows)
    assert taken.collapsed == (1 if mutator.name in COPIES else 0)
    found = taken.rejects[["rule", "column"]].drop_duplicates()
    assert len(found) <= 1, f"one fault, one rule: {found}"
    return Verdict(*found.iloc[0]) if len(found) else ACCEPTED


def by_stage_write(folder, mutator: Mutator) -> Verdict:
    """What a stage says that writes the spoilt table."""
    declared = SimpleNamespace(writes=(mutator.table,), reads=(), raw=())
    stage = OpenStage("test", None, 0, "simulated", "full", ROOT, folder, declared, {}, (), None, None, None, None)
    try:
        stage.write(mutator.table, frame_of(mutator.table, spoilt(mutator)))
    except ContractError as refusal:
        column = re.search(r"column `([^`]+)`", refusal.where or "")
        if column is None:
            return Verdict(about=str(refusal))
        rule = "type" if refusal.message.startswith("declared") else refusal.message.partition(":")[0]
        return Verdict(rule, column[1])
    return ACCEPTED


def by_queries(con: duckdb.DuckDBPyConnection, mutator: Mutator) -> Verdict | None:
    """What one query for each constraint says of the DuckDB table; None where the values have no declared type."""
    table = entry(mutator.table)
    if not set(header(mutator.table, spoilt(mutator))) <= {c.name for c in table.columns}:
        return None
    try:
        frame = typed_frame(table, frame_of(mutator.table, spoilt(mutator)))
    except (ContractError, KeyError):
        return None
    con.register("frame", frame)
    con.execute(f'CREATE OR REPLACE TABLE "{table.name}" AS SELECT * FROM frame')
    queries = rule_queries(table)
    found = con.execute("SELECT " + ", ".join(f"({query})" for query in queries.values())).fetchone()
    broken = {key for key, count in zip(queries, found, strict=True) if count}
    assert len(broken) <= 1, broken
    refused = _refused_by_table(con, table)
    assert refused == bool(broken), "the table's own checks and the queries differ"
    return Verdict(*broken.pop()) if broken else ACCEPTED


def _refused_by_table(con, table) -> bool:
    """Whether the table that the dictionary makes takes the rows; made once for each entry, and left empty."""
    checked = f"checked_{table.name}"
    if not con.execute("SELECT count(*) FROM duckdb_tables() WHERE table_name = ?", [checked]).fetchone()[0]:
        con.execute(duckdb_table(table).replace(f'"{table.name}"', f'"{checked}"'))
    try:
        con.execute(f'BEGIN; INSERT INTO "{checked}" SELECT * FROM frame')
    except duckdb.ConstraintException:
        return True
    finally:
        con.execute("ROLLBACK")
    return False


def agrees(found: Verdict | None, declared: Verdict) -> bool:
    """Whether a path said what was declared; a type that is wrong throughout is a refusal of the file and a fault of the frame."""
    if found is None:
        return declared.about != "" or declared.rule == "type"
    if declared.about:
        return bool(found.about and declared.about in found.about) or (found.rule == "type" and found.column == declared.about)
    return found == declared


@pytest.fixture(scope="module")
def counts():
    """What each path said, over all mutators; printed at the end."""
    table: Counter = Counter()
    yield table
    paths = list(dict.fromkeys(path for path, _ in table))
    kinds = ("accepted", "rejected", "refused", "not applicable")
    print("\n" + f"{'path':<12}" + "".join(f"{kind:>16}" for kind in kinds))
    for path in paths:
        print(f"{path:<12}" + "".join(f"{table[path, kind]:>16}" for kind in kinds))


def kind_of(verdict: Verdict | None) -> str:
    return "not applicable" if verdict is None else "refused" if verdict.about else "rejected" if verdict.rule else "accepted"


@pytest.mark.parametrize("mutator", MUTATORS, ids=lambda m: f"{m.table}: {m.name}")
def test_every_path_reaches_the_declared_verdict(mutator, beside, engine, tmp_path, counts):
    said = {
        "CSV": (by_intake(write_csv, beside, tmp_path / "csv", mutator), mutator.intake),
        "Parquet": (by_intake(write_parquet, beside, tmp_path / "parquet", mutator), mutator.intake),
        "stage write": (by_stage_write(tmp_path / "stage", mutator), mutator.alone),
        "queries": (by_queries(engine, mutator), mutator.alone),
    }
    counts.update((path, kind_of(found)) for path, (found, _) in said.items())
    differ = {path: f"{found}, declared: {declared}" for path, (found, declared) in said.items() if not agrees(found, declared)}
    assert not differ, differ


def test_there_are_enough_mutators_over_every_extract_table():
    assert len(MUTATORS) >= AT_LEAST and len({m.name for m in MUTATORS}) == len(MUTATORS)
    assert {m.table for m in MUTATORS} == set(ORDER) == {name for name in ORDER if load_table(ROOT, name).extract}
    assert all((m.intake == m.alone) == (m.why == "") for m in MUTATORS)
