"""Cutting a large file of marks into ranges of pupils or of days, so that the sums of each range fit into memory.

Sums of marks are kept by pupil and stretch of days. A range of pupils, or of whole stretches, holds all marks of each of its
sums, so ranges can be added up one after another. That costs nothing where the file is in order of pupils or of days, because
a Parquet file says which pupils and days each of its blocks of rows holds, and the other blocks are not read.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb

ROWS_AT_ONCE = 100_000_000  # marks of a range; their sums then take about half a gigabyte
MOST_READ = 1.25            # marks read for all ranges together, as a multiple of those in the files, above which cutting does not pay


@dataclass(frozen=True)
class Block:
    """A block of rows of a Parquet file: how many, and the least and the greatest value of a column."""

    rows: int
    least: int | str | date
    greatest: int | str | date


def cut_marks(con: duckdb.DuckDBPyConnection, paths: list[Path], pupil: tuple[str, str], day: tuple[str, str] | None = None,
              rows_at_once: int = ROWS_AT_ONCE) -> tuple[str, ...]:
    """Conditions that cut marks into ranges, for :func:`~evaluation.registers.panel.tally_marks`.

    Parameters
    ----------
    con : DuckDBPyConnection
        Holds ``days`` (:func:`~evaluation.registers.grid.load_grid`).
    paths : list of Path
        Parquet files of marks.
    pupil, day : (str, str)
        The files' own name of ``pupil_id`` and of ``date``, and the type (``"VARCHAR"``, ``"INTEGER"``, ``"DATE"``) in which they hold
        it. No ``day``: marks are cut by pupil only.

    Returns
    -------
    tuple of str
        SQL over ``m.pupil_id`` or ``m.date``: every mark, one without a pupil or a date included, meets exactly one. Empty where
        there are no more marks than ``rows_at_once``, or the files are in order neither of pupils nor of days.
    """
    best: tuple[float, tuple[str, ...]] = (MOST_READ, ())
    for column, given in (("pupil_id", pupil), ("date", day)):
        blocks = _blocks(con, paths, *given) if given else []
        total = sum(block.rows for block in blocks)
        if total <= rows_at_once:
            continue
        starts = _first_days(con) if column == "date" else None
        bounds = _bounds(blocks, rows_at_once, starts)
        read = _rows_read(blocks, bounds) / total
        if bounds and read < best[0]:
            best = (read, _conditions(f"m.{column}", bounds))
    return best[1]


def _blocks(con: duckdb.DuckDBPyConnection, paths: list[Path], name: str, kind: str) -> list[Block]:
    """The blocks of some files by their least value; none where a block does not say what it holds."""
    listed = ", ".join(_literal(str(path)) for path in paths)
    rows = con.execute(f"SELECT row_group_num_rows, CAST(coalesce(stats_min_value, stats_min) AS {kind}), CAST(coalesce(stats_max_value, stats_max) AS {kind}) "
                       f"FROM parquet_metadata([{listed}]) WHERE path_in_schema = ? AND row_group_num_rows > 0", [name]).fetchall()
    if any(least is None or greatest is None for _, least, greatest in rows):
        return []
    return sorted((Block(*row) for row in rows), key=lambda block: block.least)


def _first_days(con: duckdb.DuckDBPyConnection) -> list[date]:
    """The first day of each stretch, between which days may be cut."""
    return [row[0] for row in con.execute("SELECT min(date) FROM days GROUP BY segment ORDER BY 1").fetchall()]


def _bounds(blocks: list[Block], rows_at_once: int, starts: list[date] | None) -> list[int | str | date]:
    """First values of all ranges but the first, so that a range has few more marks than ``rows_at_once``."""
    bounds, rows = [], 0
    for block in blocks:
        if rows + block.rows > rows_at_once and rows:
            place = block.least if starts is None else starts[max(bisect_right(starts, block.least) - 1, 0)]
            if place > (bounds[-1] if bounds else blocks[0].least):
                bounds.append(place)
                rows = 0
        rows += block.rows
    return bounds


def _rows_read(blocks: list[Block], bounds: list[int | str | date]) -> int:
    """Rows of the blocks that must be read for each range, added up over the ranges."""
    return sum(block.rows * (1 + bisect_right(bounds, block.greatest) - bisect_right(bounds, block.least)) for block in blocks)


def _conditions(column: str, bounds: list[int | str | date]) -> tuple[str, ...]:
    places = [_literal(bound) for bound in bounds]
    between = [f"{column} >= {low} AND {column} < {high}" for low, high in zip(places[:-1], places[1:], strict=True)]
    return (f"{column} < {places[0]}", *between, f"{column} >= {places[-1]}", f"{column} IS NULL")


def _literal(value: int | str | date) -> str:
    if isinstance(value, int):
        return str(value)
    return ("DATE '" if isinstance(value, date) else "'") + str(value).replace("'", "''") + "'"
