"""What a notebook shows, held against the tables of the run that were cleared: rows found again by value, cells hidden as there."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from evaluation.registers.entries import Table
from evaluation.reporting.disclosure.result import Clearance, ClearedTable
from evaluation.reporting.disclosure.stated import state_number
from evaluation.reporting.disclosure.wording import people_counts
from evaluation.reporting.markup import plain_value
from evaluation.reporting.numbers import numbers_without_rows
from evaluation.reporting.text import WITHHELD
from evaluation.reporting.words import value_words

if TYPE_CHECKING:
    import pandas as pd

Record = Mapping[str, Any]
"""A shown table as :func:`evaluation.reporting.markup.table_record` makes it."""

PEOPLE_COLUMN = re.compile(r"pupil|people|person|child|student|learner|famil|parent|referr|enrol|^n$|^n_|_n$|treated|comparison", re.I)
"""Names of columns whose whole numbers count people."""

MEASURES = ("counts", "shares", "based_on", "reveals")


@dataclass(frozen=True)
class Source:
    """A cleared table beside its raw values. ``place`` leads from a raw row to its cleared row, None where
    the row stays; ``rounds`` says whether counts were rounded."""

    cleared: ClearedTable
    raw: dict[str, list[Any]]
    place: list[int | None]
    rounds: bool
    indexes: dict[tuple[str, ...], dict[tuple, list[int]]] = field(default_factory=dict)

    @property
    def public(self) -> bool:
        """Whether nothing in it is about the pupils of the study."""
        return self.cleared.spec.about in ("no pupils", "published statistics")

    @property
    def judged(self) -> bool:
        """Whether its texts need no look: they are about no pupil of the study, or the gate judged each sentence."""
        return self.public or self.cleared.spec.about == "sentences"

    @cached_property
    def numbers(self) -> set[str]:
        """Columns of counts and measures."""
        return {name for part in MEASURES for name in getattr(self.cleared.spec, part)}

    @cached_property
    def values(self) -> dict[Any, list[int]]:
        """Raw rows by each broken number that stands in them."""
        found: dict[Any, list[int]] = {}
        for column in self.raw.values():
            for row, value in enumerate(column):
                if isinstance(value, float) and not value.is_integer():
                    found.setdefault(value, []).append(row)
        return found

    def with_value(self, value: float) -> list[int]:
        """Raw rows in which a broken number stands."""
        return self.values.get(value, [])

    def holds_all(self, column: Mapping[str, Any]) -> bool:
        """Whether every text of a shown column is one of the source's column of that name."""
        own = set(map(_key, self.raw[column["name"]]))
        return all(_key(value) in own for value in column["values"])

    def is_text(self, name: str) -> bool:
        """Whether a column holds no numbers."""
        return self.cleared.table.column(name).type not in ("integer", "number")

    def rows(self, names: Sequence[str], values: Sequence[Any]) -> list[int]:
        """Raw rows that agree with the values in all the columns named."""
        wanted = tuple(names)
        if wanted not in self.indexes:
            found: dict[tuple, list[int]] = {}
            for row, key in enumerate(zip(*(map(_key, self.raw[name]) for name in wanted), strict=True)):
                found.setdefault(key, []).append(row)
            self.indexes[wanted] = found
        return self.indexes[wanted].get(tuple(map(_key, values)), [])

    def hidden(self, row: int, name: str) -> bool:
        """Whether a value of a raw row is held back."""
        at = self.place[row]
        return at is None or name not in self.cleared.frame.columns or bool(self.cleared.hidden.at[at, name])

    def holds_back(self, row: int) -> bool:
        """Whether a count or measure of a raw row is held back."""
        return any(self.hidden(row, name) for name in self.numbers if self.raw[name][row] is not None)

    def behind(self, row: int, name: str) -> list[int]:
        """Pupils behind a value of a raw row: for a share the whole, for a measure every count that it rests on."""
        spec = self.cleared.spec
        names = [name] if name in spec.counts else [spec.shares[name][1]] if name in spec.shares else list(spec.based_on.get(name, ()))
        return [int(self.raw[c][row]) for c in names if self.raw[c][row] is not None]

    def shown(self, row: int, name: str, digits: int | None) -> Any:
        """A value as it may be shown: as it was cleared, but rounded only once where fewer digits are shown than were cleared."""
        raw, cleared = self.raw[name][row], plain_value(self.cleared.frame.at[self.place[row], name])
        if self.rounds and name in {**self.cleared.spec.counts, **self.cleared.spec.shares}:
            return cleared
        return rounded_once(raw, cleared, digits)

