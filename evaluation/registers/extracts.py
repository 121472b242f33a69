"""The files of an extract folder: found, opened with DuckDB, and held against the columns and types of the dictionary."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from evaluation.errors import DataError

from .entries import Column, Table, table_names
from .headers import Header, count_rows, csv_header, match_header, near_match
from .layouts import layout_table
from .pseudonyms import KEY_MEND, UNREADABLE, has_key, load_key, read_key, replaced_sql, upn_sql
from .wording import FORMS

if TYPE_CHECKING:
    import duckdb

__all__ = ["UNREADABLE", "Source", "find_file", "literal", "open_path", "open_source", "quoted", "refuse_misspelt", "superseded_files", "unread_files",
           "workspace"]

SUFFIXES = (".parquet", ".csv")
TEXT = "VARCHAR"
NOTHING = "nothing"  # stands for the type of a column that is absent, or of a Parquet column without a single value
WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
REAL = ("FLOAT", "DOUBLE")
DAYS = ("DATE", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS")
DUCKDB_TYPE = {"string": TEXT, "integer": "BIGINT", "number": "DOUBLE", "boolean": "BOOLEAN", "date": "DATE"}
NOT_SUPPLIED = "not supplied"
SUPERSEDED = "superseded"  # folder of an extract that holds earlier deliveries
SPILL = "spill"  # variable of the connection: the folder into which files that cannot be read in place are rewritten
# Memory that DuckDB may hold; what does not fit goes to the workspace's folder.
MEMORY_LIMIT = "2GB"


@contextmanager
def workspace(root: Path, memory: str = MEMORY_LIMIT) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB connection with a folder of its own, removed at the end, and with the user's pseudonym key.

    A CSV file is rewritten there once as Parquet, raw identifiers already replaced, so that memory does not grow with
    the file and no raw identifier reaches the disk.

    Raises
    ------
    DataError
        As :func:`~evaluation.registers.pseudonyms.read_key`.
    """
    import duckdb

    key = read_key(root)
    folder = Path(tempfile.mkdtemp(prefix="evaluation-"))
    try:
        with duckdb.connect(config={"temp_directory": str(folder / "overflow"), "memory_limit": memory}) as con:
            if con.execute("SELECT current_setting('enable_progress_bar')").fetchone()[0]:  # off in a kernel, where it cannot be set
                con.execute("SET enable_progress_bar = false")
            con.execute(f"SET VARIABLE {SPILL} = {literal(folder)}")
            load_key(con, key)
            yield con
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class Source:
    """One file of an extract. Relation ``relation`` holds the declared columns that the file has, under their declared
    names, and ``file_row``, counted from 1; ``physical`` gives the type of each declared column, ``replaced`` how raw
    identifiers were replaced, ``notes`` what was read under another name. ``stored`` is the Parquet file that is read, and
    ``unchanged`` its own name of each declared column that is read as it stands there."""

    table: Table
    path: Path
    relation: str
    physical: dict[str, str]
    replaced: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    stored: Path | None = None
    unchanged: dict[str, str] = field(default_factory=dict)

    @property
    def supplied(self) -> bool:
        """Whether the extract has a file of this table."""
        return self.path.name != NOT_SUPPLIED

    def raw(self, column: Column) -> str:
        """SQL of a value as supplied, NULL where nothing was supplied (a required text may also be empty: rule "missing")."""
        name = quoted(column.name)
        kind = self.physical[column.name]
        if kind == NOTHING:
            return f"CAST(NULL AS {DUCKDB_TYPE[column.type]})"
        if kind == TEXT:
            return name if column.required and column.type == "string" else f"nullif({name}, '')"
        # By a search in the text: DuckDB concludes from a Parquet file's statistics that no value is NaN, and then answers isnan(x)
        # and even CAST(x AS VARCHAR) = 'nan' without a look at the values.
        return f"CASE WHEN contains(CAST({name} AS VARCHAR), 'nan') THEN NULL ELSE {name} END" if kind in REAL else name

    def typed(self, column: Column) -> str:
        """SQL of a value in the declared type, NULL where it is missing or not of that type; nothing is rounded or guessed."""
        raw, kind = self.raw(column), self.physical[column.name]
        target = DUCKDB_TYPE[column.type]
        if column.type == "string" or kind == NOTHING:
            return raw
        if kind == TEXT:
            form = {"integer": r"-?[0-9]{1,18}", "number": r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?|-?(?i:inf|infinity)", "boolean": r"(?i:true|false)",
                    "date": r"[0-9]{4}-[0-9]{2}-[0-9]{2}"}[column.type]
            return f"CASE WHEN regexp_full_match({raw}, '{form}') THEN TRY_CAST({raw} AS {target}) END"
        if column.type == "integer" and kind in REAL:
            return f"CASE WHEN {raw} = floor({raw}) THEN TRY_CAST({raw} AS BIGINT) END"
        if column.type == "date" and kind.startswith("TIMESTAMP"):
            return f"CASE WHEN {raw} = date_trunc('day', {raw}) THEN TRY_CAST({raw} AS DATE) END"
        return f"TRY_CAST({raw} AS {target})" if kind != target else raw

    @property
    def as_declared(self) -> bool:
        """Whether every column already has the declared type, so that no value can fail to parse."""
        return all(self.physical[c.name] in (DUCKDB_TYPE[c.type], NOTHING) for c in self.table.columns)


