"""The files of an extract folder: found, opened with DuckDB, and held against the columns and types of the dictionary."""

from __future__ import annotations

import csv
import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evaluation.errors import DataError

from .dictionary import Column, Table, load_table

if TYPE_CHECKING:
    import duckdb

SUFFIXES = (".parquet", ".csv")
TEXT = "VARCHAR"
NOTHING = "nothing"  # stands for the type of a Parquet column without a single value
WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
REAL = ("FLOAT", "DOUBLE")
DUCKDB_TYPE = {"string": TEXT, "integer": "BIGINT", "number": "DOUBLE", "boolean": "BOOLEAN", "date": "DATE"}
CLOSE_ENOUGH = 0.6  # similarity from which a misspelt name is worth a hint


@dataclass(frozen=True)
class Source:
    """One file of an extract. Relation ``relation`` holds its columns as supplied and ``file_row``, counted from 1."""

    table: Table
    path: Path
    relation: str
    physical: dict[str, str]

    def raw(self, column: Column) -> str:
        """SQL of a value as supplied, NULL where nothing was supplied (a required text may also be empty: rule "missing")."""
        name = quoted(column.name)
        kind = self.physical[column.name]
        if kind == NOTHING:
            return f"CAST(NULL AS {DUCKDB_TYPE[column.type]})"
        if kind == TEXT:
            return name if column.required and column.type == "string" else f"nullif({name}, '')"
        return f"CASE WHEN isnan({name}) THEN NULL ELSE {name} END" if kind in REAL else name

    def typed(self, column: Column) -> str:
        """SQL of a value in the declared type, NULL where it is missing or not of that type; nothing is rounded or guessed."""
        raw, kind = self.raw(column), self.physical[column.name]
        target = DUCKDB_TYPE[column.type]
        if column.type == "string" or kind == NOTHING:
            return raw
        if kind == TEXT:
            form = {"integer": r"-?[0-9]{1,18}", "number": r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?", "boolean": r"(?i:true|false)",
                    "date": r"[0-9]{4}-[0-9]{2}-[0-9]{2}"}[column.type]
            return f"CASE WHEN regexp_full_match({raw}, '{form}') THEN TRY_CAST({raw} AS {target}) END"
        if column.type == "integer" and kind in REAL:
            return f"CASE WHEN {raw} = floor({raw}) THEN CAST({raw} AS BIGINT) END"
        if column.type == "date" and kind.startswith("TIMESTAMP"):
            return f"CASE WHEN {raw} = date_trunc('day', {raw}) THEN CAST({raw} AS DATE) END"
        return f"CAST({raw} AS {target})" if kind != target else raw

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


def find_file(folder: Path, name: str) -> Path:
    """The file of a table: ``<table>.parquet`` or ``<table>.csv``.

    Raises
    ------
    DataError
        The folder or the file is absent, empty, or there twice.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError("there is no such data folder", where=str(folder), mend="give the folder that holds the extract")
    found = [folder / f"{name}{suffix}" for suffix in SUFFIXES if (folder / f"{name}{suffix}").is_file()]
    if len(found) > 1:
        raise DataError(f"table `{name}` is there twice: {' and '.join(p.name for p in found)}", where=folder.name, mend="keep one of them")
    if not found:
        near = near_match(name, [p.stem for p in folder.iterdir() if p.is_file()])
        hint = f" (there is `{near}`: did you mean `{name}`?)" if near else ""
        raise DataError(f"the data folder lacks table `{name}`{hint}", where=f"{folder.name}/{name}.parquet or .csv",
                        mend=f"supply the file, with the columns of data_dictionary/{name}.yaml")
    if found[0].stat().st_size == 0:
        raise DataError("the file is empty", where=found[0].name, mend="export it again")
    return found[0]


def near_match(name: str, known: list[str]) -> str | None:
    """The known name nearest to a misspelt one, None if none is near."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=CLOSE_ENOUGH)
    return near[0] if near else None


