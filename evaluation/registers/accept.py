"""Accepting rows: each row of a table is accepted, rejected with its reason, or an identical copy that is collapsed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from evaluation.errors import DataError

from .adapter import DuckDB
from .code_lists import NOT_YET, OUTDATED, UNKNOWN
from .cuts import cut_marks
from .extracts import NOTHING, TEXT, Source, quoted
from .layouts import LONG, Relabel, long_form
from .mark_rules import PLACE_JOIN, code_mends, code_rules, load_bank_holidays, place_marks, place_rules
from .panel import suspects_query, tally_marks
from .pseudonyms import hidden_sql
from .rules import Rule, column_rules, foreign_rules, table_rules

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

REJECT_COLUMNS = ("table", "file", "file_row", "column", "rule", "value", "mend")
RULES_TOLD = 20  # rules that a refusal tells one by one
Keep = Callable[["pd.DataFrame"], str]
CODE_RULES = (UNKNOWN, NOT_YET, OUTDATED)
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


def accept(con: duckdb.DuckDBPyConnection, source: Source, tolerance: float, keep: Keep | None = None) -> Accepted:
    """Hold every row of a table against its rules and leave the accepted ones in relation ``accepted_<table>``.

    Parameters
    ----------
    con : DuckDBPyConnection
        Holds the source, ``accepted_`` relations of the tables it refers to, and (but for the calendar itself) ``days``.
    source : Source
    tolerance : float
        Rejected rows, % of rows read, above which the table is refused.
    keep : callable, optional
        Given the rejects of a table that is refused, keeps them and says where.

    Raises
    ------
    DataError
        More rows are rejected than tolerated; every rule is named with its rows and the first of them.
    """
    if not source.supplied:
        con.execute(f"CREATE TEMP TABLE accepted_{source.table.name} AS {_typed_rows(source, without_dropped=False)}")
        return Accepted(source.table.name, source.path.name, 0, 0, 0, 0, _no_rejects())
    read = con.execute(f"SELECT count(*) FROM {source.relation}").fetchone()[0]
    if source.table.name == "calendar":
        days = source.typed(source.table.column("date"))
        load_bank_holidays(con, *con.execute(f"SELECT year(min({days})), year(max({days})) FROM {source.relation}").fetchone())
    rejects, collapsed = _drop(con, source, column_rules(source) + code_rules(source) + foreign_rules(source) + table_rules(source.table.name))
    result = _settle(source, read, rejects, collapsed, tolerance, keep)
    con.execute(f"CREATE TEMP TABLE accepted_{source.table.name} AS {_typed_rows(source, without_dropped=bool(result.rejected or collapsed))}")
    return result


def accept_marks(con: duckdb.DuckDBPyConnection, source: Source, tolerance: float, keep: Keep | None = None) -> Accepted:
    """As :func:`accept`, for marks: leaves ``clean_tallies`` and ``split_tallies``, the sums of its accepted rows, and view ``accepted_marks``.

    One scan sums the marks; pupils whose sums show no fault need no second look. Only marks of pupils who may have a
    faulty one, or who have several enrolments in a year, are gone through row by row. Their accepted rows are summed again,
    by school, in ``split_tallies``; ``dual_sessions`` counts sessions marked D beside a mark of another school.
    The connection also holds what ``load_codes``, ``load_grid`` and ``load_places`` made.
    """
    engine = DuckDB(con)
    source, relabel = long_form(con, source)
    named = source.physical["school_id"] != NOTHING
    con.execute(f"CREATE OR REPLACE TEMP VIEW typed_marks AS {_typed_rows(source, without_dropped=False)}")
    tally_marks(engine, "typed_marks", "tallies", by_school=named, cuts=_cuts(con, source))
    read = con.execute("SELECT CAST(coalesce(sum(marks), 0) AS BIGINT) FROM tallies").fetchone()[0]
    _refuse_unread(con, source, read)
    engine.define("suspects", suspects_query("tallies", by_school=named))
    suspects = con.execute("SELECT count(*) FROM suspects").fetchone()[0]
    clean = "SELECT * FROM tallies" + (" AS t WHERE NOT EXISTS (SELECT 1 FROM suspects AS s WHERE s.pupil_id = t.pupil_id) AND t.pupil_id IS NOT NULL" if suspects else "")
    con.execute(f"CREATE OR REPLACE TEMP VIEW clean_tallies AS {clean}")
    pupil = source.typed(source.table.column("pupil_id"))
    few = replace(source, relation="suspect_marks")
    con.execute(f"CREATE OR REPLACE TEMP TABLE suspect_marks AS SELECT * FROM {source.relation} WHERE "
                + (f"{pupil} IS NULL OR {pupil} IN (SELECT pupil_id FROM suspects)" if suspects else "false"))
    con.execute(f"CREATE OR REPLACE TEMP TABLE typed_suspects AS {_typed_rows(few, without_dropped=False)}")
    settle = partial(_settle, read=read, tolerance=tolerance, keep=keep, relabel=relabel)
    result = _go_through(con, few, settle) if suspects else settle(source, rejects=_no_rejects(), collapsed=0)
    if not suspects:
        con.execute("CREATE OR REPLACE TEMP TABLE kept_marks AS SELECT pupil_id, school_id, date, session, code FROM typed_marks LIMIT 0")
        con.execute("CREATE OR REPLACE TEMP TABLE dual_marks AS SELECT pupil_id, school_id, date FROM kept_marks")
    tally_marks(engine, "kept_marks", "split_tallies", by_school=True)
    engine.define("dual_sessions", DUAL_SESSIONS)
    con.execute("CREATE OR REPLACE TEMP VIEW accepted_marks AS SELECT pupil_id, school_id, date, session, code FROM typed_marks AS t "
                + ("WHERE NOT EXISTS (SELECT 1 FROM suspects AS s WHERE s.pupil_id = t.pupil_id) AND t.pupil_id IS NOT NULL UNION ALL SELECT * FROM kept_marks" if suspects else ""))
    return result


def _cuts(con: duckdb.DuckDBPyConnection, source: Source) -> tuple[str, ...]:
    """Conditions that cut a large file of marks, one mark a row, into ranges; none for other layouts."""
    if source.stored is None or source.table.layout != LONG:
        return ()
    columns = {name: (source.unchanged[name], source.physical[name]) for name in ("pupil_id", "date") if name in source.unchanged}
    if columns.get("pupil_id", ("", ""))[1] != TEXT:
        return ()
    day = columns.get("date")
    return cut_marks(con, [source.stored], columns["pupil_id"], day if day and day[1] == "DATE" else None)


def _refuse_unread(con: duckdb.DuckDBPyConnection, source: Source, read: int) -> None:
    """Refuse a file of which rows were passed over: what it says of its own blocks of rows is then wrong."""
    there = con.execute(f"SELECT count(*) FROM {source.relation}").fetchone()[0]
    if read != there:
        raise DataError(f"{there:,} rows are in the file, but {read:,} were read: its statistics of pupils or days are wrong", where=source.path.name,
                        mend="export it again")


def _go_through(con: duckdb.DuckDBPyConnection, few: Source, settle: Callable[..., Accepted]) -> Accepted:
    """Hold the marks of ``suspect_marks`` against every rule, one by one; leaves ``kept_marks`` and ``dual_marks``."""
    place_marks(con, few)
    given = few.typed(few.table.column("school_id"))
    other = "* EXCLUDE (school_id)" if few.physical["school_id"] != NOTHING else "*"
    con.execute(f"CREATE OR REPLACE TEMP VIEW placed_rows AS SELECT m.* EXCLUDE (given_school), coalesce(m.given_school, p.school_id) AS school_id "
                f"FROM (SELECT {other}, {given} AS given_school FROM suspect_marks) AS m LEFT JOIN placed_marks AS p ON m.file_row = p.file_row")
    placed = replace(few, relation="placed_rows", physical={**few.physical, "school_id": TEXT})
    rejects, collapsed = _drop(con, placed, column_rules(few) + code_rules(few) + foreign_rules(few) + place_rules(), PLACE_JOIN)
    result = settle(few, rejects=rejects, collapsed=collapsed)
    con.execute(f"CREATE OR REPLACE TEMP TABLE kept_rows AS {_typed_rows(placed, without_dropped=True)}")
    con.execute("CREATE OR REPLACE TEMP TABLE kept_marks AS SELECT pupil_id, school_id, date, session, code FROM kept_rows")
    con.execute("CREATE OR REPLACE TEMP TABLE dual_marks AS SELECT pupil_id, school_id, date FROM (SELECT pupil_id, school_id, date, code, row_number() OVER "
                "(PARTITION BY pupil_id, date, session ORDER BY CASE WHEN code = 'D' THEN 1 ELSE 0 END, school_id) AS number FROM kept_marks) AS n "
                "WHERE code = 'D' AND number > 1")
    return result


# Sessions that are marked D at one school and have a mark of another: they are one session of the pupil.
DUAL_SESSIONS = """
SELECT m.pupil_id, g.half_term, count(*) AS sessions
FROM dual_marks AS m JOIN days AS d ON m.date = d.date
JOIN places AS p ON m.pupil_id = p.pupil_id AND m.school_id = p.school_id AND d.academic_year = p.academic_year
JOIN grid AS g ON p.calendar = g.calendar AND d.segment = g.segment
GROUP BY m.pupil_id, g.half_term
"""


def _drop(con: duckdb.DuckDBPyConnection, source: Source, rules: list[Rule], join: str = "") -> tuple[pd.DataFrame, int]:
    """Leave the rows that are not accepted in table ``dropped``; the rejects with their reasons, and how many copies collapsed."""
    import pandas as pd

    scope = f"{_scope(source)} {join}"
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
    parts += _overlaps(con, source) if source.table.name == "pupils" else []
    return pd.concat(parts, ignore_index=True) if parts else _no_rejects(), collapsed


def _settle(source: Source, read: int, rejects: pd.DataFrame, collapsed: int, tolerance: float, keep: Keep | None = None, relabel: Relabel | None = None) -> Accepted:
    """The account of a table's rows; refused when too many are rejected."""
    rejected = int(rejects["file_row"].nunique())
    rejects = relabel(rejects) if relabel and len(rejects) else rejects
    if 100 * rejected > tolerance * read:
        _refuse(source, rejects, rejected, read, tolerance, keep)
    return Accepted(source.table.name, source.path.name, read, read - rejected - collapsed, rejected, collapsed, rejects)


