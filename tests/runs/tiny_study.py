"""A study of the tests' own: two stages and a report on a handful of readings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import nbformat
from pydantic import Field

from evaluation.protocol.base import DisclosureChoice, ProtocolHeader, Section
from evaluation.runs.files import sha256_of, write_json
from evaluation.runs.stages import Kind, Stage


class SimulationSection(Section):
    rows: int = Field(ge=0, le=1000, description="Rows to draw")


class FirstSection(Section):
    factor: float = Field(ge=0, le=10, description="What readings are multiplied by")
    label_text: str = Field(description="A label that changes no table")


class SecondSection(Section):
    threshold: int = Field(ge=0, le=100, description="Readings above it count")


class ReportSection(Section):
    note: str = Field(description="A note on the page")
    disclosure: DisclosureChoice | None = Field(description="Rules before anything leaves the run; none: nothing does")


class TinyProtocol(ProtocolHeader):
    kind: Literal["tiny"]
    simulation: SimulationSection
    first: FirstSection
    second: SecondSection
    report: ReportSection


def simulate(section, root: Path, folder: Path, seed: int) -> None:
    import numpy as np
    import pandas as pd

    draws = np.random.default_rng(seed).integers(0, 20, section.rows)
    pd.DataFrame({"reading_id": range(section.rows), "reading": draws}).to_parquet(folder / "readings.parquet", index=False)
    write_json(folder / "simulation.json", {"label": "simulated", "files": {"readings.parquet": sha256_of(folder / "readings.parquet")}})


KINDS = {
    "tiny": Kind(
        name="tiny", model="tiny_study:TinyProtocol", default_params="params/tiny.yaml", simulator="tiny_study:simulate",
        module="tiny_study",
        stages=(
            Stage("first", "first", raw=("readings",), writes=("numbers",)),
            Stage("second", "second", reads=("numbers",), writes=("totals",), effects=True),
            Stage("report", "report", reads=("totals",), writes=("headline",), whole_protocol=True),
        ),
    )
}

PARAMS = """\
study: tiny
kind: tiny
title: A tiny study
protocol_version: "1.0"
registered_on: 2026-01-05
report_kind: interim
amendments: []
execution:
  seed: 7
  cell_timeout_seconds: 60
simulation:
  rows: 12
first:
  factor: 2.0
  label_text: plain
second:
  threshold: 5
report:
  note: nothing
  disclosure: null
"""

TABLES = {
    "readings": "reading_id: integer key, reading: integer",
    "numbers": "reading_id: integer key, number: number",
    "totals": "total_id: string key, total: number, share: number",
    "headline": "position: integer key, text: string",
}

CELLS = {
    "first": {
        "first-parameters": "factor: float = 2.0\nlabel_text: str = \"plain\"",
        "first-open": "from evaluation.runs import open_stage\nstage = open_stage(\"first\", globals())",
        "first-work": "import pandas as pd\nreadings = pd.read_parquet(stage.extracts / \"readings.parquet\")\n"
                      "numbers = readings.assign(number=readings.reading * stage.parameters.factor).drop(columns=\"reading\")",
        "first-write": "stage.write(\"numbers\", numbers.sample(frac=1, random_state=stage.seed))",
    },
    "second": {
        "second-parameters": "threshold: int = 5",
        "second-open": "from evaluation.runs import open_stage\nstage = open_stage(\"second\", globals())",
        "second-work": "numbers = stage.read(\"numbers\")\nabove = numbers[numbers.number > stage.parameters.threshold]",
        "second-write": "import pandas as pd\n"
                        "stage.write(\"totals\", pd.DataFrame({\"total_id\": [\"all\"], \"total\": [float(len(above))], \"share\": [None]}))",
    },
    "report": {
        "report-parameters": "note: str = \"nothing\"\ndisclosure: dict | None = None",
        "report-open": "from evaluation.runs import open_stage\nstage = open_stage(\"report\", globals())",
        "report-write": "import pandas as pd\ntotals = stage.read(\"totals\")\n"
                        "stage.write(\"headline\", pd.DataFrame({\"position\": [1], \"text\": [f\"{len(totals)} totals\"]}))",
        "report-show": "from evaluation.reporting.show import show_table\nshow_table(totals, caption=\"All totals of the tiny study\", source=\"totals\")",
    },
}


def write_notebook(path: Path, cells: dict[str, str], title: str) -> None:
    """Write a notebook of code cells, each under a heading of its own."""
    made = [nbformat.v4.new_markdown_cell(f"# {title}", id=f"{path.stem}-title")]
    for name, code in cells.items():
        if not name.endswith("parameters"):
            made.append(nbformat.v4.new_markdown_cell(f"## About {name}", id=f"about-{name}"))
        cell = nbformat.v4.new_code_cell(code, id=name)
        cell.metadata["tags"] = ["parameters"] if name.endswith("parameters") else []
        made.append(cell)
    notebook = nbformat.v4.new_notebook(cells=made, metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}})
    path.write_text(nbformat.writes(notebook), encoding="utf-8")


def make_project(root: Path) -> Path:
    """A project with this study in it."""
    for folder in ("notebooks", "params", "data_dictionary"):
        (root / folder).mkdir(parents=True)
    (root / "params" / "tiny.yaml").write_text(PARAMS, encoding="utf-8")
    for name, columns in TABLES.items():
        fields, key = [], []
        for column in columns.split(", "):
            field, _, kind = column.partition(": ")
            if kind.endswith(" key"):
                key.append(field)
            fields.append({"name": field, "type": kind.removesuffix(" key"), "constraints": {"required": kind.endswith(" key")}})
        entry = {"name": name, "title": name.capitalize(), "description": "Of the tests.", "x-sensitivity": "aggregate",
                 "primaryKey": key, "fields": fields, "x-disclosure": {"about": "no pupils", "why": "readings of a gauge"}}
        (root / "data_dictionary" / f"{name}.yaml").write_text(json.dumps(entry), encoding="utf-8")
    for stage, cells in CELLS.items():
        write_notebook(root / "notebooks" / f"{stage}.ipynb", cells, stage.capitalize())
    return root


if __name__ == "__main__":
    from evaluation.cli import main

    main(kinds=KINDS)
