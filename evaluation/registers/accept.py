"""Accepting rows: each row of a table is accepted, rejected with its reason, or an identical copy that is collapsed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from evaluation.errors import DataError

from .extracts import Source, quoted
from .panel import tally_marks
from .rules import MARK_JOINS, Rule, column_rules, foreign_rules, mark_rules, table_rules

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

REJECT_COLUMNS = ("table", "file", "file_row", "column", "rule", "value", "mend")
HASH_LENGTH = 12
CONTRADICTION = "contradictory rows with one key"


@dataclass(frozen=True)
class Accepted:
    """What became of one table's rows: ``read = accepted + rejected + collapsed``."""

    name: str
    file: str
    read: int
    accepted: int
    rejected: int
    collapsed: int
    rejects: pd.DataFrame


def accept(con: duckdb.DuckDBPyConnection, source: Source, tolerance: float) -> Accepted:
    """Hold every row of a table against its rules and leave the accepted ones in relation ``accepted_<table>``.

    Parameters
    ----------
    con : DuckDBPyConnection
        Holds the source, ``accepted_`` relations of the tables it refers to, and (but for the calendar itself) ``days``.
    source : Source
    tolerance : float
        Rejected rows, % of rows read, above which the table is refused.

    Raises
    ------
    DataError
        More rows are rejected than tolerated; the commonest rule and the first row are named.
    """
    read = con.execute(f"SELECT count(*) FROM {source.relation}").fetchone()[0]
    rejects, collapsed = _drop(con, source, column_rules(source) + foreign_rules(source) + table_rules(source.table.name))
    result = _settle(source, read, rejects, collapsed, tolerance)
    con.execute(f"CREATE TEMP TABLE accepted_{source.table.name} AS {_typed_rows(source, without_dropped=bool(result.rejected or collapsed))}")
    return result


def accept_marks(con: duckdb.DuckDBPyConnection, source: Source, tolerance: float) -> Accepted:
    """As :func:`accept`, for marks: leaves view ``accepted_marks`` and the ``tallies`` of its rows.

    One scan tallies the marks; the tallies of pupils with no fault need no second look. Only marks of pupils whose
    tallies show a fault are gone through row by row. The connection also holds ``mark_classes`` and ``days``.
    """
    con.execute(f"CREATE TEMP VIEW typed_marks AS {_typed_rows(source, without_dropped=False)}")
    tally_marks(con, "typed_marks")
    read = con.execute("SELECT CAST(sum(marks) AS BIGINT) FROM tallies").fetchone()[0]
    con.execute(f"CREATE TEMP TABLE suspects AS {SUSPECTS}")
    if not con.execute("SELECT count(*) FROM suspects").fetchone()[0]:
        con.execute("CREATE TEMP VIEW accepted_marks AS SELECT * FROM typed_marks")
        return _settle(source, read, _no_rejects(), 0, tolerance)
    pupil = source.typed(source.table.column("pupil_id"))
    con.execute(f"CREATE TEMP TABLE suspect_marks AS SELECT * FROM {source.relation} WHERE {pupil} IS NULL OR {pupil} IN (SELECT pupil_id FROM suspects)")
    few = replace(source, relation="suspect_marks")
    rejects, collapsed = _drop(con, few, column_rules(few) + foreign_rules(few) + mark_rules())
    result = _settle(source, read, rejects, collapsed, tolerance)
    con.execute("CREATE TEMP TABLE dropped_marks AS SELECT file_row FROM dropped")
    con.execute(f"CREATE TEMP VIEW accepted_marks AS {_typed_rows(source, without_dropped=True, dropped='dropped_marks')}")
    tally_marks(con, "accepted_marks")
    return result


# Pupils (NULL among them) with a mark that breaks a rule: no school day, unknown or outdated code, wrong session, not enrolled
# on that date, or a session that is there twice.
SUSPECTS = """
SELECT DISTINCT t.pupil_id FROM tallies AS t
LEFT JOIN mark_classes AS c ON t.code = c.code
LEFT JOIN accepted_pupils AS p ON t.pupil_id = p.pupil_id AND t.academic_year = p.academic_year
WHERE t.half_term IS NULL OR p.pupil_id IS NULL OR t.sessions_named < t.marks OR t.first_date < p.enrolment_start OR t.last_date > p.enrolment_end
   OR CASE WHEN t.from_change THEN c.class_from ELSE c.class_before END IS NULL
UNION
SELECT pupil_id FROM tallies WHERE half_term IS NOT NULL
GROUP BY pupil_id, half_term HAVING bit_count(bit_or(ticks)) < sum(marks)
"""


def _drop(con: duckdb.DuckDBPyConnection, source: Source, rules: list[Rule]) -> tuple[pd.DataFrame, int]:
    """Leave the rows that are not accepted in table ``dropped``; the rejects with their reasons, and how many copies collapsed."""
    import pandas as pd

    scope = _scope(source)
    broken = con.execute("SELECT " + ", ".join(f"count(*) FILTER (WHERE b{i})" for i in range(len(rules))) + " FROM (SELECT "
                         + ", ".join(f"{rule.broken} AS b{i}" for i, rule in enumerate(rules)) + f" FROM {scope})").fetchone()
    parts = [_list_rejects(con, source, scope, rule) for rule, count in zip(rules, broken, strict=True) if count]
    con.execute("CREATE OR REPLACE TEMP TABLE dropped (file_row BIGINT)")
    if parts:
        rows = pd.concat(parts)[["file_row"]].drop_duplicates()
        con.register("rejected_rows", rows)
        con.execute("INSERT INTO dropped SELECT file_row FROM rejected_rows")
        con.unregister("rejected_rows")
    contradictions, collapsed = _duplicates(con, source)
    parts += [contradictions] if len(contradictions) else []
    return pd.concat(parts, ignore_index=True) if parts else _no_rejects(), collapsed