def open_source(con: duckdb.DuckDBPyConnection, folder: Path, table: Table) -> Source:
    """Open the file of a table as a relation, and refuse it if its columns or types are not the dictionary's.

    A CSV file is read as text into the connection; a Parquet file stays where it is.

    Raises
    ------
    DataError
        Names the file, the column, the rule and how to mend it.
    """
    import duckdb

    path = find_file(folder, table.name)
    relation = f"read_{table.name}"
    try:
        if path.suffix == ".csv":
            header = _csv_header(path)
            _check_columns(table, path, header)
            columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in header)
            con.execute(f"CREATE TEMP TABLE {relation} AS SELECT *, row_number() OVER () AS file_row FROM read_csv({literal(path)}, "
                        f"columns = {{{columns}}}, header = true, auto_detect = false, delim = ',', quote = '\"', escape = '\"')")
            physical = dict.fromkeys(header, TEXT)
        else:
            described = con.execute(f"DESCRIBE SELECT * FROM read_parquet({literal(path)})").fetchall()
            physical = {row[0]: row[1] for row in described}
            _check_columns(table, path, list(physical))
            for column in table.columns:
                if not _fits(physical[column.name], column.type) and not con.execute(
                        f"SELECT count({quoted(column.name)}) FROM read_parquet({literal(path)})").fetchone()[0]:
                    physical[column.name] = NOTHING
            con.execute(f"CREATE TEMP VIEW {relation} AS SELECT * EXCLUDE (file_row_number), file_row_number + 1 AS file_row "
                        f"FROM read_parquet({literal(path)}, file_row_number = true)")
    except duckdb.Error as error:
        said = str(error).splitlines()[0]
        raise DataError(f"the file cannot be read: {said:.200}", where=path.name,
                        mend="export it again as UTF-8 CSV with a header, or as Parquet") from error
    source = Source(table, path, relation, physical)
    _check_types(con, source)
    return source


def check_files(folder: Path, root: Path, tables: Iterable[str]) -> None:
    """Hold the columns and types of an extract's files against the dictionary, without looking at its rows' rules.

    Raises
    ------
    DataError
        As :func:`open_source`.
    """
    import duckdb

    with duckdb.connect() as con:
        for name in tables:
            open_source(con, folder, load_table(root, name))


def _csv_header(path: Path) -> list[str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            header = next(csv.reader(stream), [])
    except UnicodeDecodeError as error:
        raise DataError("the file is not UTF-8 text", where=path.name, mend="save it as UTF-8") from error
    if not any(header):
        raise DataError("the file has no header", where=f"{path.name}, row 1", mend="export it again with column names")
    return header


def _check_columns(table: Table, path: Path, names: list[str]) -> None:
    """Every declared column must be there, once, and no other."""
    declared = [column.name for column in table.columns]
    missing = [name for name in declared if name not in names]
    extra = [name for name in names if name not in declared]
    doubled = sorted({name for name in names if names.count(name) > 1})
    where = f"{path.name}, header"
    if doubled:
        raise DataError(f"column `{doubled[0]}` is there twice", where=where, mend="keep one of them")
    hints = []
    for name in extra:
        near = near_match(name, missing)
        if near:
            hints.append(f"`{name}`: did you mean `{near}`?")
    if missing:
        said = f"lacks {'column' if len(missing) == 1 else 'columns'} {', '.join(f'`{m}`' for m in missing)}"
        raise DataError(f"table `{table.name}` {said}{'; ' if hints else ''}{' '.join(hints)}", where=where,
                        mend="rename or supply the column" if hints else f"supply the columns of data_dictionary/{table.name}.yaml")
    if extra:
        raise DataError(f"table `{table.name}` has {', '.join(f'`{e}`' for e in extra)}, which the data dictionary does not know",
                        where=where, mend="leave the column out of the extract: nothing is taken in that is not declared")


def _check_types(con: duckdb.DuckDBPyConnection, source: Source) -> None:
    """Refuse a column whose type is wrong as a whole; single values that are wrong become rejects."""
    rows = con.execute(f"SELECT count(*) FROM {source.relation}").fetchone()[0]
    if rows == 0 and source.table.minimum_rows:
        raise DataError("the file holds no rows", where=source.path.name, mend="export it again: this table cannot be empty")
    for column in source.table.columns:
        kind = source.physical[column.name]
        if kind not in (TEXT, NOTHING) and not _fits(kind, column.type):
            raise DataError(f"column `{column.name}` is declared {column.type}, the file holds {kind}", where=f"{source.path.name}, column `{column.name}`",
                            mend=f"export the column as {column.type}")
        if kind == TEXT and column.type != "string" and rows:
            given, good, sample = con.execute(
                f"SELECT count({source.raw(column)}), count({source.typed(column)}), min({source.raw(column)}) FROM {source.relation}").fetchone()
            if given and not good:
                shown = f" (such as {sample!r:.30})" if column.sensitivity == "aggregate" else ""
                raise DataError(f"column `{column.name}` is declared {column.type}, but no value is one{shown}",
                                where=f"{source.path.name}, column `{column.name}`", mend=FORMS[column.type])


FORMS = {
    "string": "give text", "integer": "give whole numbers", "number": "give numbers with a decimal point",
    "boolean": "give true or false", "date": "give dates as YYYY-MM-DD",
}


def _fits(kind: str, declared: str) -> bool:
    if declared == "string":
        return kind == TEXT
    if declared == "integer":
        return kind in WHOLE or kind in REAL
    if declared == "number":
        return kind in WHOLE or kind in REAL or kind.startswith("DECIMAL")
    if declared == "boolean":
        return kind == "BOOLEAN"
    return kind == "DATE" or kind.startswith("TIMESTAMP")
