"""A walk through the pages of a cleared report: every number in its tables and texts, held against what the release shows."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from evaluation.reporting.disclosure import people_counts
from evaluation.reporting.documents.tree import Node, parse

WHOLE = re.compile(r"\d{1,3}(?:,\d{3})*|\d+")
PEOPLE = re.compile(r"\bpupils?\b|\breferred\b|\bstarted\b|\bcompleted\b|\bchildren\b", re.I)
MEASURE = re.compile(r"%|schools|share|per pupil|rate|mean|median|points|score|£|days|weeks|SD|minutes|half-terms", re.I)


def walk(page: str) -> tuple[list[Node], str]:
    """The tables of a page, and its words outside tables, code and the statement of the rules."""
    tree = parse(page)
    tables = tree.all("table")
    return tables, " ".join(_words(tree.find("main")))


def _words(node: Node) -> Iterator[str]:
    for child in node.children:
        if isinstance(child, str):
            yield child
        elif child.tag not in ("table", "pre", "code", "style") and "about" not in child.classes:
            yield from _words(child)
            if child.tag in ("p", "li", "dd", "dt", "h1", "h2", "h3", "h4", "figcaption", "summary"):
                yield " . "


def cells(table: Node) -> list[dict[str, str]]:
    """The body of a table, each cell under its header; headers that repeat are told apart."""
    heads = [cell.text for cell in table.all("th") if cell.attributes.get("scope") == "col"]
    rows = [[cell.text for cell in row.children if isinstance(cell, Node)] for body in table.all("tbody") for row in body.all("tr")]
    return [dict(zip([f"{place} {head}" for place, head in enumerate(heads)], row, strict=True)) for row in rows]


def small_counts(page: str, threshold: int) -> list[str]:
    """Whole numbers below the threshold (other than 0) that a page shows in a column of people."""
    found = []
    for table in walk(page)[0]:
        for row in cells(table):
            for head, text in row.items():
                name = head.partition(" ")[2]
                if PEOPLE.search(name) and not MEASURE.search(name) and WHOLE.fullmatch(text) and 0 < int(text.replace(",", "")) < threshold:
                    found.append(f"{table.attributes['id']}, {name}: {text}")
    return found


def counts_not_released(folder: Path, dictionary: Path, stages: list[str]) -> tuple[int, list[str]]:
    """Counts that the technical edition shows otherwise than the release does, and how many were looked at.

    Each shown table is found in the executed notebooks, which say from which tables it is made; each whole number in a column
    of counts must be one that a released table of its sources shows in that column.
    """
    released = {path.stem: list(csv.DictReader(path.open(encoding="utf-8"))) for path in (folder / "release" / "tables").glob("*.csv")}
    counts = {name: set((yaml.safe_load((dictionary / f"{name}.yaml").read_text(encoding="utf-8")).get("x-disclosure") or {}).get("counts", {})) for name in released}
    marks = {}
    for stage in stages:
        notebook = json.loads((folder / ("working" if stage == "report" else stage) / "executed.ipynb").read_text(encoding="utf-8"))
        for cell in notebook["cells"]:
            for output in cell.get("outputs", ()):
                mark = output.get("metadata", {}).get("evaluation") or {}
                if mark.get("kind") in ("table", "figure"):
                    marks[mark["id"] if mark["kind"] == "table" else f"{mark['id']}-numbers"] = mark
    looked, wrong = 0, []
    for table in walk((folder / "report" / "technical.html").read_text(encoding="utf-8"))[0]:
        mark = marks.get(table.attributes.get("id", ""))
        if mark is None or not mark["source"]:
            continue
        heads = {column["head"]: column["name"] for column in mark["table"]["columns"]}
        rows = cells(table)
        for source in mark["source"]:
            for row in rows:
                for key, text in row.items():
                    name = heads[key.partition(" ")[2]]
                    if name not in counts[source] or not WHOLE.fullmatch(text):
                        continue
                    looked += 1
                    if not any(r[name] == text.replace(",", "") for r in released[source]):
                        wrong.append(f"{table.attributes['id']}, {name}: {text} stands in no row of {source}")
    return looked, wrong


def people_in_words(page: str) -> list[int]:
    """Every number of people that a page states outside its tables, as no limit."""
    return [count.value for count in people_counts(walk(page)[1]) if not count.bound]
