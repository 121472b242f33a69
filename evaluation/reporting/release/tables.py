"""Cleared tables as files that say of themselves what they are, and read back: all that a release is built from."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluation.errors import ContractError
from evaluation.reporting.disclosure.earlier import RELEASE
from evaluation.reporting.disclosure.result import ClearedTable
from evaluation.reporting.text import is_missing, spreadsheet_safe

if TYPE_CHECKING:
    import pandas as pd

SUPPRESSED, UNAVAILABLE = "c", "x"
FORM = 1


@dataclass(frozen=True)
class ReleasedColumn:
    """A column of a released table."""

    name: str
    title: str
    unit: str | None
    type: str


@dataclass(frozen=True)
class ReleasedTable:
    """A table read back from a release: values as text or number, ``c`` where withheld, ``None`` where not available."""

    name: str
    title: str
    description: str
    stage: str
    columns: tuple[ReleasedColumn, ...]
    frame: pd.DataFrame


def table_csv(cleared: ClearedTable) -> bytes:
    """A cleared table as CSV under the names of the dictionary; suppressed values are ``c``, missing ones ``x``."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = list(cleared.frame.columns)
    writer.writerow(names)
    columns = []
    for name in names:
        kind = cleared.table.column(name).type
        columns.append([_text(value, hidden, kind) for value, hidden in column_cells(cleared, name)])
    writer.writerows(zip(*columns, strict=True))
    return out.getvalue().encode("utf-8")


def column_cells(cleared: ClearedTable, name: str) -> list[tuple[Any, bool]]:
    """A column's values, each with whether it is withheld; a frame gives a column in a hundredth of the time of its single cells."""
    return list(zip(cleared.frame[name].tolist(), map(bool, cleared.hidden[name].tolist()), strict=True))


def _text(value: Any, hidden: bool, kind: str) -> Any:
    if hidden:
        return SUPPRESSED
    if is_missing(value):
        return UNAVAILABLE
    if kind == "integer":
        return int(value)
    return spreadsheet_safe(value)


def describe_table(cleared: ClearedTable) -> dict[str, Any]:
    """What the release says of one of its tables."""
    table, spec = cleared.table, cleared.spec
    return {
        "name": table.name, "title": table.title, "description": table.description, "stage": table.stage or "", "file": f"tables/{table.name}.csv",
        "dimensions": dict(spec.dimensions), "counts": {c: p for c, p in spec.counts.items() if c in cleared.frame},
        "by": {c: list(d) for c, d in spec.by.items() if c in cleared.frame},
        "columns": [{"name": c.name, "title": c.title, "unit": c.unit, "type": c.type} for c in table.columns if c.name in cleared.frame],
    }


def read_release(folder: Path) -> tuple[dict[str, Any], list[ReleasedTable]]:
    """Read a release's description and tables; nothing else of the run is needed.

    Raises
    ------
    ContractError
        The folder is no release, or one of its tables was altered or is missing.
    """
    import hashlib

    import pandas as pd

    try:
        told: Mapping[str, Any] = json.loads((Path(folder) / RELEASE).read_text(encoding="utf-8"))
        tables = []
        for given in told["tables"]:
            content = (Path(folder) / given["file"]).read_bytes()
            if hashlib.sha256(content).hexdigest() != told["files"][given["file"]]:
                raise ContractError(f"{given['file']} is not the file that was cleared", where=RELEASE, mend="take the release as it was written; a change needs a new run")
            columns = tuple(ReleasedColumn(c["name"], c["title"], c["unit"], c["type"]) for c in given["columns"])
            rows = list(csv.DictReader(io.StringIO(content.decode("utf-8"))))
            frame = pd.DataFrame({c.name: [_value(row[c.name], c.type) for row in rows] for c in columns})
            tables.append(ReleasedTable(given["name"], given["title"], given["description"], given["stage"], columns, frame))
        for given in told.get("figures", ()):
            if hashlib.sha256((Path(folder) / given["file"]).read_bytes()).hexdigest() != told["files"][given["file"]]:
                raise ContractError(f"{given['file']} is not the file that was cleared", where=RELEASE, mend="take the release as it was written; a change needs a new run")
        return dict(told), tables
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ContractError(f"not a release of this project ({type(error).__name__})", where=RELEASE, mend="name the folder `release` of a run") from error


def _value(text: str, kind: str) -> Any:
    if text == UNAVAILABLE:
        return None
    if text == SUPPRESSED:
        return f"[{SUPPRESSED}]"
    if kind == "integer":
        return int(text)
    if kind == "number":
        return float(text)
    return {"True": "Yes", "False": "No"}.get(text, text) if kind == "boolean" else text
