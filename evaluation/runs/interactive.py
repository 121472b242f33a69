"""Notebooks opened by hand: what they read, where they write, and working copies with a run's values."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evaluation.errors import ContractError, DataError, StageError

from .files import read_json, write_atomically, write_json
from .notebook import is_tagged, read_source, source_of
from .root import PACKAGE
from .run import RUN, find_run, run_study
from .stage import CONTEXT_FILE
from .stages import KINDS, Kind, Stage, find_kind, folder_of
from .store import STEP, StageResult
from .study import Study, open_study, stored_results

DATA_VARIABLE = "EVALUATION_DATA"
FOLDER = "by_hand"  # not hidden: Jupyter servers do not show hidden folders


def default_context(stage: str, kind: str | None) -> dict[str, Any]:
    """The context of a notebook opened by hand in ``notebooks/``: the default study of its kind, with earlier stages
    that are not stored run first. What the notebook writes stays below ``reports/by_hand``.

    Raises
    ------
    DataError
        The default study needs data, and the environment names no folder.
    StageError
        An earlier stage failed.
    """
    found = find_kind(KINDS, stage, kind)
    study = _default_study(found)
    declared = found.stage(stage)
    try:
        results = stored_results(study, declared)
    except ContractError:
        print("Earlier stages of the default study run first; this is done once.", flush=True)
        _run_before(study, stage)
        results = stored_results(study, declared)
    folder = study.reports / FOLDER / f"{study.name}-{stage}"
    return study.context(declared, results, folder, "interactive")


def _default_study(kind: Kind) -> Study:
    from .root import find_root

    root = find_root(Path.cwd())
    data = os.environ.get(DATA_VARIABLE)
    if kind.simulator is None and not data:
        raise DataError(f"the default study of kind `{kind.name}` needs data", where=f"environment variable {DATA_VARIABLE}",
                        mend=f"set {DATA_VARIABLE} to the folder that holds {', '.join(dict.fromkeys(t for s in kind.stages for t in s.raw))} before JupyterLab starts, "
                             "or run the study once and use `evaluation open`")
    return open_study(root / kind.default_params, data=Path(data) if data and kind.simulator is None else None,
                      announce=lambda text: print(f"{text} ...", flush=True))


def _run_before(study: Study, stage: str) -> None:
    """Run the earlier stages in a process of their own: a kernel cannot run papermill inside itself."""
    command = [sys.executable, "-m", "evaluation.runs.interactive", str(study.loaded.path), stage]
    command += [str(study.data.folder)] if study.data is not None and study.kind.simulator is None else []
    process = subprocess.Popen(command, cwd=study.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip())
        print(line, end="", flush=True)
    if process.wait() != 0:
        raise StageError(f"an earlier stage failed: {' '.join(lines[-4:])}", where=f"before stage `{stage}`", mend="mend that stage first")


def _main() -> None:
    """``python -m evaluation.runs.interactive PARAMS STAGE [DATA]``: run the stages before one."""
    from evaluation.errors import EvaluationError

    from .execute import StageFailure
    from .summary import describe_failure

    params, stage, *data = sys.argv[1:]
    try:
        study = open_study(Path(params), data=Path(data[0]) if data else None, announce=lambda text: print(f"{text} ...", flush=True))
        run_study(study, until=stage, command=f"earlier stages of {stage}")
    except StageFailure as failure:
        print(describe_failure(failure))
        sys.exit(failure.exit_code)
    except EvaluationError as error:
        print(error)
        sys.exit(error.exit_code)


def make_working_copy(root: Path, reports: Path, stage: str, wanted: str | None, kinds: Mapping[str, Kind] | None = None) -> Path:
    """Copy a stage's notebook to a folder of its own with a run's values and tables.

    Parameters
    ----------
    root, reports : Path
        The project and the folder of runs.
    stage : str
        The stage to open.
    wanted : str or None
        A run's folder or name; the newest finished run that has the stage when None.

    Returns
    -------
    Path
        The copied notebook. Nothing that it writes enters the run or the store.

    Raises
    ------
    ContractError
        There is no such run or stage, or the run's tables were altered.
    """
    kinds = KINDS if kinds is None else kinds
    folder = find_run(reports, wanted) if wanted is not None else _newest_with(reports, stage)
    if not (folder / RUN).is_file():
        raise ContractError("this run did not finish", where=folder.name, mend="give a finished run")
    manifest = read_json(folder / RUN)
    kind = kinds[manifest["study_kind"]]
    declared = kind.stage(stage)
    source = read_source(root, declared)
    place = folder.parent / FOLDER / f"{stage}-{folder.name}"
    place.mkdir(parents=True, exist_ok=True)
    target = _free_name(place / source.path.name)
    write_json(place / CONTEXT_FILE, _run_context(root, kind, declared, manifest, folder, place))
    notebook = copy.deepcopy(source.notebook)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code" and is_tagged(cell, "parameters"):
            cell["source"] = _with_values(source_of(cell), manifest["protocol"][declared.section])
    write_atomically(target, json.dumps(notebook, ensure_ascii=False, indent=1) + "\n")
    return target


def _free_name(path: Path) -> Path:
    """A name that no file has: a working copy that somebody changed is never overwritten."""
    copies = (path.with_stem(f"{path.stem}-{n}") for n in range(2, 1000))
    return next(p for p in (path, *copies) if not p.exists())


def _newest_with(reports: Path, stage: str) -> Path:
    found = sorted(p.parent for p in Path(reports).glob(f"*/{RUN}") if any(s["name"] == stage for s in read_json(p)["stages"]))
    if not found:
        raise ContractError(f"no finished run has stage `{stage}`", mend="run a study first: evaluation run")
    return found[-1]


def _run_context(root: Path, kind: Kind, stage: Stage, manifest: dict[str, Any], folder: Path, place: Path) -> dict[str, Any]:
    from .store import altered_files

    tables, skipped = {}, []
    present = {s["name"] for s in manifest["stages"]}
    for table in stage.reads:
        writer = kind.writer(table).name
        if writer in present:
            result = StageResult(folder / folder_of(writer), read_json(folder / folder_of(writer) / STEP))
            altered = altered_files(result)
            if altered:
                raise ContractError(f"{', '.join(altered)} changed since the run", where=f"{folder.name}/{writer}", mend="run the study again")
            tables[table] = str(result.table(table).resolve())
        else:
            skipped.append(table)
    protocol = manifest["protocol"]
    data = _data_of(folder, manifest)
    return {
        "root": str(root), "package": str(PACKAGE), "kind_module": kind.module, "kind": kind.name, "stage": stage.name, "mode": "interactive",
        "folder": str(place.resolve()), "tables": tables, "skipped": skipped,
        "data": str(data) if stage.raw and data else None,
        "truth": str(data / "truth" / "pupil_effects.parquet") if stage.truth and data and (data / "truth" / "pupil_effects.parquet").is_file() else None,
        "label": manifest["data_label"], "seed": manifest["seed"], "parameters": protocol[stage.section],
        "protocol": protocol if stage.whole_protocol else None,
        "notes": read_json(folder / folder_of(stage.name) / STEP)["components"].get("notes", {}) if stage.whole_protocol and stage.name in present else {},
    }


def _data_of(folder: Path, manifest: dict[str, Any]) -> Path | None:
    """The data folder of a run, where it can be found again: the store's extracts with the same digests, or the
    folder that the environment names."""
    wanted = {i["file"]: i["sha256"] for i in manifest["inputs"]}
    named = os.environ.get(DATA_VARIABLE)
    for candidate in [*sorted((folder.parent / ".store" / "extracts").glob("*/simulation.json")), *([Path(named) / "x"] if named else [])]:
        place = candidate.parent
        if candidate.name == "simulation.json":
            said = read_json(candidate).get("files", {})
            if wanted and all(said.get(n) == digest for n, digest in wanted.items()):
                return place.resolve()
        elif all((place / n).is_file() for n in wanted):
            return place.resolve()
    return None


def _with_values(cell: str, values: dict[str, Any]) -> str:
    """A parameters cell with other values, its names and types kept."""
    import ast

    lines = cell.splitlines()
    for node in reversed(ast.parse(cell).body):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id in values:
            text = f"{node.target.id}: {ast.unparse(node.annotation)} = {values[node.target.id]!r}"
            tail = lines[node.end_lineno - 1][node.end_col_offset:]
            lines[node.lineno - 1: node.end_lineno] = [text + tail]
    return "\n".join(lines)


def launch_lab(notebook: Path) -> None:
    """Start JupyterLab on a working copy, its kernels being this interpreter; returns when the server ends."""
    subprocess.run([sys.executable, "-m", "jupyter", "lab", str(notebook), *lab_options()], check=False)


def lab_options() -> list[str]:
    """Options that make a Jupyter server start our interpreter and no other kernel."""
    return ["--ServerApp.kernel_spec_manager_class=evaluation.runs.kernel.OwnInterpreter"]


if __name__ == "__main__":
    _main()
