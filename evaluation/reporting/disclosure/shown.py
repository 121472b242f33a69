"""What notebooks show: identifiers and single pupils are refused in every report; figures leave only with enough pupils behind each point."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation.reporting.disclosure.content import FORMS, PUPIL_COLUMNS, identifiers_in
from evaluation.reporting.disclosure.matching import HeldBack, Sources
from evaluation.reporting.disclosure.report import judge_figure
from evaluation.reporting.documents.tree import Node, parse
from evaluation.reporting.text import slug

_CELL_END = re.compile(r"</(?:t[dh]|li|p|d[td]|h[1-6]|caption|figcaption|summary)>")
HASHES = "keyed hash"
PERSONS = ("unique pupil number", "pupil pseudonym", "pupil identifier")


@dataclass(frozen=True)
class ShownFinding:
    """A cell that may not stand in a report: where, what, and how to mend it."""

    where: str
    message: str
    mend: str


@dataclass(frozen=True)
class Figure:
    """A figure of a run and whether it may leave: ``reason`` says why not; ``smallest`` are the fewest pupils behind a point."""

    stage: str
    name: str
    caption: str
    alt: str
    png: Path
    smallest: int | None
    reason: str


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


def released_figures(stage: str, notebook: Mapping[str, Any], folder: Path, sources: Sources) -> list[Figure]:
    """Every figure of an executed notebook, with the reason why it may not leave, if there is one.

    A figure leaves when the numbers that it plots are those of tables that leave, none of them withheld, with enough pupils
    behind each point.

    Parameters
    ----------
    stage : str
    notebook : mapping
        As it was executed.
    folder : Path
        Of the stage's results, in which drawings are kept.
    sources : Sources
        The run's tables as they were cleared.
    """
    found = []
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            mark = output.get("metadata", {}).get("evaluation") or {}
            if mark.get("kind") != "figure":
                continue
            stem = str(mark["id"]).removeprefix(f"{slug(stage)}-").removeprefix("figure-")
            stem = f"simulated-{stem}" if mark.get("label") == "simulated" else stem
            png, smallest, reason = folder / "figures" / f"{stem}.png", None, ""
            if not png.is_file():
                reason = "its drawing is not kept beside it"
            elif mark.get("label") != "published":  # what is published is public already
                try:
                    smallest = judge_figure(mark, sources)
                except HeldBack as why:
                    reason = str(why)
            found.append(Figure(stage, stem, mark.get("caption", stem), mark.get("alt", ""), png, smallest, reason))
    return found
