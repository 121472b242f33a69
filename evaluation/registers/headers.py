"""The header of an extract file: its columns matched to the dictionary's by name, synonym or personal name."""

from __future__ import annotations

import csv
import difflib
import io
from dataclasses import dataclass
from pathlib import Path

from evaluation.errors import DataError

from .entries import Column, Table, plain

CLOSE_ENOUGH = 0.6  # similarity from which a misspelt name is worth a hint
LONGEST_LINE = 1 << 20  # bytes in which the header of a CSV file must end
LONGEST_ROW = 2_000_000  # bytes of a line of a CSV file; DuckDB's own limit


@dataclass(frozen=True)
class Header:
    """How a file's columns are read: ``names`` gives the file's name of each declared column that it has, ``replaced``
    how raw identifiers are replaced (``upn``, ``pseudonym``, ``month``), ``coded`` which columns keep the value names of
    their source, ``notes`` what was read under another name."""

    names: dict[str, str]
    replaced: dict[str, str]
    coded: frozenset[str]
    notes: tuple[str, ...]


def near_match(name: str, known: list[str]) -> str | None:
    """The known name nearest to a misspelt one, None if none is near."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=CLOSE_ENOUGH)
    return near[0] if near else None


def csv_header(path: Path) -> list[str]:
    """Column names of a CSV file, of which no more than a megabyte is read.

    Raises
    ------
    DataError
        It is not UTF-8, has no header, or its first line does not end.
    """
    with path.open("rb") as stream:
        start = stream.read(LONGEST_LINE)
    if start[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in start[:LONGEST_LINE // 1024]:
        raise DataError("the file is not UTF-8 text but UTF-16 or binary", where=path.name, mend="save it as UTF-8")
    whole = len(start) < LONGEST_LINE
    ends = [start.rfind(b"\n"), start.rfind(b"\r")]
    if not whole and max(ends) < 0:
        raise DataError(f"the first line is longer than {LONGEST_LINE:,} bytes", where=f"{path.name}, row 1",
                        mend="export it again with a header and one line a row")
    try:
        text = (start if whole else start[: max(ends) + 1]).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError("the file is not UTF-8 text", where=path.name, mend="save it as UTF-8") from error
    try:
        header = next(csv.reader(io.StringIO(text, newline=""), strict=True), [])
    except csv.Error as error:
        raise DataError("a quote in the header never closes" if "end of data" in str(error) else "the header is not in CSV form",
                        where=f"{path.name}, row 1", mend="export it again with column names") from error
    if not any(header):
        raise DataError("the file has no header", where=f"{path.name}, row 1", mend="export it again with column names")
    if len(header) == 1 and any(mark in header[0] for mark in ";\t|"):
        raise DataError("the columns are not separated by commas", where=f"{path.name}, row 1", mend="export it again with commas between columns")
    return header


def count_rows(path: Path) -> int | None:
    """Rows below the header of a CSV file, None where they are not its lines: it has a quote or a blank line. A megabyte is read at a time.

    Raises
    ------
    DataError
        A line is longer than ``LONGEST_ROW``. DuckDB refuses such a row too, but passes over it in silence where it is the
        last and longer than what it reads at once.
    """
    lines, length, plain_lines, before, end = 0, 0, True, b"", b""  # lines that have ended, bytes of the one that has not, the last byte
    with path.open("rb") as stream:
        while block := stream.read(LONGEST_LINE):
            end = end or (b"\n" if b"\n" in block else b"\r")
            first, last = block.find(end), block.rfind(end)
            if length + (len(block) if first < 0 else first) > LONGEST_ROW:
                raise DataError(f"the file cannot be read: a line is longer than {LONGEST_ROW // 1_000_000} million bytes (line {lines + 1:,})", where=path.name,
                                mend="export it again as UTF-8 CSV with a header, or as Parquet")
            lines += block.count(end)
            length = length + len(block) if first < 0 else len(block) - last - 1
            joined = before + block
            plain_lines = plain_lines and not any(sign in joined for sign in (b'"', end + end, end + b"\r"))
            before = joined[-1:]
    return lines - (length == 0) if plain_lines else None


def match_header(table: Table, path: Path, names: list[str]) -> Header:
    """Match a file's columns to the declared ones: each must be there once unless it is optional, and no other.

    Case, spaces, underscores and hyphens do not count, and the dictionary's synonyms do; what was read under another
    name is noted.

    Raises
    ------
    DataError
        A column is there twice, missing or not declared; the nearest name is given.
    """
    where = f"{path.name}, header"
    known = _known(table)
    found: dict[str, str] = {}
    extra = []
    for name in names:
        column = known.get(plain(name), (None, ""))[0]
        if column is None:
            extra.append(name)
        elif column.name in found:
            other = "" if found[column.name] == name else f", as `{found[column.name]}` and `{name}`"
            raise DataError(f"column `{column.name}` is there twice{other}", where=where, mend="keep one of them")
        else:
            found[column.name] = name
    _refuse_doubled(extra, where)
    missing = [c.name for c in table.columns if c.name not in found and not c.optional]
    _refuse_missing(table, where, missing, extra)
    as_synonym = {name: known[plain(given)][1] for name, given in found.items()}
    replaced = {name: table.column(name).personal.form or table.column(name).personal.becomes for name, how in as_synonym.items() if how == "personal"}
    coded = frozenset(name for name, given in found.items() if table.column(name).value_names
                      and given.casefold() in {synonym.casefold() for synonym in table.column(name).synonyms})
    notes = [_note(name, given, replaced.get(name), table.column(name) if name in coded else None) for name, given in found.items() if given != name]
    return Header(found, replaced, coded, tuple(notes))


def _known(table: Table) -> dict[str, tuple[Column, str]]:
    """Every plain name with its column and how it names it."""
    known = {}
    for column in table.columns:
        for names, how in ((column.personal.names if column.personal else (), "personal"), (column.synonyms, "synonym"), ((column.name,), "name")):
            known |= {plain(name): (column, how) for name in names}
    return known


def _note(name: str, given: str, replaced: str | None, coded: Column | None) -> str:
    said = f"column `{given}` read as `{name}`"
    if replaced:
        said += ", cut to year and month" if replaced == "month" else ", replaced by a keyed pseudonym"
    if coded:
        said += ": " + ", ".join(f"{short} as {long}" for short, long in coded.value_names)
    return said


def _refuse_doubled(extra: list[str], where: str) -> None:
    doubled = sorted({name for name in extra if extra.count(name) > 1})
    if doubled:
        raise DataError(f"column `{doubled[0]:.60}` is there twice", where=where, mend="keep one of them")


def _refuse_missing(table: Table, where: str, missing: list[str], extra: list[str]) -> None:
    hopes = missing or [c.name for c in table.columns if c.optional]
    hints = [f"`{name:.60}`: did you mean `{near}`?" for name in extra if (near := near_match(name, hopes))]
    if missing:
        said = f"lacks {'column' if len(missing) == 1 else 'columns'} {', '.join(f'`{m}`' for m in missing)}"
        raise DataError(f"table `{table.name}` {said}{'; ' if hints else ''}{' '.join(hints)}", where=where,
                        mend="rename or supply the column" if hints else f"supply the columns of data_dictionary/{table.name}.yaml")
    if extra:
        shown = ", ".join(f"`{e:.60}`" for e in extra[:5])
        raise DataError(f"table `{table.name}` has {shown}, which the data dictionary does not know{'; ' if hints else ''}{' '.join(hints)}",
                        where=where, mend="leave the column out of the extract: nothing is taken in that is not declared")