def quoted(name: str) -> str:
    """A name as a SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: object) -> str:
    """A value as a SQL string."""
    return "'" + str(text).replace("'", "''") + "'"


def find_file(folder: Path, name: str, optional: bool = False) -> Path | None:
    """The file of a table: ``<table>.parquet`` or ``<table>.csv``; None if the table is optional and absent.

    Raises
    ------
    DataError
        The folder or the file is absent, empty, there twice, or a symbolic link, or the table is there under a name that
        is not read (``marks.CSV``, ``marks.2024.csv``).
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError("there is no such data folder", where=str(folder), mend="give the folder that holds the extract")
    found = [path for suffix in SUFFIXES if (path := folder / f"{name}{suffix}").is_file() or path.is_symlink()]
    if len(found) > 1:
        raise DataError(f"table `{name}` is there twice: {' and '.join(p.name for p in found)}", where=folder.name, mend="keep one of them")
    _refuse_unread(folder, name, found)
    if not found:
        near = near_match(name, [p.stem for p in folder.iterdir() if p.is_file() and p.suffix in SUFFIXES])
        if optional:
            return None
        hint = f" (there is `{near}`: did you mean `{name}`?)" if near else ""
        raise DataError(f"the data folder lacks table `{name}`{hint}", where=f"{folder.name}/{name}.parquet or .csv",
                        mend=f"supply the file, with the columns of data_dictionary/{name}.yaml")
    if found[0].is_symlink():
        raise DataError("a symbolic link", where=f"{folder.name}/{found[0].name}", mend="put the file itself into the folder")
    if found[0].stat().st_size == 0:
        raise DataError("the file is empty", where=found[0].name, mend="export it again")
    return found[0]


def _refuse_unread(folder: Path, name: str, found: list[Path]) -> None:
    """A table under another ending, or in parts, would be left out in silence."""
    unread = sorted(path.name for path in folder.iterdir() if path.name.partition(".")[0].casefold() == name and path not in found
                    and (not found or path.suffix.casefold() in SUFFIXES))
    if unread:
        raise DataError(f"`{unread[0]:.60}` is not called {name}.parquet or {name}.csv", where=f"{folder.name}/{unread[0]:.60}",
                        mend=f"export the whole table as one file of that name (lower case), or move `{unread[0]:.60}` out of the folder")


def unread_files(folder: Path, tables: Iterable[str]) -> tuple[str, ...]:
    """Data files of an extract folder that are none of these tables, a sentence each."""
    known = set(tables)
    names = sorted(path.name for path in Path(folder).iterdir() if path.suffix.casefold() in SUFFIXES and path.stem not in known)
    return tuple(f"{name}: not read, the data dictionary has no extract table of that name" for name in names)


def superseded_files(folder: Path, tables: Iterable[str]) -> tuple[str, ...]:
    """Files of earlier deliveries, as paths inside the extract folder: ``superseded/<table>.<version>.parquet`` or ``.csv``.

    Raises
    ------
    DataError
        The folder or one of them is a symbolic link, or a file's name is not of this form.
    """
    beside = Path(folder) / SUPERSEDED
    if beside.is_symlink() or any(path.is_symlink() for path in (beside.iterdir() if beside.is_dir() else ())):
        raise DataError("a symbolic link", where=f"{Path(folder).name}/{SUPERSEDED}", mend="put the files themselves into the folder")
    found = sorted(path.name for path in beside.iterdir()) if beside.is_dir() else []
    for name in found:
        table, _, rest = name.partition(".")
        if table not in tables or not re.fullmatch(r"[1-9][0-9]*\.(parquet|csv)", rest):
            raise DataError(f"`{name:.60}` is not called <table>.<version>.parquet or .csv", where=f"{Path(folder).name}/{SUPERSEDED}",
                            mend="give it the name of its table and the version of its delivery, or move it out of the folder")
    return tuple(f"{SUPERSEDED}/{name}" for name in found)