def rounded_once(raw: Any, cleared: Any, digits: int | None) -> Any:
    """The cleared value, or the raw one where the digits shown are fewer than those cleared (it says less, and is right to the last digit).

    What is smaller than the last place shown may be written with more digits (``cell_decimals``), so that it stays as cleared.
    """
    if isinstance(raw, float) and isinstance(cleared, float) and digits is not None and math.isfinite(cleared) and abs(raw) >= 10.0**-digits:
        _, _, decimals = repr(cleared).partition(".")
        if "e" in decimals or (decimals != "0" and len(decimals) > digits):
            return raw
    return cleared


def _key(value: Any) -> Any:
    """Two values agree when they are the same number or read the same."""
    return value_words(value).replace("_", " ").casefold() if isinstance(value, str) else value


@dataclass(frozen=True)
class Sources:
    """Everything that shown results are held against."""

    clearance: Clearance
    tables: Mapping[str, Source]
    refused: Mapping[str, str]

    def wrong(self, text: str, told: Collection[Any] = ()) -> str:
        """Why a text may not be shown: it states a number of people that is small or suppressed. ``told`` are numbers of none of the study's pupils."""
        stated = [c for c in people_counts(text) if c.value not in told]
        if any(0 < c.value < self.clearance.profile.threshold or (not c.bound and c.value in self.clearance.hidden_counts) for c in stated):
            return "it states a number of people that is withheld or too small"
        return ""


def sources_of(clearance: Clearance, tables: Mapping[str, tuple[Table, pd.DataFrame]]) -> Sources:
    """Set the cleared tables beside the raw ones they were made from.

    Parameters
    ----------
    clearance : Clearance
    tables : mapping
        By name, dictionary entry and frame: what was cleared.
    """
    found = {}
    for cleared in clearance.cleared:
        table, frame = tables[cleared.table.name]
        raw = {str(name): [plain_value(v) for v in frame[name].tolist()] for name in frame.columns}
        found[table.name] = Source(cleared, raw, _places(cleared, frame), clearance.profile.rounding_base > 1)
    return Sources(clearance, found, {entry.table: entry.reason for entry in clearance.refused})


def _places(cleared: ClearedTable, frame: pd.DataFrame) -> list[int | None]:
    """Where each raw row stands among the cleared ones."""
    if cleared.spec.about == "sentences":  # some rows are left out: found by what they say
        keys = [c for c in cleared.frame.columns if c in cleared.table.primary_key or c in ("key", *cleared.spec.words)]
        left = {tuple(plain_value(v) for v in values): at for at, values in zip(cleared.frame.index, cleared.frame[keys].itertuples(index=False, name=None), strict=True)}
        return [left.get(tuple(plain_value(v) for v in values)) for values in frame[keys].itertuples(index=False, name=None)]
    leaves = [True] * len(frame)
    for column, values in cleared.spec.only.items():
        leaves = [kept and bool(inside) for kept, inside in zip(leaves, frame[column].isin(values).tolist(), strict=True)]
    places, at = [], 0
    for kept in leaves:
        places.append(at if kept else None)
        at += kept
    return places


class HeldBack(Exception):
    """A shown result may not leave; the message says why in plain words."""


@dataclass(frozen=True)
class Matched:
    """A shown table found again. ``rows`` holds, for each shown row, the raw rows by source; ``owner`` the source of each shared column (none
    where rows were found by their values)."""

    rows: tuple[Mapping[str, list[int]], ...]
    owner: Mapping[int, str]


