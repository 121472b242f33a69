"""Cleared tables as open data: pairs of files in the form of Explore Education Statistics."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluation.reporting.disclosure.result import ClearedTable
from evaluation.reporting.release.screening import ENGLAND, GEOGRAPHY, LONGEST_LABEL, LONGEST_NAME, MANDATORY, META_COLUMNS, Screened, screen_pair
from evaluation.reporting.release.tables import column_cells
from evaluation.reporting.text import is_missing, spreadsheet_safe

if TYPE_CHECKING:
    import pandas as pd

SUPPRESSED, UNAVAILABLE, NEARLY_ZERO = "c", "x", "low"
SIMULATED_PREFIX = "simulated_"
AREA_COLUMNS = ("area_code", "new_la_code")
AREA_NAMES = ("area_name", "la_name", "level", "geographic_level")
YEAR = re.compile(r"(\d{4})/(\d{2})")


@dataclass(frozen=True)
class OpenData:
    """A pair of files and what screening found (nothing, if it may be published)."""

    name: str
    data: bytes
    meta: bytes
    findings: tuple[Screened, ...]

    @property
    def meta_name(self) -> str:
        """Name of the meta file."""
        return f"{self.name.removesuffix('.csv')}.meta.csv"


def open_data_pair(cleared: ClearedTable, *, label: str, year: str) -> OpenData:
    """Write one cleared table as open data and screen it.

    Parameters
    ----------
    cleared : ClearedTable
    label : str
        Standing of the data: simulated data never bear an official name.
    year : str
        Academic year that the study runs to, for tables without one of their own ("2024/25").

    Returns
    -------
    OpenData
    """
    simulated = label == "simulated"
    name = (SIMULATED_PREFIX if simulated else "") + cleared.table.name
    geography = next((c for c in AREA_COLUMNS if c in cleared.frame), None)
    years = next((c for c in ("academic_year", "time_period") if c in cleared.frame), None)
    left_out = {geography, years, *(AREA_NAMES if geography else ()), "country_code", "country_name", "time_identifier", *GEOGRAPHY}
    columns = [c for c in cleared.table.columns if c.name in cleared.frame and c.name not in left_out]
    filters = [c for c in columns if _is_filter(cleared, c)]
    indicators = [c for c in columns if c not in filters and c.type in ("integer", "number")]
    names = {c.name: _indicator_name(c.name, cleared) for c in indicators} | {c.name: c.name[:LONGEST_NAME] for c in filters}
    head = [*MANDATORY, *(GEOGRAPHY if geography else ()), *(names[c.name] for c in filters), *(names[c.name] for c in indicators)]
    places = [_place(str(value)) for value in cleared.frame[geography].tolist()] if geography else [_place("all")] * len(cleared.frame)
    periods = [_period(value) for value in cleared.frame[years].tolist()] if years else [_period(year)] * len(cleared.frame)
    written = {"time_period": periods, "time_identifier": ["Academic year"] * len(places), "country_code": [ENGLAND] * len(places), "country_name": ["England"] * len(places)}
    written |= {column: [place.get(column, "") for place in places] for column in ("geographic_level", *GEOGRAPHY)}
    written |= {names[c.name]: [_filter_value(cleared, c.name, value) for value in cleared.frame[c.name].tolist()] for c in filters}
    written |= {names[c.name]: [_number(c, value, hidden) for value, hidden in column_cells(cleared, c.name)] for c in indicators}
    rows = [list(row) for row in zip(*(written[column] for column in head), strict=True)]
    labels = _labels([*filters, *indicators], simulated)
    meta = [[names[c.name], "Filter", labels[c.name], "", "", "", "", ""] for c in filters]
    meta += [[names[c.name], "Indicator", labels[c.name], "", _unit(c), str(_decimals(c)), "", ""] for c in indicators]
    data, described = _csv(head, rows), _csv(list(META_COLUMNS), sorted(meta, key=lambda m: m[1:2]))
    return OpenData(f"{name}.csv", data, described, (*_uncoded_areas(cleared, filters, geography), *screen_pair(f"{name}.csv", data, described)))


def _uncoded_areas(cleared: ClearedTable, filters: list[Any], geography: str | None) -> list[Screened]:
    """Rows of single areas that have a name and no code would be written as national."""
    named = [c.name for c in filters if c.name in AREA_NAMES[:2]] if geography is None else []
    return [Screened("geographic level", f"`{name}` names areas without their codes, so that their rows would be national")
            for name in named if set(_filter_value(cleared, name, value) for value in cleared.frame[name].tolist()) - {"Total"}]


def _is_filter(cleared: ClearedTable, column: Any) -> bool:
    """Dimensions and parts of the key are filters; other texts are for readers of the tables and are left out."""
    return column.name in cleared.spec.dimensions or column.name in cleared.table.primary_key or (column.type == "string" and column.enum is not None and column.name not in cleared.spec.words)


def _indicator_name(name: str, cleared: ClearedTable) -> str:
    ends = {"conf_low": "_lower_ci", "conf_high": "_upper_ci"}
    for old, new in ends.items():
        if name == old:
            return ("estimate" if "estimate" in cleared.frame else "value") + new
        if name.endswith(f"_{old}"):
            return name.removesuffix(f"_{old}") + new
    return name[:LONGEST_NAME]


def _filter_value(cleared: ClearedTable, column: str, value: Any) -> str:
    total = cleared.spec.dimensions.get(column)
    if is_missing(value):
        return "Not applicable"
    if (total is not None and str(value) == str(total)) or str(value).strip().lower() in ("all", "total", "any"):
        return "Total"
    if isinstance(value, bool) or type(value).__name__ == "bool_":
        return "Yes" if value else "No"
    return str(spreadsheet_safe(str(value).replace("_", " ")))


def _number(column: Any, value: Any, hidden: bool) -> str:
    if hidden:
        return SUPPRESSED
    if is_missing(value):
        return UNAVAILABLE
    text = f"{float(value) * _scale(column):.{_decimals(column)}f}"
    if float(text) == 0:
        return NEARLY_ZERO if float(value) != 0 else text.lstrip("-")
    return text


def _scale(column: Any) -> float:
    return 100.0 if (column.unit or "").startswith("share") else 1.0


def _unit(column: Any) -> str:
    said = column.unit or ""
    if said.startswith(("share", "%")):
        return "%"
    if said.startswith("£"):
        return "£"
    return "pp" if said.startswith(("percentage point", "pp")) else ""


def _decimals(column: Any) -> int:
    return 0 if column.type == "integer" else 2 if (column.unit or "").startswith("£") else 1 if _unit(column) == "%" else 3


def _labels(columns: list[Any], simulated: bool) -> dict[str, str]:
    """A label for each column, none twice, within the length that is allowed."""
    titles = {c.name: c.open_data_label or c.title for c in columns}
    end = " (simulated)" if simulated else ""
    said = {}
    for name, title in titles.items():
        twin = f", {name.replace('_', ' ')}" if sum(t.lower() == title.lower() for t in titles.values()) > 1 else ""
        said[name] = title[: LONGEST_LABEL - len(twin) - len(end)].rstrip() + twin + end
    return said


def _period(year: Any) -> str:
    match = YEAR.search(str(year))
    return f"{match[1]}{match[2]}" if match else str(year)


def _place(code: str) -> dict[str, str]:
    """Level and names of a place by its code; a code that is no authority's stays as it is, for the screening to refuse."""
    if code in ("all", "nan", "None"):
        return {"geographic_level": "National"}
    found = authorities().get(code)
    return {"geographic_level": "Local authority", **(found or {"new_la_code": code})}


@lru_cache(maxsize=1)
def authorities() -> dict[str, dict[str, str]]:
    """Local authorities of England by their nine-character code, from the Department's published attendance and absence statistics."""
    with (Path(__file__).parent / "authorities.csv").open(encoding="utf-8", newline="") as handle:
        return {row["new_la_code"]: row for row in csv.DictReader(handle)}


def _csv(head: list[str], rows: list[list[str]]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return out.getvalue().encode("utf-8")