def open_source(con: duckdb.DuckDBPyConnection, folder: Path, table: Table) -> Source:
    """Open the file of a table as a relation, and refuse it if its columns or types are not the dictionary's.

    A Parquet file is read where it stands; a CSV file is rewritten as Parquet in the connection's :func:`workspace`.
    An optional table that is absent is a relation of no rows.

    Raises
    ------
    DataError
        Names the file, the column, the rule and how to mend it.
    """
    path = find_file(folder, table.name, optional=table.optional)
    relation = f"read_{table.name}"
    if path is None:
        refuse_misspelt(folder, table)
        con.execute(f"CREATE OR REPLACE TEMP VIEW {relation} AS SELECT CAST(NULL AS BIGINT) AS file_row WHERE false")
        return Source(table, Path(folder) / NOT_SUPPLIED, relation, dict.fromkeys((c.name for c in table.columns), NOTHING))
    return open_path(con, path, table, relation)


def open_path(con: duckdb.DuckDBPyConnection, path: Path, table: Table, relation: str) -> Source:
    """As :func:`open_source`, for a file of any name, as relation ``relation``."""
    import duckdb

    try:
        given = _parquet_types(con, path) if path.suffix == ".parquet" else dict.fromkeys(names := csv_header(path), TEXT)
        names = list(given) if path.suffix == ".parquet" else names
        table = layout_table(table, names)
        header = match_header(table, path, names)
        source = _open(con, table, path, relation, header, given)
    except duckdb.Error as error:
        raise DataError(f"the file cannot be read: {_plain_cause(error)}", where=path.name,
                        mend="export it again as UTF-8 CSV with a header, or as Parquet") from error
    _check_types(con, source)
    _refuse_raw(con, source)
    return source


def refuse_misspelt(folder: Path, table: Table) -> None:
    """A file whose name is near to that of an absent optional table is more likely misspelt than meant to be left out."""
    declared = table_names(table.path.parents[1])
    strange = [p.stem for p in Path(folder).iterdir() if p.suffix in SUFFIXES and p.stem not in declared]
    near = near_match(table.name, strange)
    if near:
        raise DataError(f"the data folder lacks table `{table.name}` (there is `{near}`: did you mean `{table.name}`?)", where=f"{Path(folder).name}/{near}",
                        mend=f"call the file `{table.name}`, or move it out of the folder")


def _open(con: duckdb.DuckDBPyConnection, table: Table, path: Path, relation: str, header: Header, given: dict[str, str]) -> Source:
    """Make the relation of a file whose header is matched."""
    if set(header.replaced.values()) - {"month"} and not has_key(con):
        name = next(c for c, how in header.replaced.items() if how != "month")
        raise DataError(f"column `{header.names[name]}` holds raw identifiers, and there is no key to replace them", where=path.name, mend=KEY_MEND)
    physical = {c.name: given[header.names[c.name]] if c.name in header.names else NOTHING for c in table.columns}
    values = ["file_row"]
    for name, original in header.names.items():
        value, kind = quoted(original), physical[name]
        if name in header.replaced:
            _refuse_kind(path, name, original, kind, (TEXT, *DAYS) if header.replaced[name] == "month" else (TEXT,))
            value, physical[name] = replaced_sql(header.replaced[name], value, kind), TEXT
        elif name in header.coded:
            cases = " ".join(f"WHEN {literal(short)} THEN {literal(long)}" for short, long in table.column(name).value_names)
            value, physical[name] = f"CASE CAST({value} AS VARCHAR) {cases} ELSE CAST({value} AS VARCHAR) END", TEXT
        values.append(f"{value} AS {quoted(name)}")
    if path.suffix == ".csv":
        rows = count_rows(path)
        columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in given)
        beside = Path(con.execute(f"SELECT getvariable('{SPILL}')").fetchone()[0]) / f"{relation}.parquet"
        read = con.execute(f"COPY (SELECT {', '.join(values[1:])} FROM read_csv({literal(path)}, columns = {{{columns}}}, header = true, auto_detect = false, "
                    f"delim = ',', quote = '\"', escape = '\"', strict_mode = true)) TO {literal(beside)} (FORMAT parquet, COMPRESSION zstd)").fetchone()[0]
        if rows is not None and read != rows:
            raise DataError(f"{rows:,} rows are in the file, but {read:,} were read", where=path.name, mend="export it again, or as Parquet")
        values, path_read = ["file_row", *(quoted(name) for name in header.names)], beside
        unchanged = {name: name for name in header.names}
    else:
        path_read = path
        unchanged = {name: given for name, given in header.names.items() if name not in header.replaced and name not in header.coded}
        for column in table.columns:
            kind = physical[column.name]
            if kind != NOTHING and column.name not in header.coded and not _fits(kind, column.type) and not con.execute(
                    f"SELECT count({quoted(header.names[column.name])}) FROM read_parquet({literal(path)})").fetchone()[0]:
                physical[column.name] = NOTHING
    con.execute(f"CREATE OR REPLACE TEMP VIEW {relation} AS SELECT {', '.join(values)} FROM (SELECT *, file_row_number + 1 AS file_row "
                f"FROM read_parquet({literal(path_read)}, file_row_number = true))")
    return Source(table, path, relation, physical, header.replaced, header.notes, path_read, unchanged)