def _typed_rows(source: Source, without_dropped: bool, dropped: str = "dropped") -> str:
    """SQL of a table's declared columns in declared types."""
    values = ", ".join(f"{source.typed(c)} AS {quoted(c.name)}" for c in source.table.columns)
    return f"SELECT {values} FROM {source.relation}" + (f" WHERE file_row NOT IN (SELECT file_row FROM {dropped})" if without_dropped else "")


def _scope(source: Source) -> str:
    """FROM clause with each value as supplied (``given_<column>``) and in its declared type (``typed_<column>``)."""
    values = ", ".join(f"{source.raw(c)} AS {quoted('given_' + c.name)}, {source.typed(c)} AS {quoted('typed_' + c.name)}"
                       for c in source.table.columns)
    return f"(SELECT file_row, {values} FROM {source.relation}) AS rows_read"


def _list_rejects(con: duckdb.DuckDBPyConnection, source: Source, scope: str, rule: Rule) -> pd.DataFrame:
    """The rows that break one rule."""
    value = hidden_sql(con, rule.value) if rule.sensitive else rule.value
    frame = con.execute(f"SELECT rows_read.file_row, {value} AS value FROM {scope} WHERE {rule.broken} ORDER BY 1").df()
    rejects = _reject_frame(source, frame, rule.column, rule.name, rule.mend)
    return rejects.assign(mend=code_mends(rule, rejects["value"])) if source.table.column(rule.column).code_list and rule.name in CODE_RULES else rejects


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
    contradictory, collapsed = con.execute("SELECT count(*) FILTER (WHERE contradictory), count(*) FILTER (WHERE NOT contradictory AND number > 1) FROM repeated").fetchone()
    if contradictory or collapsed:
        con.execute("INSERT INTO dropped SELECT file_row FROM repeated WHERE contradictory OR number > 1")
    if not contradictory:
        return _no_rejects(), collapsed
    value = "concat_ws('|', " + ", ".join(f"CAST({quoted(f'k{i}')} AS VARCHAR)" for i in range(len(columns))) + ")"
    if any(c.sensitivity != "aggregate" for c in columns):
        value = hidden_sql(con, value)
    frame = con.execute(f"SELECT file_row, {value} AS value FROM repeated WHERE contradictory ORDER BY file_row").df()
    return _reject_frame(source, frame, "+".join(source.table.primary_key), CONTRADICTION, "keep the row that is right"), collapsed


