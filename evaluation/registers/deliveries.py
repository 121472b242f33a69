"""Deliveries of data: which file is current, whether it is the one delivered and may still be used, and what a re-delivery changed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from evaluation.errors import DataError

from .entries import Table, load_table
from .extracts import SUPERSEDED, Source, open_path, quoted, superseded_files
from .layouts import long_form

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

# The date by which a row of a table falls into a half-term; rows of other tables are compared without one.
DAY_OF_ROW = {
    "marks": "date", "calendar": "date", "referrals": "referral_date", "meetings": "meeting_date", "suspensions": "start_date",
    "barriers": "assessed_on", "survey_items": "answered_on",
}
CHANGE_COLUMNS = ("table", "delivery_before", "delivery_after", "school_id", "half_term", "rows_before", "rows_after", "added", "removed", "changed")


@dataclass(frozen=True)
class Delivery:
    """One file received, as the log of deliveries has it."""

    delivery_id: str
    table: str
    version: int
    supersedes: str | None
    sha256: str
    agreement: str
    retention_until: date

    @property
    def said(self) -> str:
        """The delivery in words."""
        return f"delivery `{self.delivery_id:.40}` of `{self.table}`"


def read_deliveries(con: duckdb.DuckDBPyConnection, source: Source) -> list[Delivery]:
    """The rows of the log that are whole (others are rejected by their rules), in order of table and version."""
    names = ("delivery_id", "table", "version", "supersedes", "sha256", "agreement", "retention_until")
    columns = [source.table.column(name) for name in names]
    rows = con.execute(f"SELECT DISTINCT {', '.join(source.typed(c) for c in columns)} FROM {source.relation}").fetchall()
    whole = [Delivery(*row) for row in rows if all(value is not None for name, value in zip(names, row, strict=True) if name != "supersedes")]
    return sorted(whole, key=lambda d: (d.table, d.version, d.delivery_id))


def check_deliveries(con: duckdb.DuckDBPyConnection, source: Source, folder: Path, files: dict[str, str], today: date) -> tuple[str, ...]:
    """Hold the files of an extract against the log of deliveries.

    Parameters
    ----------
    con : DuckDBPyConnection
    source : Source
        Table ``deliveries``, opened.
    folder : Path
        The extract.
    files : dict
        File name of each table that is there.
    today : date
        The day on which the data are read.

    Returns
    -------
    tuple of str
        Tables of the extract that the log does not list, a sentence each.

    Raises
    ------
    DataError
        The log contradicts itself; a delivered file is absent or not the one delivered (SHA-256); a file is kept past
        the date of its agreement.
    """
    log = read_deliveries(con, source)
    if not source.supplied:
        return ()
    where = source.path.name
    current = current_deliveries(log, where)
    for table, delivery in current.items():
        if table not in files:
            raise DataError(f"{delivery.said} was received, but the extract has no such file", where=where, mend="supply the file, or correct the log")
        _hold(delivery, Path(folder) / files[table], today)
    for name in superseded_files(folder, files):
        _hold(_of_file(log, name), Path(folder) / name, today)
    return tuple(f"{where}: no delivery of `{table}` is listed" for table in files if table not in current and table != "deliveries")


def current_deliveries(log: list[Delivery], where: str = "deliveries") -> dict[str, Delivery]:
    """The delivery of each table that no other supersedes.

    Raises
    ------
    DataError
        A delivery supersedes one that is not listed, one of another table or one of no lower version, two supersede one,
        or a table has two current ones.
    """
    by_id = {d.delivery_id: d for d in log}
    replaced: set[str] = set()
    for delivery in log:
        if delivery.supersedes is None:
            continue
        earlier = by_id.get(delivery.supersedes)
        if earlier is None or earlier.table != delivery.table or earlier.version >= delivery.version or delivery.supersedes in replaced:
            raise DataError(f"{delivery.said} supersedes `{delivery.supersedes:.40}`, which is not an earlier delivery of that table, or is superseded twice",
                            where=f"{where}, column `supersedes`", mend="name the delivery that it replaces, once, with a lower version")
        replaced.add(delivery.supersedes)
    current: dict[str, Delivery] = {}
    for delivery in (d for d in log if d.delivery_id not in replaced):
        if delivery.table in current:
            raise DataError(f"{current[delivery.table].said} and `{delivery.delivery_id:.40}` are both current", where=f"{where}, column `supersedes`",
                            mend="say which of them supersedes the other")
        current[delivery.table] = delivery
    return current


def _hold(delivery: Delivery, path: Path, today: date) -> None:
    import hashlib

    if delivery.retention_until < today:
        raise DataError(f"{delivery.said} was to be kept until {delivery.retention_until:%d %B %Y} (agreement {delivery.agreement:.60})", where=path.name,
                        mend="delete the file, or log the agreement that lets you keep it")
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != delivery.sha256:
        raise DataError(f"the file is not {delivery.said}: its SHA-256 begins {found[:12]}, the log says {delivery.sha256[:12]}", where=path.name,
                        mend="supply the file that was delivered, or log the delivery that this one is")


def _of_file(log: list[Delivery], name: str) -> Delivery:
    table, version = Path(name).name.split(".")[:2]
    found = [d for d in log if d.table == table and d.version == int(version)]
    if len(found) != 1:
        raise DataError(f"the log has {len(found) or 'no'} deliveries of `{table}` in version {version}", where=name, mend="list the delivery, once")
    return found[0]


def delivery_changes(con: duckdb.DuckDBPyConnection, source: Source, folder: Path, root: Path, current: dict[str, Source]) -> pd.DataFrame:
    """What each re-delivery changed, by school and half-term.

    Parameters
    ----------
    con : DuckDBPyConnection
        Holds ``accepted_pupils`` and ``accepted_calendar``.
    source : Source
        Table ``deliveries``, opened.
    folder, root : Path
        The extract and the project.
    current : dict of Source
        The extract's other tables, opened.

    Returns
    -------
    DataFrame
        Table ``delivery_changes``: a row for each earlier file in the folder ``superseded``, school and half-term. Rows are
        matched by the table's key, as supplied; ``changed`` have the key in both and differ otherwise. A row without a
        school of its own counts at the pupil's school on its day; tables without a date have no half-term.
    """
    import pandas as pd

    log = read_deliveries(con, source)
    by_id = {d.delivery_id: d for d in log}
    names = {t: s.path.name for t, s in current.items() if s.supplied}
    files = {_of_file(log, name).delivery_id: name for name in superseded_files(folder, names)} if source.supplied else {}
    parts = []
    for delivery in log:
        earlier = by_id.get(delivery.supersedes or "")
        if earlier is None or earlier.delivery_id not in files:
            continue
        table = load_table(root, delivery.table)
        before = _one_row_a_mark(con, open_path(con, Path(folder) / files[earlier.delivery_id], table, "read_before"), "long_before")
        later = open_path(con, Path(folder) / files[delivery.delivery_id], table, "read_after") if delivery.delivery_id in files else current[delivery.table]
        after = _one_row_a_mark(con, later, "long_after")
        frame = con.execute(_changes(table, before, after)).df()
        parts.append(frame.assign(table=delivery.table, delivery_before=earlier.delivery_id, delivery_after=delivery.delivery_id))
    if not parts:
        return pd.DataFrame({name: pd.Series([], dtype="object") for name in CHANGE_COLUMNS})
    return pd.concat(parts, ignore_index=True).astype({"half_term": "Int64"})[list(CHANGE_COLUMNS)]


def _one_row_a_mark(con: duckdb.DuckDBPyConnection, source: Source, relation: str) -> Source:
    """A source in the dictionary's own layout, whatever the layout of its file."""
    long, relabel = long_form(con, source)
    if relabel is None:
        return source
    con.execute(f"CREATE OR REPLACE TEMP TABLE {relation} AS SELECT * FROM {long.relation}")
    return replace(long, relation=relation)


