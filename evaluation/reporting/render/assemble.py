"""The technical and the summary edition from the executed notebooks of a run.

The notebooks are read as plain mappings and rendered through one template of this project: the templates that
come with notebook converters drop authors' alternative text and call other servers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from evaluation.errors import ContractError, GateError
from evaluation.reporting.markup import TABLE_PREFIX
from evaluation.reporting.render.lint import Finding, lint
from evaluation.reporting.render.model import WORKING_TEXT, ReportMeta, StageNotebook
from evaluation.reporting.render.prose import DEEPEST_IN_CONTENTS, Heading, prose_html
from evaluation.reporting.render.record import record_parts
from evaluation.reporting.text import escape

REPORT_STAGE = "report"
SHOWN_KINDS = frozenset({"figure", "table", "text", "headline"})
TECHNICAL = "technical"
"""Tag of the cells of the report's notebook that only the technical edition shows, behind all stages."""

STANDING = '<span class="standing"></span>'
"""Where the headline block says whether the report is a draft, which only rendering knows."""

PARAMETERS, INJECTED = "parameters", "injected-parameters"
"""Tags of the cell of default values, and of the one that holds the values of a run and takes its place."""

MOST_FINDINGS = 12
"""Findings that one message lists."""

_NUMBERED = re.compile(r'(<figcaption>|<table id="([^"]*)"><caption>)(<span class="item-number"[^>]*>)</span>')
_TABLE_LINK = re.compile(rf'<a href="#{TABLE_PREFIX}([^"<>]+)">\1</a>')
_UNNUMBERED_ENDINGS = ("-numbers", "-rows")


@dataclass(frozen=True)
class _Cell:
    """One cell as the template needs it."""

    where: str
    kind: str
    html: str
    code: str
    code_title: str


def render_editions(notebooks: Sequence[StageNotebook], meta: ReportMeta) -> dict[str, str]:
    """Assemble both editions and check them.

    Parameters
    ----------
    notebooks : sequence of StageNotebook
        Executed notebooks in the order of their stages; the one of the stage ``report`` opens both editions.
    meta : ReportMeta
        What identifies the report.

    Returns
    -------
    dict of str to str
        ``{"technical.html": ..., "summary.html": ...}``.

    Raises
    ------
    ContractError
        When there is no notebook of the stage ``report``.
    GateError
        When an edition breaks a rule; the message names the notebook's cell and the mend. Nothing is returned,
        so nothing can be written.
    """
    reports = [item for item in notebooks if item.stage == REPORT_STAGE]
    if len(reports) != 1:
        raise ContractError(
            f"a report needs one executed notebook of the stage {REPORT_STAGE!r}, found {len(reports)}",
            where="report",
            mend="run the study to its last stage",
        )
    findings = [finding for item in notebooks for finding in output_findings(item, meta.label)]
    refuse_findings(findings)
    (front, back), others = _parted(reports[0]), [item for item in notebooks if item.stage != REPORT_STAGE]
    editions = {
        "technical.html": _edition([front, *others, *([back] if back.notebook["cells"] else [])], meta, technical=True, back=back),
        "summary.html": _edition([front], meta, technical=False),
    }
    for name, html in editions.items():
        findings += lint(html, name)
    refuse_findings(findings)
    return editions


def _parted(report: StageNotebook) -> tuple[StageNotebook, StageNotebook]:
    """Part the report's notebook into what both editions show and what the technical one shows behind all stages."""
    cells = report.notebook["cells"]
    parts = ([c for c in cells if TECHNICAL not in _tags(c)], [c for c in cells if TECHNICAL in _tags(c)])
    front, back = (StageNotebook(report.stage, {**report.notebook, "cells": part}) for part in parts)
    return front, back


def output_findings(item: StageNotebook, label: str) -> list[Finding]:
    """Return what a notebook shows in a way that a report cannot carry.

    Parameters
    ----------
    item : StageNotebook
        An executed notebook.
    label : str
        Standing of the run's data; a result made under another label is refused.

    Returns
    -------
    list of Finding
        One for each traceback, and for each table, image or other rich output not made by the show functions.
    """
    findings = []
    for where, _, output in _outputs(item):
        if output["output_type"] == "error":
            findings.append(
                Finding("traceback", f"the cell failed with {output.get('ename', 'an error')}", where, "mend the cell")
            )
        elif output["output_type"] in ("display_data", "execute_result"):
            mark = _mark(output)
            rich = sorted(set(output.get("data", {})) - {"text/plain"})
            if mark is None and rich:
                findings.append(
                    Finding(
                        "shown otherwise",
                        f"shows {', '.join(rich)} without caption or alternative text",
                        where,
                        "use show_table, show_figure or show_text",
                    )
                )
            elif mark is not None and mark.get("label") != label:
                findings.append(
                    Finding(
                        "label",
                        f"was made with the label {mark.get('label')!r} in a run whose data are {label!r}",
                        where,
                        "run this stage again",
                    )
                )
    return findings


def _outputs(item: StageNotebook) -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    for position, cell in enumerate(item.notebook["cells"]):
        for output in cell.get("outputs", ()):
            yield _where(item.stage, cell, position), cell, output


def _where(stage: str, cell: Mapping[str, Any], position: int) -> str:
    return f"{stage}/{cell.get('id') or f'cell-{position + 1}'}"


