"""Editions built from cleared tables alone: the headline's sentences that may leave, and every released table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation.reporting import markup
from evaluation.reporting.headline import ITEM_TITLES
from evaluation.reporting.headline_block import headline_html
from evaluation.reporting.release.tables import ReleasedTable, read_release
from evaluation.reporting.render import ReportMeta, StageNotebook, render_editions
from evaluation.reporting.text import escape, slug

@dataclass(frozen=True)
class View:
    """What the summary edition shows of a table: rows by the values of columns, and columns; those that are not there are left out."""

    table: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...] = ()


VIEWS = (
    View("estimates", ("about", "design", "scale", "estimate", "conf_low", "conf_high", "n_treated", "n_comparison"), (("headline", ("Yes",)),)),
    View("area_estimates", ("outcome", "pool", "scale", "estimate", "conf_low", "conf_high", "p_two_sided", "n_placebos"), (("registered", ("Yes",)),)),
    View("trajectories", ("event_time", "role", "arm", "mean_absence_rate", "pupils"), (("design", ("within_area",)),)),
    View("delivery_reach", ("area_name", "schools", "referred", "consented", "started", "completed", "median_days_to_first_meeting"), (("level", ("area", "programme")),)),
    View("costs_by_perspective", ("perspective", "amount", "per_pupil_eligible", "per_pupil_referred", "per_pupil_started", "price_base"), (("breakdown", ("total",)),)),
    View("appraisal", ("scenario", "measure", "value", "conf_low", "conf_high", "unit"), (("headline", ("Yes",)),)),
)
"""The tables of the summary edition, in this order, where they were released."""

MOST_ROWS, MOST_COLUMNS = 200, 9
HEADLINE = "headline"


def release_editions(folder: Path) -> dict[str, str]:
    """Build both editions from a release folder; nothing else is read.

    Parameters
    ----------
    folder : Path
        Holds ``release.json`` and the cleared tables.

    Returns
    -------
    dict of str to str
        ``summary.html`` and ``technical.html``.

    Raises
    ------
    ContractError
        The folder is no release, or was altered.
    GateError
        An edition breaks a rule of reports.
    """
    told, tables = read_release(folder)
    label = told["label"]
    rules = {} if label == "published" else {"profile": told["profile"]["name"], "threshold": told["profile"]["threshold"], "rounding_base": told["profile"]["rounding_base"]}
    meta = ReportMeta(**{**told["meta"], "amendments": tuple(told["meta"]["amendments"])}, run_id=told["content"], label=label, **rules)
    headline = next((t for t in tables if t.name == HEADLINE), None)
    others = [t for t in tables if t.name != HEADLINE]
    report = _Notebook("report", label)
    report.prose("# Summary of results\n\nThis edition is built from tables that passed disclosure control, and from nothing else.")
    report.prose("## The answer in brief\n\nSentences that rest on a number which is withheld are left out.")
    if headline is not None and len(headline.frame):
        report.shown(HEADLINE, "headline", _headline(headline, label))
    report.prose("## The main tables\n\nA sign in square brackets stands for a number that is not shown: [c] is withheld so that no pupil can be recognised, [x] is not available.")
    for view in VIEWS:
        report.view(view, others)
    drawings = {given["file"]: given for given in told.get("figures", ())}
    for file, given in drawings.items():
        if given["stage"] == "report":
            report.figure(folder / file, given)
    report.prose(f"## How pupils are protected\n\n{_protection(told)}")
    notebooks = [report.notebook()]
    for stage in dict.fromkeys(t.stage for t in others):
        part = _Notebook(stage, label)
        part.prose(f"# Tables of stage {stage.replace('_', ' ')}")
        for table in (t for t in others if t.stage == stage):
            part.prose(f"## {table.title}\n\n{table.description}")
            part.table(table)
        for file, given in drawings.items():
            if given["stage"] == stage:
                part.figure(folder / file, given)
        if stage != "report":
            notebooks.append(part.notebook())
    return render_editions(notebooks, meta)


def _protection(told: dict[str, Any]) -> str:
    profile = told["profile"]
    if told["label"] == "published":
        return "Every number is made from published statistics, whose publisher protected the pupils behind them. Nothing was withheld or rounded here."
    said = [f"Counts of fewer than {profile['threshold']} pupils are withheld, and with them every number from which such a count could be worked out, in the same table or in another."]
    if profile["rounding_base"] > 1:
        said.append(f"Counts that are shown are rounded to the nearest {profile['rounding_base']}.")
    said.append(f"The rules are those of the profile {profile['name']}. That no withheld count can be worked out was proved by linear programming over all tables together.")
    return " ".join(said)


def _headline(table: ReleasedTable, label: str) -> str:
    import pandas as pd

    columns = ["position", "key", "text", "value", "conf_low", "conf_high", "unit", "source_table", "source_key"]
    frame = pd.DataFrame({c: table.frame[c] if c in table.frame else None for c in columns})
    for column in ("value", "conf_low", "conf_high"):
        frame[column] = pd.to_numeric(frame[column], errors="coerce")
    return headline_html(frame.sort_values("position", kind="stable"), ITEM_TITLES, "report-headline", label)


class _Notebook:
    """A notebook made by hand: prose and results as the show functions store them."""

    def __init__(self, stage: str, label: str):
        self.stage, self.label = stage, label
        self.cells: list[dict[str, Any]] = []
        self.used: set[str] = set()

    def prose(self, text: str) -> None:
        self.cells.append({"cell_type": "markdown", "id": f"prose-{len(self.cells)}", "metadata": {}, "source": text})

    def shown(self, identifier: str, kind: str, html: str) -> None:
        mark = {"kind": kind, "id": identifier, "stage": self.stage, "label": self.label}
        output = {"output_type": "display_data", "data": {"text/html": html, "text/plain": ""}, "metadata": {"evaluation": mark}}
        self.cells.append({"cell_type": "code", "id": f"shown-{len(self.cells)}", "metadata": {}, "source": "", "execution_count": 1, "outputs": [output]})

    def view(self, view: View, tables: Sequence[ReleasedTable]) -> None:
        """Some rows and columns of a table, where it was released and they are there."""
        table = next((t for t in tables if t.name == view.table), None)
        if table is None:
            return
        frame = table.frame
        for column, values in view.rows:
            if column in frame:
                frame = frame[frame[column].isin(values)]
        columns = [c for name in view.columns for c in table.columns if c.name == name and not frame[name].isna().all()]
        if len(frame) and columns:
            self._show(table, frame.reset_index(drop=True), columns, f"{table.title}: main rows", f"{slug(self.stage)}-view-{slug(table.name)}")

    def table(self, table: ReleasedTable) -> None:
        """A whole table, in parts where it has more columns than fit a page."""
        columns = [c for c in table.columns if not table.frame[c.name].isna().all()]
        heads = _heads(columns)
        rest = [c for c in columns if c not in heads]
        room = max(3, MOST_COLUMNS - len(heads))
        parts = [rest[i : i + room] for i in range(0, len(rest), room)] or [[]]
        for count, part in enumerate(parts, start=1):
            title = table.title + (f", part {count} of {len(parts)}" if len(parts) > 1 else "")
            self._show(table, table.frame, [*heads, *part], title, f"{slug(self.stage)}-table-{slug(table.name)}-{count}")

    def _show(self, table: ReleasedTable, frame: Any, columns: Sequence[Any], title: str, identifier: str) -> None:
        units = {c.name: c.unit for c in columns if c.unit and c.unit.split(" ")[0].lower() not in c.title.lower()}
        self.shown(identifier, "table", markup.table_html(
            frame[[c.name for c in columns]], caption=title, identifier=identifier, label=self.label, units=units, labels={c.name: c.title for c in columns},
            max_rows=MOST_ROWS, whole=f"tables/{table.name}.csv of the release"))

    def figure(self, png: Path, given: dict[str, Any]) -> None:
        """A drawing with its words; the numbers behind it are in the tables."""
        import base64

        from PIL import Image

        with Image.open(png) as image:
            width, height = (round(side * markup.CSS_PIXELS_PER_INCH / (image.info.get("dpi", (144, 144))[0] or 144)) for side in image.size)
        identifier = f"{slug(self.stage)}-figure-{slug(png.stem)}"
        data = base64.b64encode(png.read_bytes()).decode("ascii")
        self.shown(identifier, "figure", (
            f'<figure class="shown-figure" id="{identifier}"><figcaption>{markup.caption_html(given["caption"], self.label, identifier)}</figcaption>'
            f'<img alt="{escape(given["alt"])}" width="{width}" height="{height}" src="data:image/png;base64,{data}"></figure>'))

    def notebook(self) -> StageNotebook:
        return StageNotebook(self.stage, {"cells": self.cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


def _heads(columns: Sequence[Any]) -> list[Any]:
    """The columns that name a row: texts at its start."""
    heads = []
    for column in columns:
        if column.type not in ("string", "integer") or len(heads) == 3 or (heads and column.type == "integer"):
            break
        heads.append(column)
    return heads or list(columns[:1])