# Column, rule and mend of enrolments whose days overlap, by whether they are at one school.
OVERLAPS = {False: ("school_id", "in two schools at once", "correct the dates, or mark one enrolment `main` and the other `subsidiary`"),
            True: ("enrolment_start", "overlapping enrolments at one school", "keep one of the enrolments, or correct the dates")}


def _overlaps(con: duckdb.DuckDBPyConnection, source: Source) -> list[pd.DataFrame]:
    """Add enrolments of one pupil and year whose days overlap, and are not a main and a subsidiary one, to ``dropped``."""
    kept = f"({_typed_rows(source, without_dropped=True).replace('SELECT ', 'SELECT file_row, ', 1)})"
    both = "coalesce(mine.enrolment_status, '') || coalesce(other.enrolment_status, '') IN ('mainsubsidiary', 'subsidiarymain')"
    found = con.execute(
        f"SELECT DISTINCT mine.file_row, {hidden_sql(con, 'mine.pupil_id')} AS value, mine.school_id = other.school_id AS at_one FROM {kept} AS mine "
        f"JOIN {kept} AS other ON mine.pupil_id = other.pupil_id AND mine.academic_year = other.academic_year AND mine.file_row <> other.file_row "
        "WHERE mine.enrolment_start <= coalesce(other.enrolment_end, DATE '9999-12-31') AND other.enrolment_start <= coalesce(mine.enrolment_end, DATE '9999-12-31') "
        f"AND NOT (mine.school_id <> other.school_id AND {both}) ORDER BY 1").df()
    parts = [_reject_frame(source, rows.drop(columns="at_one"), *OVERLAPS[bool(at_one)]) for at_one, rows in found.groupby("at_one")]
    if parts:
        import pandas as pd

        con.register("overlapping_rows", pd.concat(parts)[["file_row"]].drop_duplicates())
        con.execute("INSERT INTO dropped SELECT file_row FROM overlapping_rows")
        con.unregister("overlapping_rows")
    return parts


