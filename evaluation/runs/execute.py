"""One stage from start to a verdict that can be trusted: run, checked, moved into place, or kept as it failed."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import nbformat

from evaluation import errors
from evaluation.errors import ContractError, DataError, StageError
from evaluation.registers.dictionary import check_frame, load_table

from .files import read_json, sha256_of, write_atomically, write_json
from .fingerprint import dictionary_digest, differences
from .kernel import KERNEL_LOG, NotebookJob
from .kernel_progress import Progress
from .notebook import heading_before, is_tagged, source_of
from .stage import CONTEXT_FILE, CONTEXT_VARIABLE, RECEIPTS, read_parquet
from .stages import folder_of
from .store import STEP, StageResult, altered_files

if TYPE_CHECKING:
    from .stages import Stage
    from .study import Study

EXECUTED = "executed.ipynb"
LONGEST_CAUSE = 8000  # characters; a refusal tells every rule that rejected rows


class StageFailure(Exception):
    """A stage did not succeed: what failed, where, and with which exit code the command ends."""

    def __init__(self, stage: str, heading: str, cause: str, exit_code: int, kept: Path):
        self.stage, self.heading, self.cause, self.exit_code, self.kept = stage, heading, cause, exit_code, kept
        super().__init__(f"{stage}: {cause}")


def execute_stage(study: Study, stage: Stage, results: dict[str, StageResult], components: dict[str, Any], key: str, why: str,
                  run_folder: Path, tick: Callable[[Progress, list], None]) -> StageResult:
    """Run a stage's notebook in ``<stage>.partial`` and move it into place only if all of it is true.

    Raises
    ------
    StageFailure
        Whatever went wrong; the partial folder is kept.
    KeyboardInterrupt
        The run was interrupted; the partial folder is kept.
    """
    partial, final = run_folder / f"{stage.name}.partial", run_folder / folder_of(stage.name)
    started, clock = datetime.now(UTC), monotonic()
    source = study.sources[stage.name]
    cells = list(source.cells)
    job: NotebookJob | None = None
    try:
        (partial / "tables").mkdir(parents=True)
        job = NotebookJob(source.notebook, partial / EXECUTED, study.values[stage.section], folder=source.path.parent,
                          environment={}, cell_timeout_seconds=study.values["execution"]["cell_timeout_seconds"])
        write_json(job.private_folder / CONTEXT_FILE, study.context(stage, results, partial, "full"))
        job.environment[CONTEXT_VARIABLE] = str(job.private_folder / CONTEXT_FILE)
        job.run(lambda progress: tick(progress, cells))
        _tidy_notebook(partial / EXECUTED, stage)
        (partial / KERNEL_LOG).unlink(missing_ok=True)
        outputs = verify_stage(stage, partial, study.root)
        _same_inputs(study, stage)
        _same_components(study, stage, results, components)
        step = {
            "schema": 1, "study": study.name, "stage": stage.name, "kind": "full", "key": key, "why": why, "components": components,
            "started": _time(started), "finished": _time(datetime.now(UTC)), "seconds": round(monotonic() - clock, 3),
            "cells": sum(1 for c in cells if c["cell_type"] == "code"), "outputs": outputs, "label": components["label"],
        }
        write_json(partial / STEP, step)
        (partial / RECEIPTS).unlink(missing_ok=True)
        os.rename(partial, final)
        return StageResult(final, step)
    except KeyboardInterrupt:
        _tidy_quietly(partial / EXECUTED, stage)
        raise
    except Exception as error:
        _tidy_quietly(partial / EXECUTED, stage)
        raise _failure(stage, error, partial, cells, job) from error


def verify_stage(stage: Stage, folder: Path, root: Path) -> dict[str, dict[str, Any]]:
    """Hold a finished stage against what it declares; a digest and the size of each output is returned.

    Raises
    ------
    StageError
        A code cell did not run to its end, or an error was raised in one.
    ContractError
        A declared table is missing or was changed after it was checked, or an undeclared one was written.
    """
    notebook = nbformat.read(folder / EXECUTED, as_version=4)
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type != "code" or not source_of(cell).strip():
            continue
        raised = [o for o in cell.outputs if o.output_type == "error"]
        if raised:
            raise StageError(f"{raised[0].ename}: {raised[0].evalue}", where=_cell_name(cell, index))
        if cell.execution_count is None:
            raise StageError("the cell did not run", where=_cell_name(cell, index), mend="nothing may end the notebook before its last cell")
    receipts = read_json(folder / RECEIPTS) if (folder / RECEIPTS).is_file() else {}
    for name in stage.writes:
        path = folder / "tables" / f"{name}.parquet"
        if name not in receipts or not path.is_file():
            raise ContractError(f"the declared table `{name}` was not written", where=f"stage `{stage.name}`",
                                mend=f"call stage.write(\"{name}\", frame) in notebooks/{stage.notebook_name}")
        if sha256_of(path) != receipts[name]["sha256"]:
            raise ContractError(f"table `{name}` was changed after stage.write had checked it", where=f"stage `{stage.name}`",
                                mend="write tables with stage.write alone")
        check_frame(load_table(root, name), read_parquet(path))
    undeclared = sorted(p.name for p in (folder / "tables").iterdir() if p.stem not in stage.writes or p.suffix != ".parquet")
    if undeclared:
        raise ContractError(f"undeclared files among the tables: {', '.join(undeclared)}", where=f"stage `{stage.name}`",
                            mend="write tables with stage.write alone, and declare them in evaluation/runs/stages.py")
    stray = sorted(n for p in folder.rglob("*") if not p.is_dir() for n in [p.relative_to(folder).as_posix()]
                   if not n.startswith("tables/") and n not in (EXECUTED, RECEIPTS) and not re.fullmatch(r"figures/[^/]+\.(png|csv)", n))
    if stray:
        raise ContractError(f"undeclared files in the stage's folder: {', '.join(stray)}", where=f"stage `{stage.name}`",
                            mend="write tables with stage.write and figures with show_figure, nothing else")
    outputs = {f"tables/{name}.parquet": receipts[name] for name in stage.writes}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name not in outputs and name != RECEIPTS:
            outputs[name] = {"sha256": sha256_of(path)}
    return dict(sorted(outputs.items()))


def _same_inputs(study: Study, stage: Stage) -> None:
    """The files that a stage read must still be those that were looked at when the run began."""
    data = study.data
    names = (*(data.tables[t] for t in stage.raw if t in data.tables), *data.superseded) if data is not None and stage.raw else ()
    for name in names:
        if sha256_of(data.folder / name) != data.files[name]:
            raise DataError(f"`{name}` changed while the stage was reading it", where=data.folder.name,
                            mend="leave the data alone while a study runs, and give the same command again")


def _same_components(study: Study, stage: Stage, results: dict[str, StageResult], components: dict[str, Any]) -> None:
    """Package, dictionary and tables must still be those that the key was made from: a kernel imports them later."""
    dictionary_digest.cache_clear()
    changed = differences(components, study.components(stage, results))
    changed += [f"table {name} altered" for name, result in results.items() if altered_files(result)]
    if changed:
        raise ContractError(f"changed while the stage ran: {'; '.join(changed)}", where=f"stage `{stage.name}`",
                            mend="give the same command again, and leave the project alone while it runs")


def _cell_name(cell: Any, index: int) -> str:
    return f"cell `{cell.get('id', index)}`"


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _tidy_notebook(path: Path, stage: Stage) -> None:
    """Leave in the executed notebook what a reader needs, and no path of the machine it ran on."""
    notebook = nbformat.read(path, as_version=4)
    times = notebook.metadata.get("papermill", {})
    notebook.metadata["papermill"] = {k: times[k] for k in ("start_time", "end_time", "duration", "exception") if k in times}
    notebook.metadata["evaluation"] = {"stage": stage.name}
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if is_tagged(cell, "injected-parameters"):
            cell["id"] = "injected-parameters"
    write_atomically(path, nbformat.writes(notebook))


def _tidy_quietly(path: Path, stage: Stage) -> None:
    try:
        _tidy_notebook(path, stage)
    except Exception:  # noqa: BLE001 - the failure that is being reported matters more
        return


def _failure(stage: Stage, error: Exception, partial: Path, cells: list, job: NotebookJob | None) -> StageFailure:
    """Put what went wrong into one line, with the exit code that belongs to it."""
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    if job is not None and job.progress.total == 0:
        cause = f"the kernel did not start: {type(error).__name__}: {_one_line(str(error))}. Mend: see that the temporary folder can be written"
        return StageFailure(stage.name, "the start of the notebook", cause, 1, partial)
    index = job.progress.index if job is not None else 0
    injected = 1 if index else 0
    cell = cells[min(max(index - injected, 0), len(cells) - 1)]
    heading = heading_before(cells, max(index - injected, 0))
    at = f"cell `{cell['id']}`"
    code = 1
    if isinstance(error, PapermillExecutionError):
        cause = f"{at}: {error.ename}: {_one_line(error.evalue)}"
        raised = getattr(errors, error.ename, None) if any("evaluation" in str(line) for line in error.traceback) else None
        code = raised.exit_code if isinstance(raised, type) and issubclass(raised, errors.EvaluationError) else 1
    elif isinstance(error, CellTimeoutError):
        limit = job.cell_timeout_seconds if job is not None else "?"
        cause = f"{at} ran longer than {limit} seconds and was stopped. Mend: raise execution.cell_timeout_seconds in the params file, or make the cell faster"
    elif isinstance(error, DeadKernelError) or _kernel_died(error):
        cause = f"{at}: the kernel died (killed, out of memory, or ended by the code). Mend: free memory or correct the cell, then give the same command again"
    elif isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        cause = "the disk is full. Mend: free some space and give the same command again; finished stages are kept"
    elif isinstance(error, errors.EvaluationError):
        cause, code = str(error), error.exit_code
    else:
        cause = f"{at}: {type(error).__name__}: {_one_line(str(error))}"
    return StageFailure(stage.name, heading, cause, code, partial)


def _kernel_died(error: Exception) -> bool:
    return isinstance(error, RuntimeError) and "ernel" in str(error) and ("died" in str(error) or "dead" in str(error).lower())


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"\x1b\[[0-9;]*m", "", str(text))).strip()[:LONGEST_CAUSE]
