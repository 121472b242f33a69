"""What the output checker gets: the log of everything held back, the request by file, and the counts behind each cell. Never released."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from evaluation.reporting.disclosure.result import Clearance, ClearedTable, LogEntry
from evaluation.reporting.text import is_missing, spreadsheet_safe

LOG_COLUMNS = ("table", "row", "column", "action", "reason", "unweighted_count")
REQUEST_COLUMNS = ("file", "description", "purpose", "smallest_unweighted_count", "cells", "cells_suppressed", "suppression", "checker", "decision", "date")
PURPOSES = {
    "tables": "Results of the evaluation for publication", "workbook": "The same tables for readers of spreadsheets", "open_data": "The same tables as open data",
    "editions": "Reports built from the cleared tables alone", "figures": "A drawing of cleared numbers",
}


def log_csv(clearance: Clearance, more: Sequence[LogEntry] = ()) -> bytes:
    """The disclosure log: each table refused, each cell and sentence held back, with the reason and, for the checker, the count."""
    entries = [*clearance.refused, *clearance.log, *more]
    return _csv(LOG_COLUMNS, [[e.table, e.row, e.column, e.action, e.reason, "" if e.count is None else e.count] for e in entries])


def request_csv(clearance: Clearance, files: Mapping[str, ClearedTable | None], figures: Mapping[str, Mapping[str, Any]] | None = None) -> bytes:
    """The output request: one line a file, with what is behind it; checker, decision and date are for the checker to fill.

    Parameters
    ----------
    clearance : Clearance
    files : mapping
        By path below the release, the table it holds (None where it holds several, or a figure).
    figures : mapping, optional
        By path, ``caption`` and ``smallest`` (fewest pupils behind a point) of each figure.
    """
    profile = clearance.profile
    smallest_of_all = min((t.smallest for t in clearance.cleared if t.smallest is not None), default=None)
    rule = f"profile {profile.name}: counts below {profile.threshold}, secondary cells proved by linear programming" + (
        f", rounded to {profile.rounding_base}" if profile.rounding_base > 1 else "")
    rows = []
    for path, cleared in files.items():
        kind = path.split("/", maxsplit=1)[0] if "/" in path else "workbook"
        if figures and path in figures:
            rows.append([path, figures[path]["caption"], PURPOSES["figures"], figures[path]["smallest"], "", 0, f"at least {profile.point_minimum} pupils behind each point", "", "", ""])
        elif cleared is None:
            size, hidden = sum(t.frame.size for t in clearance.cleared), sum(int(t.hidden.to_numpy().sum()) for t in clearance.cleared)
            rows.append([path, "All cleared tables", PURPOSES.get(kind, ""), smallest_of_all, size, hidden, rule, "", "", ""])
        else:
            rows.append([path, cleared.table.description, PURPOSES.get(kind, ""), "no count" if cleared.smallest is None else cleared.smallest, cleared.frame.size,
                         int(cleared.hidden.to_numpy().sum()), rule if cleared.spec.counts else cleared.behind, "", "", ""])
    return _csv(REQUEST_COLUMNS, rows)


def counts_behind(clearance: Clearance, cleared: ClearedTable) -> bytes:
    """The unweighted counts behind each row of a table, suppressed ones too."""
    spec = cleared.spec
    columns = [*spec.dimensions, *spec.counts]
    rows = []
    for row in cleared.frame.index:
        counts = {c: clearance.where.get((cleared.table.name, row, c)) for c in spec.counts}
        rows.append([*(cleared.frame.at[row, d] for d in spec.dimensions), *("" if at is None else clearance.system.values[at] for at in counts.values())])
    return _csv(columns, rows)


def manifest_log(clearance: Clearance, more: Sequence[LogEntry] = ()) -> list[dict[str, Any]]:
    """The log as the manifest keeps it: without counts."""
    return [{"table": e.table, "row": e.row, "column": e.column, "action": e.action, "reason": e.reason} for e in (*clearance.refused, *clearance.log, *more)]


def _csv(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(head)
    writer.writerows([["" if is_missing(value) else spreadsheet_safe(value) for value in row] for row in rows])
    return out.getvalue().encode("utf-8")