def _no_rejects() -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(columns=list(REJECT_COLUMNS))


def _refuse(source: Source, rejects: pd.DataFrame, rejected: int, read: int, tolerance: float, keep: Keep | None) -> None:
    """Too many rows are rejected: tell every rule with its rows and the first of them, the commonest first, and keep the rejects."""
    rules = rejects.groupby(["column", "rule"], sort=False).agg(rows=("file_row", "nunique"), row=("file_row", "min")).sort_values("rows", ascending=False, kind="stable")
    told, mends = [], []
    for (column, rule), found in rules.iloc[:RULES_TOLD].iterrows():
        first = rejects.loc[(rejects["column"] == column) & (rejects["rule"] == rule) & (rejects["file_row"] == found["row"])].iloc[0]
        value = f" (value {first['value']})" if isinstance(first["value"], str) else ""
        told.append(f"{found['rows']:,} by {rule}, column `{column}`, first in row {found['row']:,}{value}")
        mends.append(first["mend"] if len(rules) == 1 else f"{rule}: {first['mend']}")
    more = f"; and by {len(rules) - RULES_TOLD} more rules" if len(rules) > RULES_TOLD else ""
    kept = f"; {keep(rejects)}" if keep else ""
    raise DataError(
        f"{rejected:,} of {read:,} rows are rejected ({100 * rejected / read:.2f}%, tolerated {tolerance:g}%){kept}. {'; '.join(told)}{more}",
        where=f"{source.path.name}, column `{rules.index[0][0]}`", mend=f"{'; '.join(dict.fromkeys(mends))}; or register another tolerance in `registers.reject_tolerance`")