def _parquet_types(con: duckdb.DuckDBPyConnection, path: Path) -> dict[str, str]:
    return {row[0]: row[1] for row in con.execute(f"DESCRIBE SELECT * FROM read_parquet({literal(path)})").fetchall()}


# What DuckDB says of a faulty CSV file, and what is said here: its own message quotes the line, and with it the data.
CAUSES = (
    ("unterminated quote", "a quote never closes, or text follows a closing quote"),
    ("Maximum line size", "a line is longer than 2 million bytes"),
    ("not utf-8", "it is not UTF-8 text"),
    ("Expected Number of Columns", "a row has more or fewer columns than the header"),
    ("state machine", "it is not in CSV form: lines end in different ways or in a lone carriage return, or quotes are in disorder"),
    ("No magic bytes", "it is not a Parquet file"),
    ("too small to be a Parquet", "it is not a Parquet file"),
)


def _plain_cause(error: Exception) -> str:
    said = str(error)
    line = re.search(r"CSV Error on Line: (\d+)", said)
    cause = next((plain for sign, plain in CAUSES if sign in said), None)
    if cause is None:
        cause = "it is not in CSV form" if line else said.splitlines()[0][:200]
    return f"{cause} (line {int(line[1]):,})" if line else cause


def _check_types(con: duckdb.DuckDBPyConnection, source: Source) -> None:
    """Refuse a column whose type is wrong as a whole; single values that are wrong become rejects."""
    columns = source.table.columns
    for column in columns:
        kind = source.physical[column.name]
        if kind not in (TEXT, NOTHING) and not _fits(kind, column.type):
            raise DataError(f"column `{column.name}` is declared {column.type}, the file holds {kind}", where=f"{source.path.name}, column `{column.name}`",
                            mend=f"export the column as {column.type}")
    doubtful = [c for c in columns if source.physical[c.name] == TEXT and c.type != "string"]
    counts = ", ".join(["count(*)", *(f"count({source.raw(c)}), count({source.typed(c)}), min({source.raw(c)})" for c in doubtful)])
    rows, *found = con.execute(f"SELECT {counts} FROM {source.relation}").fetchone()
    if rows == 0 and source.table.minimum_rows:
        raise DataError("the file holds no rows", where=source.path.name, mend="export it again: this table cannot be empty")
    for i, column in enumerate(doubtful):
        given, good, sample = found[3 * i : 3 * i + 3]
        if given and not good:
            shown = f" (such as {sample!r:.30})" if column.sensitivity == "aggregate" else ""
            raise DataError(f"column `{column.name}` is declared {column.type}, but no value is one{shown}",
                            where=f"{source.path.name}, column `{column.name}`", mend=FORMS[column.type])


def _refuse_kind(path: Path, name: str, original: str, kind: str, fit: tuple[str, ...]) -> None:
    if kind not in fit:
        raise DataError(f"column `{original}`, read as `{name}`, holds {kind}", where=f"{path.name}, column `{original}`", mend="export the column as text")


def _refuse_raw(con: duckdb.DuckDBPyConnection, source: Source) -> None:
    """Refuse raw pupil numbers under the name of the pseudonym. Marks need no look: their pupils must be in `pupils`."""
    if source.table.name == "marks":
        return
    for column in source.table.columns:
        if column.personal is None or column.personal.form != "upn" or column.name in source.replaced or source.physical[column.name] != TEXT:
            continue
        found = con.execute(f"SELECT count(*), min(file_row) FROM {source.relation} WHERE {upn_sql(quoted(column.name))}").fetchone()
        if found[0]:
            raise DataError(f"column `{column.name}` holds unique pupil numbers where pseudonyms are declared, first in row {found[1]:,}",
                            where=f"{source.path.name}, column `{column.name}`",
                            mend=f"name the column `{column.personal.names[0]}`: intake then replaces them by keyed pseudonyms")


def _fits(kind: str, declared: str) -> bool:
    if declared == "string":
        return kind == TEXT
    if declared == "integer":
        return kind in WHOLE or kind in REAL
    if declared == "number":
        return kind in WHOLE or kind in REAL or kind.startswith("DECIMAL")
    if declared == "boolean":
        return kind == "BOOLEAN"
    return kind in DAYS
