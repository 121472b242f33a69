"""A run of a study: every stage in order, reused or executed, the reports, and last of all the manifest."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from evaluation.errors import ContractError

from .files import link_tree, write_atomically, write_json
from .fingerprint import key_of
from .manifest import build_manifest, commit_of, origin_of
from .progress import Reporter
from .root import shown
from .stages import Stage, folder_of
from .store import StageResult
from .study import Study, stored_results

if TYPE_CHECKING:
    from .reports import Material

RUN = "run.json"


@dataclass(frozen=True)
class StageOutcome:
    """What a run did with one stage."""

    result: StageResult
    why: str
    reused: bool


@dataclass(frozen=True)
class RunResult:
    """A finished run."""

    folder: Path
    manifest: dict[str, Any]
    outcomes: dict[str, StageOutcome]


class _Events:
    """The append-only log of a run."""

    def __init__(self, folder: Path):
        self.path = folder / "events.jsonl"

    def note(self, event: str, **more: Any) -> None:
        line = {"time": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}", "event": event, **more}
        with self.path.open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(line, sort_keys=True, ensure_ascii=False) + "\n")


def run_study(study: Study, *, only: str | None = None, start: str | None = None, fresh: bool = False, until: str | None = None,
              reporter: Reporter | None = None, command: str = "") -> RunResult:
    """Run a study.

    Parameters
    ----------
    study : Study
        From :func:`evaluation.runs.study.open_study`.
    only : str, optional
        Run this stage alone; its inputs must be stored.
    start : str, optional
        Ignore stored results from this stage on.
    fresh : bool
        Ignore all stored results.
    until : str, optional
        Run the stages before this one and stop.

    Returns
    -------
    RunResult
        Its folder holds ``run.json``.

    Raises
    ------
    StageFailure
        A stage did not succeed; what was finished is kept.
    ContractError
        The options do not fit the study.
    GateError
        A report did not pass; it was not written.
    """
    reporter = reporter or Reporter()
    _refuse_stages_left_out(study, only, start, until)
    results = stored_results(study, study.kind.stage(only)) if only else {}
    chosen = _chosen(study, only, until)
    started = datetime.now(UTC)
    folder = _make_folder(study, started)
    events = _Events(folder)
    write_atomically(folder / "protocol.yaml", yaml.safe_dump(study.values, sort_keys=False, allow_unicode=True))
    events.note("run started", command=command, study=study.name)
    commit = commit_of(study.root)
    outcomes: dict[str, StageOutcome] = {}
    ignoring = fresh
    try:
        for stage in chosen:
            ignoring = ignoring or stage.name == start
            outcomes[stage.name] = _stage(study, stage, results, folder, events, reporter, ignore_store=ignoring or only is not None)
            results[stage.name] = outcomes[stage.name].result
        kind = "full" if len(chosen) == len(study.stages) else "partial"
        report: dict[str, Any] = {}
        if kind == "full" and chosen[-1].whole_protocol:
            report = _write_out(study, _material(study, {n: o.result for n, o in outcomes.items()}, commit, command), folder, events, reporter)
        manifest = build_manifest(study, outcomes, folder, kind=kind, started=started, command=command, report=report, commit=commit)
        events.note("run finished", kind=kind)
        write_json(folder / RUN, manifest)
    except BaseException as error:
        with contextlib.suppress(OSError):  # what went wrong first is what is told
            events.note("run failed", error=type(error).__name__)
        raise
    return RunResult(folder, manifest, outcomes)


def _refuse_stages_left_out(study: Study, *names: str | None) -> None:
    for name in names:
        if name is not None and study.kind.stage(name) not in study.stages:
            raise ContractError(f"stage `{name}` does not run in a formative report", mend="choose another stage, or change report_kind")


def _chosen(study: Study, only: str | None, until: str | None) -> list[Stage]:
    """The stages that this run is about, in their order."""
    chosen = [s for s in study.stages if only in (None, s.name)]
    return chosen if until is None else chosen[: [s.name for s in chosen].index(until)]


def _write_out(study: Study, material: Material, folder: Path, events: _Events, reporter: Reporter) -> dict[str, Any]:
    """Write the report and the release of a full run; nothing is written of what a gate refuses."""
    from .clearance import RunClearance
    from .release import refuse_shown, write_out

    refuse_shown(material)
    report = write_out(RunClearance(material, study.root), folder, reporter)
    events.note("reports written", files=sorted(n for n in report["files"] if not n.startswith("release/")), reused=report["reused"])
    events.note("release written", tables_and_figures_held_back=len(report["disclosure_log"]), reused=report["release"]["reused"])
    return report


def _material(study: Study, results: dict[str, StageResult], commit: dict[str, Any], command: str) -> Material:
    """What the report of a run that is just ending is made from."""
    from .reports import Material

    return Material(values=study.values, protocol_digest=study.loaded.digest, label=study.data.label if study.data else "restricted",
                    stages=tuple(stage.name for stage in study.stages), sources={stage.name: study.sources[stage.name] for stage in study.stages},
                    results=results, origin=origin_of(study, commit, command), store=study.store.folder)


def _make_folder(study: Study, started: datetime) -> Path:
    """A folder of its own for this run; two runs in one second get two folders."""
    name = f"{started:%Y%m%dT%H%M%SZ}-{study.name}-{study.loaded.digest[:8]}"
    for copy in range(1, 1000):
        folder = study.reports / (name if copy == 1 else f"{name}-{copy}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder
    raise ContractError("no free name for the run's folder", where=shown(study.reports, study.root))


def _stage(study: Study, stage: Stage, results: dict[str, StageResult], folder: Path, events: _Events, reporter: Reporter,
           *, ignore_store: bool) -> StageOutcome:
    components = study.components(stage, results)
    key = key_of(components)
    stored = None if ignore_store else study.store.find(key)
    if stored is not None:
        link_tree(stored.folder, folder / f"{stage.name}.partial")
        os.rename(folder / f"{stage.name}.partial", folder / folder_of(stage.name))
        study.store.note_latest(stored, study.name)
        events.note("stage reused", stage=stage.name, key=key)
        reporter.stage_reused(stage.name)
        return StageOutcome(StageResult(folder / folder_of(stage.name), stored.step), "nothing it depends on changed", True)
    from .execute import StageFailure, execute_stage

    known = study.store.find(key) is not None
    why = "asked for" if ignore_store and known else study.why(stage, components)
    previous = study.store.previous(study.name, stage.name)
    expected = previous["seconds"] if previous else None
    events.note("stage started", stage=stage.name, why=why)
    reporter.stage_started(stage.name, why)
    try:
        result = execute_stage(study, stage, results, components, key, why, folder,
                               lambda progress, cells: reporter.tick(stage.name, expected, progress, cells))
    except StageFailure as failure:
        events.note("stage failed", stage=stage.name, heading=failure.heading, cause=failure.cause)
        raise
    except KeyboardInterrupt:
        events.note("stage interrupted", stage=stage.name)
        raise
    try:
        study.store.save(result)
    except OSError as error:
        reporter.say(f"{stage.name} is done but could not be stored for the next run ({error.strerror or error})")
    events.note("stage done", stage=stage.name, key=key, seconds=result.step["seconds"])
    reporter.stage_done(stage.name, result.step["seconds"], why)
    return StageOutcome(result, why, False)


def find_run(reports: Path, wanted: str | None) -> Path:
    """The folder of a run: a path, a run's name or the start of one, or the newest finished run when not given.

    Raises
    ------
    ContractError
        There is none, or several fit.
    """
    if wanted is not None and Path(wanted).is_dir():
        return Path(wanted)
    names = sorted(p.parent.name for p in Path(reports).glob("*/events.jsonl"))
    if wanted is None:
        finished = [n for n in names if (Path(reports) / n / RUN).is_file()]
        if not finished:
            raise ContractError("there is no finished run", where=str(os.path.relpath(reports)), mend="run a study first: evaluation run")
        return Path(reports) / max(finished)
    fitting = [wanted] if wanted in names else [n for n in names if n.startswith(wanted)]
    if len(fitting) != 1:
        raise ContractError(f"{len(fitting)} runs are called `{wanted}` or begin so", where=str(os.path.relpath(reports)),
                            mend="give the run's whole name or its path")
    return Path(reports) / fitting[0]
