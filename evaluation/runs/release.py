"""From a finished report to what may leave the run: a gate before it, other formats of it, and the cleared release. Made once for one content."""

from __future__ import annotations

import contextlib
import csv
import io
import os
import shutil
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluation.errors import ContractError, GateError
from evaluation.protocol.load import digest_of
from evaluation.reporting.text import spreadsheet_safe

from .clearance import NO_PROFILE, NO_PROFILE_MEND
from .files import link_tree, read_json, sha256_of, write_atomically, write_json
from .fingerprint import distribution_versions, package_digests, render_digests
from .reports import EDITIONS, REPORT, Material, notebooks_of, write_reports

if TYPE_CHECKING:
    from .assurance import Assurance
    from .clearance import RunClearance
    from .progress import Reporter

RELEASE, CHECKER, RECORD, REPORT_LOG = "release", "disclosure", "release_record.json", "report_log.csv"
MAKERS = ("gptables", "pikepdf", "pypandoc-binary", "scipy", "typst")


def refuse_shown(material: Material) -> None:
    """Refuse a report that would show an identifier or a table of single pupils, whatever its standing.

    Raises
    ------
    GateError
        Names the cell and the mend; nothing has been written.
    """
    from evaluation.reporting.disclosure.shown import shown_findings

    findings = [f for item in notebooks_of(material) for f in shown_findings(item.stage, item.notebook)]
    if findings:
        first = findings[0]
        more = f"; {len(findings) - 1} more such places" if len(findings) > 1 else ""
        raise GateError(f"the report was not written: {first.message}{more}", where=first.where, mend=first.mend)


def write_out(cleared: RunClearance, folder: Path, reporter: Reporter, *, assurance: Assurance | None = None, axe: bool = False) -> dict[str, Any]:
    """Write everything that a run is read by: the cleared report, the working editions, the release.

    Parameters
    ----------
    cleared : RunClearance
    folder : Path
        The run's folder.
    reporter : Reporter
    assurance, axe
        As in :func:`evaluation.runs.reports.write_reports`.

    Returns
    -------
    dict
        ``files`` (digest by path), ``checks``, ``reused``, ``disclosure_log`` (of the release and of the report), ``release``.
    """
    report = write_reports(cleared, folder, reporter, assurance=assurance, axe=axe)
    if cleared.profile is None and not cleared.published:
        reporter.say(f"No report was written, only working editions: {NO_PROFILE}. Mend: {NO_PROFILE_MEND}")
    release = write_release(cleared, folder, reporter)
    held = report.pop("held_back")
    if held and (folder / CHECKER).is_dir():
        write_atomically(folder / CHECKER / REPORT_LOG, _held_csv(held))
    files = {**report.pop("files"), **release.pop("files")}
    return {**report, "files": files, "disclosure_log": [*release.pop("log"), *held], "release": release}


def _held_csv(held: list[dict[str, Any]]) -> str:
    """What the report holds back, as lines of a table for the output checker."""
    out = io.StringIO()
    writer = csv.DictWriter(out, ["table", "row", "column", "action", "reason"], lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: spreadsheet_safe(value) for name, value in line.items()} for line in held)
    return out.getvalue()


def write_release(cleared: RunClearance, folder: Path, reporter: Reporter) -> dict[str, Any]:
    """Write PDF and DOCX of both editions below ``report/``, and ``release/`` with what passed disclosure control; ``disclosure/`` is for the checker.

    Parameters
    ----------
    cleared : RunClearance
        The run and what may leave it.
    folder : Path
        The run's folder; its report has been written.
    reporter : Reporter

    Returns
    -------
    dict
        ``files`` (digest by path: formats of the report, and the release), ``log``, ``profile``, ``proof``, ``reused``.

    Raises
    ------
    GateError
        A suppressed count could be worked out, or an edition does not keep its standards; the release is not written.
    ContractError
        The earlier folder is no release.
    """
    material, profile = cleared.material, cleared.profile
    formats = _formats(material, folder, reporter) if (folder / REPORT).is_dir() else {}
    for name in (RELEASE, CHECKER):
        shutil.rmtree(folder / name, ignore_errors=True)
    if profile is None:
        return {"files": formats, "log": [], "profile": None, "proof": None, "reused": True}
    content = _content(cleared)
    stored = material.store / "releases" / content
    record = _stored(stored)
    reused = record is not None
    if record is None:
        reporter.say("clearing what may be released" if not reporter.terminal else "  release          clearing")
        record = _build(cleared, content, stored)
    link_tree(stored / RELEASE, folder / RELEASE)
    link_tree(stored / CHECKER, folder / CHECKER)
    return {"files": {**formats, **record["files"]}, "log": record["log"], "profile": record["profile"], "proof": record["proof"], "reused": reused}


def render_release(release: Path, target: Path) -> list[Path]:
    """Build every edition from a release folder alone and write it into a folder.

    Returns
    -------
    list of Path
    """
    from evaluation.reporting.release.build import edition_files
    from evaluation.reporting.release.tables import read_release

    told, _ = read_release(release)
    prefix = "simulated_" if told["label"] == "simulated" else ""
    target.mkdir(parents=True, exist_ok=True)
    written = []
    for name, content in edition_files(release, date.fromisoformat(told["made"])).items():
        write_atomically(target / f"{prefix}{name}", content)
        written.append(target / f"{prefix}{name}")
    return written


