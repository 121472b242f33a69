"""Holding the files of an extract against the dictionary and the log of deliveries, before anything runs."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from pathlib import Path

from .deliveries import check_deliveries
from .entries import load_table
from .extracts import find_file, open_source, unread_files, workspace


def check_files(folder: Path, root: Path, tables: Iterable[str], today: date | None = None) -> tuple[str, ...]:
    """Hold the columns and types of an extract's files against the dictionary, without looking at the rules of rows, and the
    files against the log of deliveries where there is one.

    Parameters
    ----------
    folder, root : Path
        The extract and the project.
    tables : iterable of str
        Tables to look for.
    today : date, optional
        The day that retention dates are held against; the computer's when not given.

    Returns
    -------
    tuple of str
        Data files that are none of these tables, what was read under another name and what no delivery lists, a sentence each.

    Raises
    ------
    DataError
        As :func:`~evaluation.registers.extracts.open_source` and :func:`~evaluation.registers.deliveries.check_deliveries`.
    """
    tables = tuple(tables)
    notes = list(unread_files(folder, tables))
    with workspace(root) as con:
        sources = {name: open_source(con, folder, load_table(root, name)) for name in tables}
        for source in sources.values():
            notes += [f"{source.path.name}: {note}" for note in source.notes]
        if "marks" in sources and not any(sources[name].supplied for name in ("marks", "absence_by_period")):
            find_file(folder, "marks")
        if "deliveries" in sources:
            files = {name: source.path.name for name, source in sources.items() if source.supplied}
            notes += check_deliveries(con, sources["deliveries"], Path(folder), files, today or date.today())
    return tuple(notes)