def _changes(table: Table, before: Source, after: Source) -> str:
    """SQL that counts keys in one file or both, by school and half-term."""
    keys = ", ".join(f"k{i}" for i in range(len(table.primary_key)))
    sides = " UNION ALL ".join(_side(table, source, side) for side, source in (("before", before), ("after", after)))
    # One row a key: rows of the two sides meet here, whatever is missing in the key counting as equal.
    matched = (f"SELECT min(school_id) AS school_id, min(half_term) AS half_term, count(*) FILTER (side = 'before') AS old, "
               f"count(*) FILTER (side = 'after') AS new, count(DISTINCT rest) AS contents FROM ({sides}) GROUP BY {keys}")
    return (f"SELECT school_id, half_term, CAST(sum(old) AS BIGINT) AS rows_before, CAST(sum(new) AS BIGINT) AS rows_after, "
            f"count(*) FILTER (old = 0) AS added, count(*) FILTER (new = 0) AS removed, count(*) FILTER (old > 0 AND new > 0 AND contents > 1) AS changed "
            f"FROM ({matched}) GROUP BY school_id, half_term ORDER BY school_id, half_term")


def _side(table: Table, source: Source, side: str) -> str:
    names = {c.name for c in table.columns}
    keys = ", ".join(f"{source.raw(table.column(name))} AS k{i}" for i, name in enumerate(table.primary_key))
    rest = ", ".join(f"CAST({source.typed(c)} AS VARCHAR)" for c in table.columns if c.name not in table.primary_key)
    day = source.typed(table.column(DAY_OF_ROW[table.name])) if table.name in DAY_OF_ROW else "CAST(NULL AS DATE)"
    school = source.typed(table.column("school_id")) if "school_id" in names else "CAST(NULL AS VARCHAR)"
    pupil = source.typed(table.column("pupil_id")) if "pupil_id" in names else "CAST(NULL AS VARCHAR)"
    rows = f"SELECT {keys}, hash({rest}) AS rest, {day} AS day, {school} AS own_school, {pupil} AS pupil FROM {source.relation}"
    at_school = ("(SELECT min(school_id) FROM accepted_pupils AS p WHERE p.pupil_id = r.pupil AND p.enrolment_start <= r.day "
                 "AND (p.enrolment_end IS NULL OR p.enrolment_end >= r.day) AND coalesce(p.enrolment_status, 'single') <> 'subsidiary')")
    half_term = ("(SELECT min(half_term) FROM (SELECT half_term, max(date) AS last_day FROM accepted_calendar WHERE school_day GROUP BY half_term) AS h "
                 "WHERE h.last_day >= r.day)")
    named = ", ".join(quoted(f"k{i}") for i in range(len(table.primary_key)))
    return f"SELECT {named}, rest, '{side}' AS side, coalesce(own_school, {at_school}) AS school_id, {half_term} AS half_term FROM ({rows}) AS r"
