"""What a run did and found, in a few lines for a terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluation.errors import ContractError

from .files import read_json, sha256_of
from .root import shown
from .stages import folder_of

if TYPE_CHECKING:
    from .execute import StageFailure

RUN = "run.json"


def describe_run(folder: Path, manifest: dict[str, Any], root: Path | None = None) -> str:
    """The end of a run: where it lies, what was reused, and the headline's first lines."""
    reused = sum(1 for s in manifest["stages"] if s["reused"])
    lines = [f"{manifest['study']}: {len(manifest['stages'])} stages, {reused} reused ({manifest['kind']} run, data {manifest['data_label']})",
             f"Run folder: {shown(folder, root)}"]
    return "\n".join([*lines, *_report_lines(folder, manifest["report"], root)])


def describe_report(folder: Path, report: dict[str, Any], root: Path | None = None) -> str:
    """The end of a rendering: where the editions lie, their standing, and the digest that a sign-off must name."""
    checks = report["checks"]
    return "\n".join([*_report_lines(folder, report, root), f"Standing:   {checks['standing']}; reading age of the summary {checks['reading_age']['summary.html']}",
                      f"Digest:     {checks['run_digest']} (for assurance.yaml)"])


def _report_lines(folder: Path, report: dict[str, Any], root: Path | None) -> list[str]:
    files = sorted(report.get("files", {}))
    lines = [f"{'Report:    ' if name.startswith('report/') else 'Working:   '} {shown(folder / name, root)}{'' if name.startswith('report/') else ' (not cleared for publication)'}"
             for name in files if name.startswith(("report/", "working/")) and name.endswith(".html")]
    told = report.get("checks", {}).get("disclosure", {})
    if held := sum(told.get("held_back", {}).values()):
        lines.append(f"Held back:  {held} {'item' if held == 1 else 'items'} and {told['cells_hidden']} cells of the report, by profile {told['profile']}; why: disclosure/report_log.csv")
    elif "mend" in told:
        lines.append(f"No report:  {told['report']}. Mend: {told['mend']}")
    tables = sum(name.startswith("release/tables/") for name in files)
    return lines + ([f"Release:    {shown(folder / 'release', root)} ({tables} cleared tables; what was held back: disclosure/disclosure_log.csv)"] if tables else [])


def describe_failure(failure: StageFailure) -> str:
    """A failed stage: which, under which heading, why, where the notebook as far as it got lies, how to go on."""
    notebook = failure.kept / "executed.ipynb"
    return "\n".join([
        f"Stage `{failure.stage}` failed under \"{failure.heading}\".",
        f"Cause: {failure.cause}",
        f"As far as it got: {shown(notebook) if notebook.is_file() else 'no cell was run'}",
        "Stages before it are kept: mend the cause and give the same command again.",
    ])


def show_run(folder: Path) -> str:
    """A finished run from its manifest; an unfinished one says where it stopped.

    Raises
    ------
    ContractError
        The folder is no run.
    """
    path = Path(folder) / RUN
    if not path.is_file():
        return describe_unfinished(Path(folder))
    try:
        manifest = read_json(path)
    except ValueError as error:
        raise ContractError("run.json cannot be read", where=shown(path), mend="run the study again") from error
    lines = [f"{manifest['run_id']}  ({manifest['kind']}, data {manifest['data_label']}, protocol {manifest['protocol']['protocol_version']} {manifest['protocol_digest'][:8]})",
             f"{manifest['started']} to {manifest['finished']}; seed {manifest['seed']}; commit {(manifest['commit'] or 'unknown')[:10]}{' with changes' if manifest['dirty'] else ''}", ""]
    lines += [f"  {s['name']:<16} {'reused' if s['reused'] else 'ran   '} {s['seconds']:7.1f} s  {s['why']}" for s in manifest["stages"]]
    altered = [f"{s['name']}/{n}" for s in manifest["stages"] for n, said in s["outputs"].items() if not _same(Path(folder) / folder_of(s["name"]) / n, said["sha256"])]
    altered += [n for n, said in manifest["report"].get("files", {}).items() if not _same(Path(folder) / n, said)]
    if altered:
        lines += ["", f"Altered since the run: {', '.join(altered[:5])}{' ...' if len(altered) > 5 else ''}"]
    headline = [row["text"] for row in manifest["headline"]]
    return "\n".join([*lines, "", *headline]).rstrip()


def _same(path: Path, digest: str) -> bool:
    return path.is_file() and sha256_of(path) == digest


def describe_unfinished(folder: Path) -> str:
    """Say how far a run got that has no manifest, from its log of events, and what stopped it.

    Raises
    ------
    ContractError
        The folder is no run.
    """
    if not (folder / "events.jsonl").is_file():
        raise ContractError("this folder is no run", where=shown(folder), mend="give a run's folder or name")
    import json

    events = []
    for line in (folder / "events.jsonl").read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            events.append(json.loads(line))
        except ValueError:  # a line that was being written when the run ended
            continue
    done = [e["stage"] for e in events if e["event"] in ("stage done", "stage reused")]
    failed = next((e for e in reversed(events) if e["event"] in ("stage failed", "stage interrupted")), None)
    lines = [f"{folder.name}: did not finish", f"Finished stages: {', '.join(done) or 'none'}"]
    if failed is not None:
        lines.append(f"{failed['event'].capitalize()}: {failed['stage']}. {failed.get('cause', '')}".rstrip())
    return "\n".join(lines)
