"""Screening of open data pairs: the Department's rules for Explore Education Statistics, as this project's own port of them.

Each rule has a name and looks at one thing; a pair that breaks any is not released. The rules are those of the publication
notes kept with the project (mandatory columns, levels, identifiers, meta file, symbols, labels); the Department's own
screener may hold more.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

META_COLUMNS = ("col_name", "col_type", "label", "indicator_grouping", "indicator_unit", "indicator_dp", "filter_hint", "filter_grouping_column")
MANDATORY = ("time_period", "time_identifier", "geographic_level", "country_code", "country_name")
ENGLAND = "E92000001"
LEVELS: dict[str, tuple[str, ...]] = {
    "National": (), "Regional": ("region_code", "region_name"),
    "Local authority": ("region_code", "region_name", "old_la_code", "new_la_code", "la_name"),
}
"""Permitted levels, each with the columns that its rows must fill."""

GEOGRAPHY = ("region_code", "region_name", "old_la_code", "new_la_code", "la_name")
IDENTIFIERS = ("Academic year", "Calendar year", "Financial year", "Autumn term", "Spring term", "Summer term", "Autumn and spring term")
UNITS = ("", "%", "pp", "£", "£m", "numberstring")
SYMBOLS = ("z", "x", "c", "low")
LONGEST_LABEL, LONGEST_NAME = 80, 50


@dataclass(frozen=True)
class Screened:
    """One finding: the rule's name and what breaks it."""

    rule: str
    message: str


@dataclass
class Pair:
    """A pair of files as read: stem, header and rows of both; ``faults`` holds what reading itself found."""

    stem: str
    header: list[str] = field(default_factory=list)
    rows: list[dict[str, str]] = field(default_factory=list)
    meta_header: list[str] = field(default_factory=list)
    meta: list[dict[str, str]] = field(default_factory=list)
    faults: list[Screened] = field(default_factory=list)

    def named(self, kind: str) -> list[dict[str, str]]:
        """Meta rows of one kind."""
        return [row for row in self.meta if row.get("col_type") == kind]


def screen_pair(name: str, data: bytes | None, meta: bytes | None) -> list[Screened]:
    """Hold a pair of files against every rule.

    Parameters
    ----------
    name : str
        File name of the data, ending in ``.csv``.
    data, meta : bytes or None
        Contents; None where the file is missing.

    Returns
    -------
    list of Screened
        Empty if the pair may be published.
    """
    pair = Pair(name.removesuffix(".csv"))
    for kind, content in (("data", data), ("meta", meta)):
        if content is None:
            pair.faults.append(Screened("pair of files", f"the {kind} file is missing"))
            continue
        try:
            lines = list(csv.reader(io.StringIO(content.decode("utf-8"), newline="")))
        except UnicodeDecodeError:
            pair.faults.append(Screened("UTF-8", f"the {kind} file is not UTF-8"))
            continue
        header, rows = (lines[0], lines[1:]) if lines else ([], [])
        if any(len(row) != len(header) for row in rows):
            pair.faults.append(Screened("same number of cells", f"the {kind} file has rows longer or shorter than its header"))
        read = [dict(zip(header, row, strict=False)) for row in rows]
        if kind == "data":
            pair.header, pair.rows = header, read
        else:
            pair.meta_header, pair.meta = header, read
    if pair.meta_header and tuple(pair.meta_header) != META_COLUMNS:
        pair.faults.append(Screened("meta columns", f"the meta file's columns are {', '.join(pair.meta_header)}"))
    if pair.faults:
        return pair.faults
    return [Screened(name, message) for name, rule in RULES.items() for message in rule(pair)][:50]


def _file_name(pair: Pair) -> list[str]:
    wrong = not re.fullmatch(r"[a-z][a-z0-9_-]*", pair.stem) or re.search(r"(19|20)\d{2}|\d{6}", pair.stem)
    return [f"`{pair.stem}`: lower case, no spaces, no dates"] if wrong else []