def match_record(record: Record, named: Sequence[str], sources: Sources) -> Matched:
    """Find each row of a shown table among the rows of the tables that it is said to be made from.

    Raises
    ------
    HeldBack
        It names no table, one that is refused or none of the run, or a row is none of the table's.
    """
    if not named:
        raise HeldBack("the run keeps no table of its numbers that was cleared, so none of them can be checked")
    for name in named:
        if name in sources.refused:
            raise HeldBack(f"the table {name} that it is made from stays behind: {lower_first(sources.refused[name]).rstrip('.')}")
        if name not in sources.tables:
            raise HeldBack(f"the table {name} that it is said to be made from is none of this run")
    columns = record["columns"]
    rows: list[dict[str, list[int]]] = [{} for _ in range(_size(record))]
    owner: dict[int, str] = {}
    for name in named:
        source = sources.tables[name]
        shared = [p for p, c in enumerate(columns) if c["name"] in source.raw and (source.holds_all(c) if source.is_text(c["name"]) else p not in owner)]
        found = _by_column(columns, shared, source, len(rows)) if _identifies(columns, shared, source) else None
        if found is None:
            shared, found = [], _by_value(record, source)
        for row, given in zip(rows, found, strict=True):
            row[name] = given
        owner |= {p: name for p in shared if p not in owner}
    for place, row in enumerate(rows):
        if not any(row.values()) and any(is_number(c["values"][place]) for c in columns):
            raise HeldBack(f"its rows are not rows of the table {' or '.join(named)}, which it is said to be made from")
    return Matched(tuple(rows), owner)


def _size(record: Record) -> int:
    return len(record["columns"][0]["values"]) if record["columns"] else 0


def _identifies(columns: Sequence[Mapping[str, Any]], shared: Sequence[int], source: Source) -> bool:
    """Whether columns say which rows these are: counts alone do not, since two groups may be of one size."""
    counts = {c.name for c in source.cleared.table.columns if c.type == "integer"} & source.numbers
    return bool(shared) and (len(source.place) == 1 or any(columns[p]["name"] not in counts for p in shared))


def _by_column(columns: Sequence[Mapping[str, Any]], shared: Sequence[int], source: Source, size: int) -> list[list[int]] | None:
    """Rows that agree in every shared column, those that leave where one does; None where a row has none."""
    names = [columns[p]["name"] for p in shared]
    found = [source.rows(names, [columns[p]["values"][row] for p in shared]) for row in range(size)]
    return [[row for row in rows if source.place[row] is not None] or rows for rows in found] if all(found) else None


def _by_value(record: Record, source: Source) -> list[list[int]]:
    """Rows in which the broken numbers of a shown row stand, to their last digit: for tables turned, joined or put into words."""
    found = []
    for row in range(_size(record)):
        numbers = [c["values"][row] for c in record["columns"] if is_number(c["values"][row])]
        found.append(sorted({at for value in numbers if not float(value).is_integer() for at in source.with_value(value)}))
    return found


@dataclass(frozen=True)
class ClearedRecord:
    """A shown table as it may stand in a report, with how much of it was held back; ``known`` are the values of what is shown, not rounded."""

    record: dict[str, Any]
    known: tuple[Any, ...]
    hidden: int
    left_out: tuple[str, ...]
    rows_left_out: int


def clear_record(record: Record, named: Sequence[str], sources: Sources) -> ClearedRecord:
    """Hide in a shown table what is hidden in the cleared tables that it shows.

    Parameters
    ----------
    record : Record
    named : sequence of str
        Tables that it is made from.
    sources : Sources

    Raises
    ------
    HeldBack
        It may not be shown at all.
    """
    matched = match_record(record, named, sources)
    keep = [r for r, found in enumerate(matched.rows) if not any(found.values()) or any(sources.tables[n].place[i] is not None for n, rows in found.items() for i in rows)]
    columns, hidden, left_out, known = [], 0, [], []
    for place, column in enumerate(record["columns"]):
        cells = _column(column, matched.owner.get(place), [matched.rows[r] for r in keep], keep, sources)
        if cells is None:
            left_out.append(column["head"])
            continue
        hidden += sum(1 for cell in cells if cell == WITHHELD)
        columns.append({**column, "values": cells})
        known += [column["values"][row] for row, cell in zip(keep, cells, strict=True) if cell != WITHHELD]
    gone = len(matched.rows) - len(keep)
    _refuse_empty(record, columns, gone, texts=all(sources.tables[name].cleared.spec.about == "sentences" for name in named))
    notes = list(record["notes"])
    if left_out:
        notes.append(f"Left out here, because no table that may leave holds them: {'; '.join(left_out)}.")
    if gone:
        notes.append(f"Left out here: {gone} {'row' if gone == 1 else 'rows'} that may not leave the run, so that no pupil can be recognised.")
    return ClearedRecord({**record, "columns": columns, "rows": record["rows"] - gone, "left_out": left_out, "notes": notes}, tuple(known), hidden, tuple(left_out), gone)