def _formats(material: Material, folder: Path, reporter: Reporter) -> dict[str, str]:
    """PDF and DOCX of both editions, kept in the store by the page they are made from; the run is named by its content."""
    from evaluation.reporting.documents import edition_docx, edition_pdf

    pages = {name: (folder / REPORT / name).read_text(encoding="utf-8") for name in EDITIONS}
    makers = {"typst": distribution_versions().get("typst"), "pandoc": distribution_versions().get("pypandoc-binary"), "pikepdf": distribution_versions().get("pikepdf"), "documents": _documents()}
    wanted, made = {}, datetime.now(UTC).date()
    for name, page in pages.items():
        text = page.replace(folder.name, f"not named, because equal runs make this same edition (its digest begins {digest_of(page.replace(folder.name, ''))[:12]})")
        for ending, maker in (("pdf", edition_pdf), ("docx", edition_docx)):
            stored = material.store / "formats" / digest_of({"page": text, "ending": ending, **makers}) / f"report.{ending}"
            wanted[name.replace(".html", f".{ending}")] = (stored, maker, text)
    missing = {name: given for name, given in wanted.items() if not _whole(given[0])}
    if missing:
        reporter.say("writing PDF and DOCX" if not reporter.terminal else "  formats          writing")
        with ThreadPoolExecutor(2) as pool:
            for (stored, _, _), content in zip(missing.values(), pool.map(lambda given: given[1](given[2], made), missing.values()), strict=True):
                stored.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(stored, content)
                write_atomically(stored.with_suffix(".sha256"), sha256_of(stored))
    files = {}
    for name, (stored, _, _) in wanted.items():
        write_atomically(folder / "report" / name, stored.read_bytes())
        files[f"{REPORT}/{name}"] = sha256_of(folder / REPORT / name)
    return files


def _whole(stored: Path) -> bool:
    try:
        return stored.with_suffix(".sha256").read_text(encoding="utf-8") == sha256_of(stored)
    except OSError:
        return False


def _documents() -> str:
    from .root import PACKAGE

    folder = PACKAGE / "reporting" / "documents"
    return digest_of({p.name: sha256_of(p) for p in sorted(folder.iterdir()) if p.is_file()})


def _content(cleared: RunClearance) -> str:
    """Name of everything that a release is made from."""
    material, versions = cleared.material, distribution_versions()
    return digest_of({
        "clearance": cleared.content, "protocol": material.protocol_digest, "documents": _documents(), "render": render_digests(),
        "figures": {stage: {n: said["sha256"] for n, said in material.results[stage].step["outputs"].items() if n.startswith(("figures/", "executed"))} for stage in material.stages},
        "reporting": {n: d for n, d in package_digests().items() if n.startswith("reporting/")}, "makers": {n: versions.get(n) for n in MAKERS},
    })


def _stored(stored: Path) -> dict[str, Any] | None:
    """The record of a stored release if every file is still what was written."""
    try:
        record = read_json(stored / RECORD)
        if all(sha256_of(stored / name) == digest for name, digest in {**record["files"], **record["checker"]}.items()):
            return record
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def _build(cleared: RunClearance, content: str, stored: Path) -> dict[str, Any]:
    from evaluation.reporting.disclosure.shown import released_figures
    from evaluation.reporting.release.build import ReleaseFacts, build_release

    material, profile = cleared.material, cleared.profile
    assert profile is not None
    values = material.values
    meta = {"title": values["title"], "study": values["study"], "report_kind": values["report_kind"], "protocol_version": values["protocol_version"],
            "protocol_digest": material.protocol_digest, "registered_on": str(values["registered_on"]),
            "amendments": [f"{a['date']}: {a['change']} ({a['reason']})" for a in values["amendments"]]}
    facts = ReleaseFacts(study=values["study"], label=material.label, meta=meta, content=f"content {content[:12]}", year=_last_year(values), made=datetime.now(UTC).date())
    figures = [f for item in notebooks_of(material) for f in released_figures(item.stage, item.notebook, material.results[item.stage].folder, cleared.sources)]
    beside = stored.with_name(f"{stored.name}.partial-{uuid.uuid4().hex[:8]}")
    beside.mkdir(parents=True)
    try:
        record = build_release(cleared.tables, profile, facts, beside, figures=figures, clearance=cleared.clearance)
        record["checker"] = {p.relative_to(beside).as_posix(): sha256_of(p) for p in sorted((beside / CHECKER).rglob("*")) if p.is_file()}
        write_json(beside / RECORD, record)
        with contextlib.suppress(OSError):
            os.replace(stored, stored.with_name(f"{stored.name}.damaged-{uuid.uuid4().hex[:8]}"))
        os.replace(beside, stored)
    except OSError as error:
        if _stored(stored) is None:  # else another run kept the same release first
            raise ContractError(f"the release could not be kept: {error.strerror or error}", where=stored.parent.name, mend="free some space and give the same command again") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    kept = _stored(stored)
    assert kept is not None
    return kept


def _last_year(values: dict[str, Any]) -> str:
    """The academic year that a study runs to: the last one that its protocol names."""
    import re

    found: set[str] = set()

    def look(value: Any) -> None:
        if isinstance(value, str) and re.fullmatch(r"\d{4}/\d{2}", value):
            found.add(value)
        for inner in value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ():
            look(inner)

    look({name: section for name, section in values.items() if name != "simulation"})
    return max(found, default="")