def _has_rows(pair: Pair) -> list[str]:
    return [] if pair.rows and pair.meta else ["there are no rows"]


def _mandatory(pair: Pair) -> list[str]:
    return [f"`{name}` is missing" for name in MANDATORY if name not in pair.header]


def _country(pair: Pair) -> list[str]:
    wrong = {(row.get("country_code"), row.get("country_name")) for row in pair.rows} - {(ENGLAND, "England")}
    return [f"{code} {name} is not {ENGLAND} England" for code, name in sorted(wrong, key=str)]


def _level(pair: Pair) -> list[str]:
    return [f"`{level}` is not among {', '.join(LEVELS)}" for level in sorted({row.get("geographic_level", "") for row in pair.rows} - set(LEVELS))]


def _level_columns(pair: Pair) -> list[str]:
    found = []
    for level, needed in LEVELS.items():
        rows = [row for row in pair.rows if row.get("geographic_level") == level]
        found += [f"{level} rows need `{name}`" for name in needed if rows and any(not row.get(name) for row in rows)]
        empty = [name for name in GEOGRAPHY if name not in needed and any(row.get(name) for row in rows)]
        found += [f"{level} rows must leave `{name}` empty" for name in empty]
    return found


def _time_identifier(pair: Pair) -> list[str]:
    used = {row.get("time_identifier", "") for row in pair.rows}
    found = [f"`{value}` is not permitted (a half-term is a filter)" for value in sorted(used - set(IDENTIFIERS))]
    return found + (["more than one identifier in a file"] if len(used) > 1 else [])


def _time_period(pair: Pair) -> list[str]:
    found = []
    for value in sorted({row.get("time_period", "") for row in pair.rows}):
        follows = re.fullmatch(r"\d{6}", value) and (int(value[2:4]) + 1) % 100 == int(value[4:])
        if not follows:
            found.append(f"`{value}` is not six digits of an academic year, such as 202223")
    return found


def _col_type(pair: Pair) -> list[str]:
    return [f"`{row['col_name']}`: `{row['col_type']}`" for row in pair.meta if row.get("col_type") not in ("Filter", "Indicator")]


def _indicator_unit(pair: Pair) -> list[str]:
    return [f"`{row['col_name']}`: `{row['indicator_unit']}`" for row in pair.meta if row.get("indicator_unit") not in UNITS]


def _indicator_dp(pair: Pair) -> list[str]:
    return [f"`{row['col_name']}`: `{row['indicator_dp']}`" for row in pair.named("Indicator") if not re.fullmatch(r"\d?", row.get("indicator_dp", ""))]


def _filter_fields(pair: Pair) -> list[str]:
    fields = ("indicator_grouping", "indicator_unit", "indicator_dp")
    return [f"filter `{row['col_name']}` has `{name}`" for row in pair.named("Filter") for name in fields if row.get(name)]


def _labels(pair: Pair) -> list[str]:
    labels = [row.get("label", "") for row in pair.meta]
    found = [f"`{label[:30]}...` has {len(label)} characters" for label in labels if len(label) > LONGEST_LABEL]
    found += [f"`{row['col_name']}` has no label" for row in pair.meta if not row.get("label", "").strip()]
    return found + [f"`{label}` stands twice" for label in sorted({la for la in labels if labels.count(la) > 1})]


def _column_names(pair: Pair) -> list[str]:
    found = [f"`{name}` has {len(name)} characters" for name in pair.header if len(name) > LONGEST_NAME]
    found += [f"`{name}`: lower case letters, digits and underscores" for name in pair.header if not re.fullmatch(r"[a-z][a-z0-9_]*", name)]
    return found + [f"`{name}` stands twice" for name in sorted({n for n in pair.header if pair.header.count(n) > 1})]