def _refuse_empty(record: Record, columns: Sequence[Mapping[str, Any]], gone: int, *, texts: bool) -> None:
    """A table of which nothing but names is left is a notice; one of sentences needs no numbers."""
    had = [c for c in record["columns"] if any(is_number(v) for v in c["values"])]
    if texts:
        had = []
    left = [c for c in columns if any(is_number(v) for v in c["values"])]
    if not columns or (had and not left) or (gone and gone == len(record["columns"][0]["values"])):
        raise HeldBack("all of its numbers are withheld")


def _column(column: Mapping[str, Any], owner: str | None, rows: Sequence[Mapping[str, list[int]]], keep: Sequence[int], sources: Sources) -> list[Any] | None:
    """The cells of a column as they may be shown; None where the whole column stays behind."""
    values, digits = [column["values"][r] for r in keep], column["digits"]
    if owner is None:
        return _derived(column, values, rows, sources)
    source, name = sources.tables[owner], column["name"]
    if name not in source.cleared.frame.columns:
        return None
    cells = []
    for value, found in zip(values, rows, strict=True):
        if value is None:
            cells.append(None)
        elif any(source.hidden(i, name) for i in found[owner]) or (isinstance(value, str) and not source.judged and bool(sources.wrong(value))):
            cells.append(WITHHELD)
        else:
            cells.append(value if isinstance(value, (str, bool)) else source.shown(found[owner][0], name, digits))
    return cells


def _derived(column: Mapping[str, Any], values: Sequence[Any], rows: Sequence[Mapping[str, list[int]]], sources: Sources) -> list[Any] | None:
    """Cells of a column that no source has: shown where the source's rows hold the same value, or as a measure where they hide nothing."""
    numbers = [v for v in values if is_number(v)]
    whole = bool(numbers) and all(float(v).is_integer() for v in numbers)
    profile = sources.clearance.profile
    cells: list[Any] = []
    for value, found in zip(values, rows, strict=True):
        pairs = [(sources.tables[name], row) for name, given in found.items() for row in given]
        public = all(source.public for source, _ in pairs)
        if value is None:
            cells.append(None)
        elif not is_number(value):
            cells.append(WITHHELD if _text_is_wrong(value, pairs, sources, public) else value)
        elif (at := find_value(value, pairs)) is not None:
            source, row, name = at
            cells.append(WITHHELD if source.hidden(row, name) else source.shown(row, name, column["digits"]))
        elif public and not (whole and PEOPLE_COLUMN.search(column["name"])):
            cells.append(rounded_once(value, stated(value), column["digits"]))
        elif whole or profile.rounding_base > 1:
            return None
        elif any(source.holds_back(row) for source, row in pairs):
            cells.append(WITHHELD)
        else:
            cells.append(rounded_once(value, stated(value), column["digits"]))
    return cells


def lower_first(text: str) -> str:
    """Words of a sentence as they stand inside another one."""
    return text[:1].lower() + text[1:]


def stated(value: Any) -> Any:
    """A measure as a release states it."""
    import numpy as np

    return float(state_number(np.array([value]))[0]) if isinstance(value, float) else value


def find_value(value: Any, pairs: Sequence[tuple[Source, int]]) -> tuple[Source, int, str] | None:
    """Where the matched rows hold a number, a place that is not hidden first."""
    places = [(source, row, name) for source, row in pairs for name, column in source.raw.items() if is_number(column[row]) and column[row] == value]
    return next((at for at in places if not at[0].hidden(at[1], at[2])), places[0] if places else None)


def _text_is_wrong(value: Any, pairs: Sequence[tuple[Source, int]], sources: Sources, public: bool) -> bool:
    """Whether a text that no source has states what it may not: a number that the matched rows do not show, or people."""
    if not isinstance(value, str) or public or not any(c.isdigit() for c in value):
        return False
    return bool(sources.wrong(value)) or bool(numbers_without_rows(value, {"rows": known_values(pairs)}))


def known_values(pairs: Iterable[tuple[Source, int]]) -> pd.DataFrame:
    """Every value of raw rows that is not held back, as a frame in which numbers of texts are looked for."""
    import pandas as pd

    return pd.DataFrame({"value": pd.Series([source.raw[name][row] for source, row in pairs for name in source.raw if not source.hidden(row, name)], dtype=object)})


def is_number(value: Any) -> bool:
    """Whether a cell holds a number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)