def _settle(source: Source, read: int, rejects: pd.DataFrame, collapsed: int, tolerance: float) -> Accepted:
    """The account of a table's rows; refused when too many are rejected."""
    rejected = int(rejects["file_row"].nunique())
    _tolerate(source, rejects, rejected, read, tolerance)
    return Accepted(source.table.name, source.path.name, read, read - rejected - collapsed, rejected, collapsed, rejects)


def _typed_rows(source: Source, without_dropped: bool, dropped: str = "dropped") -> str:
    """SQL of a table's declared columns in declared types."""
    values = ", ".join(f"{source.typed(c)} AS {quoted(c.name)}" for c in source.table.columns)
    return f"SELECT {values} FROM {source.relation}" + (f" WHERE file_row NOT IN (SELECT file_row FROM {dropped})" if without_dropped else "")


def _scope(source: Source) -> str:
    """FROM clause with each value as supplied (``given_<column>``) and in its declared type (``typed_<column>``)."""
    values = ", ".join(f"{source.raw(c)} AS {quoted('given_' + c.name)}, {source.typed(c)} AS {quoted('typed_' + c.name)}"
                       for c in source.table.columns)
    joins = f" {MARK_JOINS}" if source.table.name == "marks" else ""
    return f"(SELECT file_row, {values} FROM {source.relation}) AS rows_read{joins}"


def _list_rejects(con: duckdb.DuckDBPyConnection, source: Source, scope: str, rule: Rule) -> pd.DataFrame:
    """The rows that break one rule."""
    value = f"substr(sha256({rule.value}), 1, {HASH_LENGTH})" if rule.sensitive else rule.value
    frame = con.execute(f"SELECT file_row, {value} AS value FROM {scope} WHERE {rule.broken} ORDER BY file_row").df()
    return _reject_frame(source, frame, rule.column, rule.name, rule.mend)


def _reject_frame(source: Source, frame: pd.DataFrame, column: str, rule: str, mend: str) -> pd.DataFrame:
    return frame.assign(table=source.table.name, file=source.path.name, column=column, rule=rule, mend=mend)[list(REJECT_COLUMNS)]


def _duplicates(con: duckdb.DuckDBPyConnection, source: Source) -> tuple[pd.DataFrame, int]:
    """Add rows with a key that is there more than once to ``dropped``.

    Identical copies are collapsed to the first; rows that share a key and differ are all rejected, because nobody here
    can know which is right. Returns the rejects and the number of copies collapsed.
    """
    key = ", ".join(quoted(f"k{i}") for i in range(len(source.table.primary_key)))
    columns = [source.table.column(name) for name in source.table.primary_key]
    keys = ", ".join(f"{source.typed(c)} AS {quoted(f'k{i}')}" for i, c in enumerate(columns))
    kept = f"SELECT * FROM {source.relation} WHERE file_row NOT IN (SELECT file_row FROM dropped)"
    whole = "hash(" + ", ".join(source.raw(c) for c in source.table.columns) + ")"
    con.execute(f"CREATE OR REPLACE TEMP TABLE repeated AS SELECT file_row, {keys}, {whole} AS whole, count(*) OVER same AS copies, "
                f"min(whole) OVER same <> max(whole) OVER same AS contradictory, row_number() OVER (same ORDER BY file_row) AS number "
                f"FROM ({kept}) WINDOW same AS (PARTITION BY {key}) QUALIFY copies > 1")
    con.execute("INSERT INTO dropped SELECT file_row FROM repeated WHERE contradictory OR number > 1")
    collapsed = con.execute("SELECT count(*) FROM repeated WHERE NOT contradictory AND number > 1").fetchone()[0]
    value = " || '|' || ".join(f"CAST({quoted(f'k{i}')} AS VARCHAR)" for i in range(len(columns)))
    if any(c.sensitivity != "aggregate" for c in columns):
        value = f"substr(sha256({value}), 1, {HASH_LENGTH})"
    frame = con.execute(f"SELECT file_row, {value} AS value FROM repeated WHERE contradictory ORDER BY file_row").df()
    if frame.empty:
        return _no_rejects(), collapsed
    return _reject_frame(source, frame, "+".join(source.table.primary_key), CONTRADICTION, "keep the row that is right"), collapsed


def _no_rejects() -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(columns=list(REJECT_COLUMNS))


def _tolerate(source: Source, rejects: pd.DataFrame, rejected: int, read: int, tolerance: float) -> None:
    """Stop when too many rows are rejected."""
    if not rejected or 100 * rejected <= tolerance * read:
        return
    common = rejects["rule"].value_counts().idxmax()
    first = rejects.loc[rejects["rule"] == common].iloc[0]
    value = f" (value {first['value']})" if isinstance(first["value"], str) else ""
    raise DataError(
        f"{rejected:,} of {read:,} rows are rejected ({100 * rejected / read:.2f}%, tolerated {tolerance:g}%); most often: {common}, "
        f"first in row {first['file_row']}{value}",
        where=f"{source.path.name}, column `{first['column']}`", mend=f"{first['mend']}; or register another tolerance in `registers.reject_tolerance`")
