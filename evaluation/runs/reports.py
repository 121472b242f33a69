"""From a run's executed notebooks to its two editions, cleared and in full: rendered once for one content, filled in for each run."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluation.errors import ContractError, GateError
from evaluation.protocol.load import digest_of

from .clearance import NO_PROFILE, NO_PROFILE_MEND
from .files import read_json, sha256_of, write_atomically, write_json
from .fingerprint import package_digests, render_digests
from .notebook import StageSource, rejoin_prose
from .stages import WORKING
from .store import StageResult

if TYPE_CHECKING:
    from evaluation.reporting.render import StageNotebook

    from .assurance import Assurance
    from .clearance import RunClearance
    from .progress import Reporter

RUN_ID_MARK = "00000000T000000Z-run-id"
CHECKS, HELD = "checks.json", "held_back.json"
EDITIONS = ("summary.html", "technical.html")
REPORT = "report"
"""Folder of a run that holds the cleared editions and nothing else."""


@dataclass(frozen=True)
class Material:
    """What a report is made from, whether its run is just ending or ended long ago.

    Parameters
    ----------
    values : dict
        The resolved protocol, and ``protocol_digest`` its digest.
    label : str
        Standing of the data.
    stages : tuple of str
        Stages of the run in their order.
    sources : mapping of str to StageSource or None
        Notebook of each stage as it stands now; None where its code is not what ran, so that the prose that ran is kept.
    results : mapping of str to StageResult
    origin : dict
        What another evaluator needs to repeat the run: ``inputs, commit, dirty, python, versions, seed, command``.
    store : Path
        Folder in which rendered editions are kept.
    """

    values: dict[str, Any]
    protocol_digest: str
    label: str
    stages: tuple[str, ...]
    sources: Mapping[str, StageSource | None]
    results: Mapping[str, StageResult]
    origin: dict[str, Any]
    store: Path


def write_reports(cleared: RunClearance, folder: Path, reporter: Reporter, *, assurance: Assurance | None = None, axe: bool = False) -> dict[str, Any]:
    """Write both editions: cleared below ``report/``, and in full below ``working/``.

    What is made from published statistics is cleared as it stands and has no working editions. Where the protocol registers no
    disclosure rules for other data, there are working editions alone.

    Parameters
    ----------
    cleared : RunClearance
        The run and what may leave it.
    folder : Path
        The run's folder.
    reporter : Reporter
    assurance : Assurance, optional
        Sign-off found in the run's folder; it holds only if it names the digest of exactly this content.
    axe : bool
        Hold all editions against axe-core in a browser as well.

    Returns
    -------
    dict
        ``files`` (digest by name), ``checks``, ``held_back`` (what the report leaves out, as lines of the disclosure log), ``reused``.

    Raises
    ------
    ContractError
        A stage's result is not one of a run, or was altered.
    GateError
        An edition did not pass; nothing was written.
    """
    material = cleared.material
    foreign = [name for name, result in material.results.items() if result.step.get("kind") != "full"]
    if foreign:
        raise ContractError(f"{', '.join(foreign)} did not come from a run: interactive results enter no report", mend="run the study")
    drawn, reused = _draft(cleared, reporter)
    editions, checks = drawn.pages, drawn.checks
    run_digest = _run_digest(material, folder.name, checks["digests"])
    assured = assurance is not None and assurance.run_digest == run_digest and _reports(cleared)
    if assured:
        assert assurance is not None
        editions, checks = {**editions, **_cleared_pages(cleared, drawn.held, assurance.signed)[0]}, {**checks}
    checks = {name: value for name, value in checks.items() if name != "digests"} | {"run_digest": run_digest, "standing": "assured" if assured else "draft"}
    pages = {name: text.replace(RUN_ID_MARK, folder.name) for name, text in editions.items()}
    if axe:
        from evaluation.reporting.render.browser import refuse_violations

        for kept in (REPORT, WORKING):
            refuse_violations({Path(name).name: text for name, text in pages.items() if name.startswith(f"{kept}/")})
        checks["gates"] = {**checks["gates"], "axe": "passed"}
    _clean(folder)
    for name, text in pages.items():
        (folder / name).parent.mkdir(exist_ok=True)
        write_atomically(folder / name, text)
    write_json(folder / (REPORT if _reports(cleared) else WORKING) / CHECKS, checks)
    return {"files": {name: sha256_of(folder / name) for name in pages}, "checks": checks, "held_back": drawn.held, "reused": reused}


def _reports(cleared: RunClearance) -> bool:
    """Whether the run may have a report."""
    return cleared.published or cleared.profile is not None


def _clean(folder: Path) -> None:
    """Take away what an earlier rendering wrote, so that nothing stays which was not cleared now."""
    shutil.rmtree(folder / REPORT, ignore_errors=True)
    for name in (*EDITIONS, CHECKS):
        (folder / WORKING / name).unlink(missing_ok=True)


@dataclass(frozen=True)
class _Drawn:
    """Pages by their place in the run folder, what is said of them, and the log of what the report holds back."""

    pages: dict[str, str]
    checks: dict[str, Any]
    held: list[dict[str, Any]]


def _draft(cleared: RunClearance, reporter: Reporter) -> tuple[_Drawn, bool]:
    """All editions as drafts: from the store if the same content was rendered before."""
    stored = cleared.material.store / "reports" / _render_key(cleared)
    try:
        checks, held = read_json(stored / CHECKS), read_json(stored / HELD)
        pages = {name: (stored / name).read_text(encoding="utf-8") for name in checks["pages"]}
        if {n: digest_of(t) for n, t in pages.items()} == checks["pages"] and digest_of(held) == checks["held"]:
            return _Drawn(pages, {n: v for n, v in checks.items() if n not in ("pages", "held")}, held), True
    except (OSError, ValueError, KeyError, TypeError):
        pass
    reporter.say("rendering both editions" if not reporter.terminal else "  report           rendering")
    drawn = _render(cleared)
    _keep(stored, drawn)
    return drawn, False


def _run_digest(material: Material, run_id: str, editions: dict[str, str]) -> str:
    """What a sign-off is bound to: the run, its protocol, its inputs, every output, and the words and figures of both editions."""
    return digest_of({
        "run": run_id, "protocol": material.protocol_digest, "inputs": material.origin["inputs"], "editions": editions,
        "stages": {n: {"key": r.key, "outputs": r.step["outputs"]} for n, r in material.results.items()},
    })


def _render_key(cleared: RunClearance) -> str:
    material = cleared.material
    return digest_of({
        "notebooks": {n: r.step["outputs"]["executed.ipynb"]["sha256"] for n, r in material.results.items()},
        "prose": {n: None if s is None else list(s.prose.items()) for n, s in material.sources.items()},
        "order": {n: None if s is None else [c["id"] for c in s.cells] for n, s in material.sources.items()},
        "tags": {n: None if s is None else [c.get("metadata", {}).get("tags", []) for c in s.cells] for n, s in material.sources.items()},
        "render": render_digests(), "reporting": {n: d for n, d in package_digests().items() if n.startswith("reporting/")},
        "meta": _meta_values(material), "clearance": cleared.content,
    })


def _meta_values(material: Material) -> dict[str, Any]:
    values = material.values
    tables = [{"stage": stage, "table": Path(name).stem, **{k: said.get(k) for k in ("rows", "columns", "sensitivity", "sha256")}}
              for stage in material.stages for name, said in sorted(material.results[stage].step["outputs"].items()) if name.startswith("tables/")]
    return {
        "title": values["title"], "study": values["study"], "run_id": RUN_ID_MARK, "label": material.label,
        "report_kind": values["report_kind"], "protocol_version": values["protocol_version"], "protocol_digest": material.protocol_digest,
        "registered_on": str(values["registered_on"]), "amendments": [_amendment(a) for a in values["amendments"]],
        "origin": material.origin, "tables": tables,
    }


def _amendment(amendment: dict[str, Any]) -> str:
    seen = "after" if amendment["outcomes_seen"] else "before"
    return f"{amendment['date']}: {amendment['change']} ({amendment['reason']}; {seen} outcomes were seen)"


def _render(cleared: RunClearance) -> _Drawn:
    """All editions of a run as drafts."""
    held: list[dict[str, Any]] = []
    pages, disclosure = _cleared_pages(cleared, held) if _reports(cleared) else ({}, {"profile": None, "report": f"not written: {NO_PROFILE}", "mend": NO_PROFILE_MEND})
    if not cleared.published:
        pages |= _pages(notebooks_of(cleared.material), cleared, WORKING)
    for name, text in pages.items():
        if RUN_ID_MARK not in text:
            raise GateError("the run's name is not on the page", where=name, mend="restore the provenance lines of the template")
    signed = {n: t for n, t in pages.items() if n.startswith(f"{REPORT if _reports(cleared) else WORKING}/")}
    names = {Path(n).name: t for n, t in signed.items()}
    checks = {"gates": {"lint": "passed", "disclosure": "passed" if _reports(cleared) else "no rules registered"}, "disclosure": disclosure,
              "digests": {n: digest_of(t) for n, t in names.items()}, "rendered": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
              "bytes": {n: len(t.encode()) for n, t in names.items()}, "reading_age": {"summary.html": _reading_age(names["summary.html"])}}
    return _Drawn(pages, checks, held)


def _reading_age(page: str) -> float:
    from evaluation.reporting.render import reading_age

    return reading_age(page)


def _cleared_pages(cleared: RunClearance, held: list[dict[str, Any]], signed: dict[str, str] | None = None) -> tuple[dict[str, str], dict[str, Any]]:
    """Both editions as they may leave the run, and how much was held back; ``held`` takes the log."""
    notebooks = notebooks_of(cleared.material)
    if cleared.published:
        return _pages(notebooks, cleared, REPORT, signed), {"profile": None, "report": "made from published statistics, whose publisher protected the pupils behind them"}
    from evaluation.reporting.disclosure.report import Tally, clear_notebook
    from evaluation.reporting.render import StageNotebook

    assert cleared.profile is not None
    tally, profile = Tally(), cleared.profile
    notebooks = [StageNotebook(item.stage, clear_notebook(item.stage, item.notebook, cleared.sources, cleared.material.values, tally)) for item in notebooks]
    pages = _pages(notebooks, cleared, REPORT, signed)
    held[:] = [{"table": f"report: {e.table}", "row": e.row, "column": e.column, "action": e.action, "reason": e.reason} for e in tally.log]
    said = {"profile": profile.name, "threshold": profile.threshold, "shown": tally.shown, "cells_hidden": tally.cells_hidden, "held_back": tally.held_back}
    return pages, said


def _pages(notebooks: Sequence[StageNotebook], cleared: RunClearance, folder: str, signed: dict[str, str] | None = None) -> dict[str, str]:
    """Both editions below a folder of the run."""
    from evaluation.reporting.render import ReportMeta, render_editions

    values, profile = _meta_values(cleared.material), cleared.profile
    protection = {} if profile is None or cleared.published else {"profile": profile.name, "threshold": profile.threshold, "rounding_base": profile.rounding_base}
    meta = ReportMeta(**{**values, "amendments": tuple(values["amendments"]), "tables": tuple(values["tables"])}, signed=signed,
                      working=folder == WORKING, **({} if folder == WORKING else protection))
    return {f"{folder}/{name}": text for name, text in render_editions(notebooks, meta).items()}


def notebooks_of(material: Material) -> list[StageNotebook]:
    """The executed notebooks of a run, with the prose as it stands now."""
    from evaluation.reporting.render import StageNotebook

    notebooks = []
    for stage in material.stages:
        executed = json.loads((material.results[stage].folder / "executed.ipynb").read_text(encoding="utf-8"))
        source = material.sources[stage]
        notebooks.append(StageNotebook(stage, executed if source is None else rejoin_prose(executed, source)))
    return notebooks


def _keep(stored: Path, drawn: _Drawn) -> None:
    with contextlib.suppress(OSError):
        os.replace(stored, stored.with_name(f"{stored.name}.damaged-{uuid.uuid4().hex[:8]}"))
    beside = stored.with_name(f"{stored.name}.partial-{uuid.uuid4().hex[:8]}")
    for name, text in drawn.pages.items():
        (beside / name).parent.mkdir(parents=True, exist_ok=True)
        write_atomically(beside / name, text)
    write_json(beside / HELD, drawn.held)
    write_json(beside / CHECKS, {**drawn.checks, "pages": {n: digest_of(t) for n, t in drawn.pages.items()}, "held": digest_of(drawn.held)})
    try:
        os.replace(beside, stored)
    except OSError:  # another run kept the same report first
        shutil.rmtree(beside, ignore_errors=True)