def _mark(output: Mapping[str, Any]) -> Mapping[str, Any] | None:
    mark = output.get("metadata", {}).get("evaluation")
    if isinstance(mark, Mapping) and mark.get("kind") in SHOWN_KINDS and "text/html" in output.get("data", {}):
        return mark
    return None


def refuse_findings(findings: list[Finding]) -> None:
    """Refuse a report in which something breaks the rules for reports, naming the first places.

    Raises
    ------
    GateError
        There is a finding.
    """
    if not findings:
        return
    first, *_ = findings
    lines = [f"{finding.where}: {finding.message} ({finding.mend})" for finding in findings[:MOST_FINDINGS]]
    if len(findings) > MOST_FINDINGS:
        lines.append(f"and {len(findings) - MOST_FINDINGS} more")
    count = "one place breaks" if len(findings) == 1 else f"{len(findings)} places break"
    raise GateError(
        f"the report was not written, {count} the rules for reports:\n  " + "\n  ".join(lines),
        where=first.where,
        mend=first.mend,
    )


def _text(source: Any) -> str:
    return source if isinstance(source, str) else "".join(source)


def _edition(notebooks: Sequence[StageNotebook], meta: ReportMeta, *, technical: bool, back: StageNotebook | None = None) -> str:
    from markupsafe import Markup

    used: set[str] = set()
    headings: list[Heading] = []
    stages = [(item.stage, "Assumptions, changes and terms" if item is back else f"Stage: {item.stage.replace('_', ' ')}", _cells(item, technical, used, headings, titled=not technical or item is back)) for item in notebooks]
    about = Heading(2, "about-this-report", "About this report")
    record = record_parts(meta) if technical else []
    contents = [heading for heading in [*headings, about, *(heading for heading, _ in record)] if heading.level <= DEEPEST_IN_CONTENTS]
    html = _template().render(
        meta=meta,
        technical=technical,
        edition="Technical edition" if technical else "Summary edition",
        other=("summary.html", "Summary edition") if technical else ("technical.html", "Technical edition"),
        contents=[(heading.level, heading.identifier, Markup(heading.html)) for heading in contents],
        stages=stages,
        style=Markup((_folder() / "report.css").read_text(encoding="utf-8")),
        about=about,
        record=record,
        working_text=WORKING_TEXT,
    )
    html = html.replace(STANDING, escape(meta.standing))
    return _number(_linked_tables(html, meta, technical))


def _linked_tables(html: str, meta: ReportMeta, technical: bool) -> str:
    """Lead the names of result tables to their line in the technical edition; a name that is no table of this run stays plain."""
    known, page = {said["table"] for said in meta.tables}, "" if technical else "technical.html"

    def link(match: re.Match[str]) -> str:
        return f'<a href="{page}#{TABLE_PREFIX}{match[1]}">{match[1]}</a>' if match[1] in known else match[1]

    return _TABLE_LINK.sub(link, html)


def _cells(item: StageNotebook, technical: bool, used: set[str], headings: list[Heading], *, titled: bool) -> list[_Cell]:
    cells = []
    injected = any(INJECTED in _tags(cell) for cell in item.notebook["cells"])
    for position, cell in enumerate(item.notebook["cells"]):
        where, source = _where(item.stage, cell, position), _text(cell.get("source", ""))
        if cell["cell_type"] == "markdown":
            try:
                html = prose_html(source, item.stage, used, headings, titled=titled)
            except GateError as error:
                raise GateError(error.message, where=where, mend=error.mend) from error
            cells.append(_Cell(where, "prose", html, "", ""))
        elif cell["cell_type"] == "code":
            html = "".join(_output_html(output, technical) for output in cell.get("outputs", ()))
            defaults = injected and PARAMETERS in _tags(cell)
            code = "\n".join(escape(line) for line in source.rstrip().split("\n")) if technical and not defaults else ""
            if html or code:
                title = "Parameters of this run" if _tags(cell) & {PARAMETERS, INJECTED} else "Code"
                cells.append(_Cell(where, "result", html, code, title))
    return cells


def _tags(cell: Mapping[str, Any]) -> set[str]:
    return set(cell.get("metadata", {}).get("tags", ()))


def _output_html(output: Mapping[str, Any], technical: bool) -> str:
    """Return one output: what the show functions made as it is, printed text escaped, errors never."""
    if output["output_type"] in ("display_data", "execute_result"):
        if _mark(output) is not None:
            return _text(output["data"]["text/html"])
        text = _text(output.get("data", {}).get("text/plain", ""))
    elif output["output_type"] == "stream" and output.get("name") == "stdout":
        text = _text(output.get("text", ""))
    else:
        return ""
    if not technical or not text.strip():
        return ""
    lines = "\n".join(escape(line) for line in text.rstrip().split("\n"))
    return f'<pre class="printed">{lines}</pre>'


def _number(html: str) -> str:
    """Number figures and tables in the order of the document."""
    counts = {"Figure": 0, "Table": 0}

    def numbered(match: re.Match[str]) -> str:
        if match[2] is not None and match[2].endswith(_UNNUMBERED_ENDINGS):
            return match[0]
        kind = "Figure" if match[2] is None else "Table"
        counts[kind] += 1
        return f"{match[1]}{match[3]}{kind} {counts[kind]}: </span>"

    return _NUMBERED.sub(numbered, html)


def _folder() -> Path:
    return Path(__file__).parent


@lru_cache(maxsize=1)
def _template() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(_folder()), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["shown"] = Markup
    return environment.get_template("document.html.j2")
