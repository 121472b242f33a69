"""What notebooks show: identifiers and single pupils are refused in every report; figures leave only with enough pupils behind each point."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation.reporting.disclosure.content import FORMS, PUPIL_COLUMNS, identifiers_in
from evaluation.reporting.disclosure.primary import check_points
from evaluation.reporting.disclosure.profiles import Profile
from evaluation.reporting.documents.tree import Node, parse
from evaluation.reporting.text import slug

COUNT_COLUMNS = ("pupils", "n", "n_treated", "n_comparison", "treated", "referred", "enrolments", "pupils_treated", "pupils_comparison", "pupils_mentored", "n_mentored")
"""Columns of plotted numbers that say how many pupils stand behind a point."""

PLACES = ("event_time", "half_term", "stack", "position", "year_group", "weekday", "schools_treated", "schools_comparison", "schools", "areas", "rank")
"""Whole numbers that say where a point stands or count no pupils."""

_CELL_END = re.compile(r"</(?:t[dh]|li|p|d[td]|h[1-6]|caption|figcaption|summary)>")
HASHES = "keyed hash"
PERSONS = ("unique pupil number", "pupil pseudonym", "pupil identifier")
ROWS_LOOKED_AT = 20_000


@dataclass(frozen=True)
class ShownFinding:
    """A cell that may not stand in a report: where, what, and how to mend it."""

    where: str
    message: str
    mend: str


@dataclass(frozen=True)
class Figure:
    """A figure of a run and whether it may leave: ``reason`` says why not. ``counts`` are the pupils behind its points."""

    stage: str
    name: str
    caption: str
    alt: str
    png: Path
    smallest: int | None
    reason: str
    counts: tuple[int, ...] = ()


def shown_findings(stage: str, notebook: Mapping[str, Any]) -> list[ShownFinding]:
    """Cells whose output holds an identifier or a table with a column that names single pupils.

    Digests of files and protocols are hexadecimal too, so keyed hashes alone are looked for in tables that leave, not here.
    """
    findings = []
    for position, cell in enumerate(notebook["cells"]):
        where = f"{stage}/{cell.get('id') or f'cell-{position + 1}'}"
        if cell.get("cell_type") == "markdown" and (kinds := [k for k in identifiers_in(_text(cell.get("source", ""))) if k in PERSONS]):
            findings.append(ShownFinding(where, f"the prose holds what looks like a {kinds[0]}", "take it out: prose speaks of groups"))
        for output in cell.get("outputs", ()):
            html = output.get("data", {}).get("text/html")
            text = _text(output.get("text", "")) or _text(output.get("data", {}).get("text/plain", ""))
            node = parse(_CELL_END.sub(r"\g<0> | ", _text(html))) if html else None  # or one cell's end and the next one's start would read as one number
            seen = f"{node.text} {' '.join(i.attributes.get('alt', '') for i in node.all('img'))}" if node is not None else text
            kinds = [kind for kind in identifiers_in(seen) if kind != HASHES]
            if kinds:
                said = next(words for kind, _, words in FORMS if kind == kinds[0])
                findings.append(ShownFinding(where, f"a cell shows what looks like a {kinds[0]} ({said})", "show counts or measures of groups, never a value that stands for one person"))
            named = _pupil_columns(node) if node is not None else []
            if named:
                findings.append(ShownFinding(where, f"a cell shows a table of single pupils (column `{named[0]}`)", "show a table of groups, with the number of pupils in each"))
    return findings


def _pupil_columns(node: Node) -> list[str]:
    heads = [cell.text for cell in node.all("th") if cell.attributes.get("scope") == "col"]
    return [head for head in heads if PUPIL_COLUMNS.match(slug(head).replace("-", "_"))]


def _text(source: Any) -> str:
    return source if isinstance(source, str) else "".join(source)


def released_figures(stage: str, notebook: Mapping[str, Any], folder: Path, profile: Profile) -> list[Figure]:
    """Every figure of an executed notebook, with the reason why it may not leave, if there is one.

    A figure leaves when the numbers plotted, kept beside it, have a column of pupils, enough in every row, and something
    other than counts to plot.
    """
    found = []
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            mark = output.get("metadata", {}).get("evaluation") or {}
            if mark.get("kind") != "figure":
                continue
            node = parse(_text(output["data"]["text/html"]))
            image, caption = node.find("img"), next((n for n in node.walk() if n.attributes.get("id", "").endswith("-caption")), None)
            stem = str(mark["id"]).removeprefix(f"{slug(stage)}-").removeprefix("figure-")
            stem = f"simulated-{stem}" if mark.get("label") == "simulated" else stem
            png, numbers = folder / "figures" / f"{stem}.png", folder / "figures" / f"{stem}.csv"
            counts, reason = _judge(numbers, profile) if png.is_file() else ((), "its drawing is not kept beside it")
            if mark.get("label") == "published" and png.is_file():
                counts, reason = (), ""  # what it draws is public already
            alt = image.attributes.get("alt", "") if image is not None else ""
            kinds = identifiers_in(alt)
            found.append(Figure(stage, stem, caption.text if caption is not None else stem, alt, png, min(counts, default=None), f"its words hold a {kinds[0]}" if kinds else reason, counts))
    return found


def _judge(numbers: Path, profile: Profile) -> tuple[tuple[int, ...], str]:
    """Pupils behind the points, and why the figure may not leave ("" if it may)."""
    try:
        with numbers.open(encoding="utf-8", newline="") as handle:
            rows = [row for row, _ in zip(csv.DictReader(handle), range(ROWS_LOOKED_AT), strict=False)]
    except OSError:
        return (), "the numbers that it plots are not kept beside it"
    if not rows:
        return (), "it plots nothing"
    counted = [c for c in rows[0] if c in COUNT_COLUMNS]
    if not counted:
        return (), "nothing says how many pupils stand behind its points"
    smallest = [min((n for c in counted if (n := _number(row[c])) is not None), default=None) for row in rows]
    few = check_points([float("nan") if n is None else n for n in smallest], profile)
    if few:
        return (), f"{len(few)} of its points stand for fewer than {profile.point_minimum} pupils"
    counts = tuple(sorted({int(n) for row in rows for c in counted if (n := _number(row[c])) is not None}))
    others = [c for c in rows[0] if c not in (*COUNT_COLUMNS, *PLACES) and any(_number(row[c]) is not None for row in rows)]
    whole = [c for c in others if all(re.fullmatch(r"-?\d*", row[c] or "") for row in rows)]
    if whole or not others:
        return counts, f"it draws counts (column `{(whole or counted)[0]}`), which may be suppressed in a table"
    return counts, ""


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text not in (None, "") else None
    except ValueError:
        return None
