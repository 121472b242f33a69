"""From a run's executed notebooks to its two editions: rendered once for one content, filled in for each run."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluation.errors import ContractError, GateError
from evaluation.protocol.load import digest_of

from .files import read_json, sha256_of, write_atomically, write_json
from .fingerprint import package_digests, render_digests
from .notebook import rejoin_prose
from .store import StageResult

if TYPE_CHECKING:
    from .progress import Reporter
    from .study import Study

RUN_ID_MARK = "00000000T000000Z-run-id"
CHECKS = "checks.json"
EDITIONS = ("summary.html", "technical.html")


def write_reports(study: Study, results: dict[str, StageResult], folder: Path, started: datetime, reporter: Reporter) -> dict[str, Any]:
    """Write both editions below ``report/``.

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
    foreign = [name for name, result in results.items() if result.step.get("kind") != "full"]
    if foreign:
        raise ContractError(f"{', '.join(foreign)} did not come from a run: interactive results enter no report", mend="run the study")
    key = _render_key(study, results)
    stored = study.store.folder / "reports" / key
    try:
        editions = {name: (stored / name).read_text(encoding="utf-8") for name in EDITIONS}
        checks = read_json(stored / CHECKS)
        reused = {n: digest_of(t) for n, t in editions.items()} == checks["digests"]
    except (OSError, ValueError, KeyError, TypeError):
        reused = False
    if not reused:
        reporter.say("rendering both editions" if not reporter.terminal else "  report           rendering")
        editions, checks = _render(study, results)
        _keep(stored, editions, checks)
    report = folder / "report"
    report.mkdir(exist_ok=True)
    files = {}
    for name, text in editions.items():
        write_atomically(report / name, text.replace(RUN_ID_MARK, folder.name))
        files[f"report/{name}"] = sha256_of(report / name)
    write_json(report / CHECKS, {k: v for k, v in checks.items() if k != "digests"})
    return {"files": files, "checks": {k: v for k, v in checks.items() if k != "digests"}, "reused": reused}


def _render_key(study: Study, results: dict[str, StageResult]) -> str:
    return digest_of({
        "notebooks": {n: r.step["outputs"]["executed.ipynb"]["sha256"] for n, r in results.items()},
        "prose": {n: list(study.sources[n].prose.items()) for n in results},
        "order": {n: [c["id"] for c in study.sources[n].cells] for n in results},
        "render": render_digests(), "reporting": {n: d for n, d in package_digests().items() if n.startswith("reporting/")},
        "meta": _meta_values(study),
    })


def _meta_values(study: Study) -> dict[str, Any]:
    values = study.values
    return {
        "title": values["title"], "study": values["study"], "run_id": RUN_ID_MARK, "label": study.data.label if study.data else "restricted",
        "report_kind": values["report_kind"], "protocol_version": values["protocol_version"], "protocol_digest": study.loaded.digest,
        "draft": True, "amendments": [_amendment(a) for a in values["amendments"]],
    }


def _amendment(amendment: dict[str, Any]) -> str:
    seen = "after" if amendment["outcomes_seen"] else "before"
    return f"{amendment['date']}: {amendment['change']} ({amendment['reason']}; {seen} outcomes were seen)"


def _render(study: Study, results: dict[str, StageResult]) -> tuple[dict[str, str], dict[str, Any]]:
    from evaluation.reporting.render import ReportMeta, StageNotebook, render_editions

    notebooks = []
    for stage in study.stages:
        executed = json.loads((results[stage.name].folder / "executed.ipynb").read_text(encoding="utf-8"))
        notebooks.append(StageNotebook(stage.name, rejoin_prose(executed, study.sources[stage.name])))
    values = _meta_values(study)
    meta = ReportMeta(**{**values, "amendments": tuple(values["amendments"])})
    editions = render_editions(notebooks, meta)
    for name, text in editions.items():
        if RUN_ID_MARK not in text:
            raise GateError("the run's name is not on the page", where=name, mend="restore the provenance lines of the template")
    checks = {"gates": {"lint": "passed"}, "digests": {n: digest_of(t) for n, t in editions.items()},
              "rendered": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", "bytes": {n: len(t.encode()) for n, t in editions.items()}}
    return editions, checks


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
