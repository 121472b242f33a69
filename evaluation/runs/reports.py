"""From a run's executed notebooks to its two editions: rendered once for one content, filled in for each run."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluation.errors import ContractError, GateError
from evaluation.protocol.load import digest_of

from .files import read_json, sha256_of, write_atomically, write_json
from .fingerprint import package_digests, render_digests
from .notebook import StageSource, rejoin_prose
from .store import StageResult

if TYPE_CHECKING:
    from evaluation.reporting.render import ReportMeta, StageNotebook

    from .assurance import Assurance
    from .progress import Reporter

RUN_ID_MARK = "00000000T000000Z-run-id"
CHECKS = "checks.json"
EDITIONS = ("summary.html", "technical.html")


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


def write_reports(material: Material, folder: Path, reporter: Reporter, *, assurance: Assurance | None = None, axe: bool = False) -> dict[str, Any]:
    """Write both editions below ``report/``.

    Parameters
    ----------
    material : Material
    folder : Path
        The run's folder.
    reporter : Reporter
    assurance : Assurance, optional
        Sign-off found in the run's folder; it holds only if it names the digest of exactly this content.
    axe : bool
        Hold both editions against axe-core in a browser as well.

    Returns
    -------
    dict
        ``files`` (digest by name), ``checks``, ``reused``.

    Raises
    ------
    ContractError
        A stage's result is not one of a run, or was altered.
    GateError
        An edition did not pass; nothing was written.
    """
    foreign = [name for name, result in material.results.items() if result.step.get("kind") != "full"]
    if foreign:
        raise ContractError(f"{', '.join(foreign)} did not come from a run: interactive results enter no report", mend="run the study")
    editions, checks, reused = _draft(material, reporter)
    run_digest = _run_digest(material, folder.name, checks["digests"])
    assured = assurance is not None and assurance.run_digest == run_digest
    if assured:
        editions, checks = _render(material, assurance.signed)
    checks = {name: value for name, value in checks.items() if name != "digests"} | {"run_digest": run_digest, "standing": "assured" if assured else "draft"}
    pages = {name: text.replace(RUN_ID_MARK, folder.name) for name, text in editions.items()}
    if axe:
        from evaluation.reporting.render.browser import refuse_violations

        refuse_violations(pages)
        checks["gates"] = {**checks["gates"], "axe": "passed"}
    report = folder / "report"
    report.mkdir(exist_ok=True)
    for name, text in pages.items():
        write_atomically(report / name, text)
    write_json(report / CHECKS, checks)
    return {"files": {f"report/{name}": sha256_of(report / name) for name in pages}, "checks": checks, "reused": reused}


def _draft(material: Material, reporter: Reporter) -> tuple[dict[str, str], dict[str, Any], bool]:
    """Both editions as drafts: from the store if the same content was rendered before."""
    stored = material.store / "reports" / _render_key(material)
    try:
        editions = {name: (stored / name).read_text(encoding="utf-8") for name in EDITIONS}
        checks = read_json(stored / CHECKS)
        if {n: digest_of(t) for n, t in editions.items()} == checks["digests"]:
            return editions, checks, True
    except (OSError, ValueError, KeyError, TypeError):
        pass
    reporter.say("rendering both editions" if not reporter.terminal else "  report           rendering")
    editions, checks = _render(material)
    _keep(stored, editions, checks)
    return editions, checks, False


def _run_digest(material: Material, run_id: str, editions: dict[str, str]) -> str:
    """What a sign-off is bound to: the run, its protocol, its inputs, every output, and the words and figures of both editions."""
    return digest_of({
        "run": run_id, "protocol": material.protocol_digest, "inputs": material.origin["inputs"], "editions": editions,
        "stages": {n: {"key": r.key, "outputs": r.step["outputs"]} for n, r in material.results.items()},
    })


def _render_key(material: Material) -> str:
    return digest_of({
        "notebooks": {n: r.step["outputs"]["executed.ipynb"]["sha256"] for n, r in material.results.items()},
        "prose": {n: None if s is None else list(s.prose.items()) for n, s in material.sources.items()},
        "order": {n: None if s is None else [c["id"] for c in s.cells] for n, s in material.sources.items()},
        "tags": {n: None if s is None else [c.get("metadata", {}).get("tags", []) for c in s.cells] for n, s in material.sources.items()},
        "render": render_digests(), "reporting": {n: d for n, d in package_digests().items() if n.startswith("reporting/")},
        "meta": _meta_values(material),
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


def _render(material: Material, signed: dict[str, str] | None = None) -> tuple[dict[str, str], dict[str, Any]]:
    from evaluation.reporting.render import ReportMeta, reading_age, render_editions

    values = _meta_values(material)
    meta = ReportMeta(**{**values, "amendments": tuple(values["amendments"]), "tables": tuple(values["tables"])}, signed=signed)
    editions = render_editions(notebooks_of(material), meta)
    for name, text in editions.items():
        if RUN_ID_MARK not in text:
            raise GateError("the run's name is not on the page", where=name, mend="restore the provenance lines of the template")
    checks = {"gates": {"lint": "passed"}, "digests": {n: digest_of(t) for n, t in editions.items()},
              "rendered": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", "bytes": {n: len(t.encode()) for n, t in editions.items()},
              "reading_age": {"summary.html": reading_age(editions["summary.html"])}}
    return editions, checks


def notebooks_of(material: Material) -> list[StageNotebook]:
    """The executed notebooks of a run, with the prose as it stands now."""
    from evaluation.reporting.render import StageNotebook

    notebooks = []
    for stage in material.stages:
        executed = json.loads((material.results[stage].folder / "executed.ipynb").read_text(encoding="utf-8"))
        source = material.sources[stage]
        notebooks.append(StageNotebook(stage, executed if source is None else rejoin_prose(executed, source)))
    return notebooks


def _keep(stored: Path, editions: dict[str, str], checks: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):
        os.replace(stored, stored.with_name(f"{stored.name}.damaged-{uuid.uuid4().hex[:8]}"))
    beside = stored.with_name(f"{stored.name}.partial-{uuid.uuid4().hex[:8]}")
    beside.mkdir(parents=True)
    for name, text in editions.items():
        write_atomically(beside / name, text)
    write_json(beside / CHECKS, checks)
    try:
        os.replace(beside, stored)
    except OSError:  # another run kept the same report first
        shutil.rmtree(beside, ignore_errors=True)