def _meta_matches(pair: Pair) -> list[str]:
    own = [name for name in pair.header if name not in (*MANDATORY, *GEOGRAPHY)]
    told = [row.get("col_name", "") for row in pair.meta]
    found = [f"`{name}` is not in the meta file" for name in own if name not in told]
    found += [f"`{name}` of the meta file is not in the data" for name in told if name not in own]
    return found + [f"`{name}` stands twice in the meta file" for name in sorted({n for n in told if told.count(n) > 1})]


def _blanks(pair: Pair) -> list[str]:
    own = [name for name in pair.header if name not in GEOGRAPHY]
    found = sorted({name for row in pair.rows for name in own if not row.get(name, "").strip()})
    return [f"`{name}` has blank cells" for name in found]


def _symbols(pair: Pair) -> list[str]:
    found = set()
    for name in (row["col_name"] for row in pair.named("Indicator")):
        for row in pair.rows:
            value = row.get(name, "")
            if value.strip() and value not in SYMBOLS and not re.fullmatch(r"-?\d+(\.\d+)?", value):
                found.add((name, value))
    return [f"`{name}` holds `{value[:20]}`: numbers, or {', '.join(SYMBOLS)}" for name, value in sorted(found)]


def _total(pair: Pair) -> list[str]:
    found = []
    for name in (row["col_name"] for row in pair.named("Filter")):
        values = {row.get(name, "") for row in pair.rows}
        found += [f"`{name}` calls its aggregate `{value}`, not `Total`" for value in sorted(values) if value.strip().lower() in ("all", "total", "overall", "any") and value != "Total"]
    return found


def _intervals(pair: Pair) -> list[str]:
    found = []
    for name in pair.header:
        for end, other in (("_lower_ci", "_upper_ci"), ("_upper_ci", "_lower_ci")):
            if name.endswith(end) and name.removesuffix(end) + other not in pair.header:
                found.append(f"`{name}` has no `{name.removesuffix(end)}{other}`")
    return found + [f"`{name}`: intervals are two columns, _lower_ci and _upper_ci" for name in pair.header if re.search(r"(^|_)(conf_low|conf_high|ci)$", name) and not name.endswith(("_lower_ci", "_upper_ci"))]


def _duplicates(pair: Pair) -> list[str]:
    keys = [name for name in pair.header if name in (*MANDATORY, *GEOGRAPHY) or name in {row["col_name"] for row in pair.named("Filter")}]
    seen = [tuple(row.get(name, "") for name in keys) for row in pair.rows]
    return [f"{len(seen) - len(set(seen))} rows repeat the filters of another"] if len(set(seen)) < len(seen) else []


def _has_indicator(pair: Pair) -> list[str]:
    return [] if pair.named("Indicator") else ["there is no indicator"]


def _formulae(pair: Pair) -> list[str]:
    told = {row["col_name"] for row in pair.named("Indicator")}
    cells = {(name, value) for row in pair.rows for name, value in row.items() if name not in told}
    cells |= {(name, value) for row in pair.meta for name, value in row.items()}
    return [f"`{name}` holds a text that a spreadsheet would run" for name, value in sorted(cells) if value[:1] in ("=", "+", "@", "\t") or re.match(r"-[^\d\s]", value)]


RULES: dict[str, Callable[[Pair], Sequence[str]]] = {
    "file name": _file_name, "rows": _has_rows, "mandatory columns": _mandatory, "country": _country, "geographic level": _level,
    "columns of the level": _level_columns, "time identifier": _time_identifier, "time period": _time_period,
    "column type": _col_type, "indicator unit": _indicator_unit, "indicator decimals": _indicator_dp, "fields of filters": _filter_fields, "labels": _labels,
    "column names": _column_names, "meta matches data": _meta_matches, "blanks": _blanks, "symbols": _symbols, "aggregate is Total": _total,
    "intervals": _intervals, "duplicate rows": _duplicates, "an indicator": _has_indicator, "formulae": _formulae,
}
"""Every rule by its name; ``pair of files``, ``UTF-8``, ``same number of cells`` and ``meta columns`` are found while reading."""
