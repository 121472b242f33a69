"""The manifest of a run: everything that another evaluator needs to know to trust and repeat it."""

from __future__ import annotations

import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .fingerprint import ENGINE, distribution_versions
from .store import StageResult

if TYPE_CHECKING:
    from .run import StageOutcome
    from .study import Study

SCHEMA = 2
KEY_VERSIONS = ("duckdb", "matplotlib", "nbconvert", "numpy", "pandas", "pandera", "papermill", "pyarrow", "pydantic", "scipy", "statsmodels")


def build_manifest(study: Study, outcomes: dict[str, StageOutcome], folder: Path, *, kind: str, started: datetime, command: str,
                   report: dict[str, Any], commit: dict[str, Any]) -> dict[str, Any]:
    """The manifest as plain values: relative paths, no pupil data."""
    values = study.values
    return {
        "schema_version": SCHEMA, "run_id": folder.name, "kind": kind, "study": study.name, "study_kind": study.kind.name,
        "data_label": study.data.label if study.data else "restricted",
        "data_notes": list(study.data.notes) if study.data else [],
        "started": f"{started:%Y-%m-%dT%H:%M:%SZ}", "finished": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "protocol": values, "protocol_digest": study.loaded.digest,
        "amendments": values["amendments"], "deviations": [],
        **origin_of(study, commit, command),
        "engine": ENGINE,
        "stages": [_stage(name, outcome) for name, outcome in outcomes.items()],
        "headline": _headline(outcomes),
        "report": {name: said for name, said in report.items() if name not in ("release", "disclosure_log")},
        "disclosure_log": report.get("disclosure_log", []),
        "release": report.get("release", {}),
    }


def origin_of(study: Study, commit: dict[str, Any], command: str) -> dict[str, Any]:
    """What another evaluator needs to repeat the run."""
    versions = distribution_versions()
    return {**commit, "command": command, "python": platform.python_version(), "versions": {n: versions[n] for n in KEY_VERSIONS if n in versions},
            "seed": study.values["execution"]["seed"], "inputs": _inputs(study)}


ORIGIN = ("commit", "dirty", "command", "python", "versions", "seed", "inputs")
"""The parts of a manifest that :func:`origin_of` gives."""


def _stage(name: str, outcome: StageOutcome) -> dict[str, Any]:
    step = outcome.result.step
    return {"name": name, "key": step["key"], "why": outcome.why, "reused": outcome.reused, "seconds": step["seconds"],
            "cells": step["cells"], "outputs": step["outputs"]}


def _inputs(study: Study) -> list[dict[str, Any]]:
    if study.data is None:
        return []
    found = []
    for table, name in sorted(study.data.tables.items()):
        rows, columns = _size(study.data.folder / name)
        found.append({"table": table, "file": name, "label": study.data.label, "sha256": study.data.files[name], "rows": rows, "columns": columns})
    return found


def _size(path: Path) -> tuple[int | None, int | None]:
    if path.suffix != ".parquet":
        return None, None
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_metadata(path)
    except Exception:  # noqa: BLE001 - the stage that reads the file says what is wrong with it
        return None, None
    return metadata.num_rows, metadata.num_columns


def _headline(outcomes: dict[str, StageOutcome]) -> list[dict[str, Any]]:
    """The rows of the table ``headline``, where a stage wrote it."""
    for outcome in outcomes.values():
        if "tables/headline.parquet" in outcome.result.step["outputs"]:
            return _rows(outcome.result)
    return []


def _rows(result: StageResult) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    return pq.read_table(result.table("headline")).to_pylist()


def commit_of(root: Path) -> dict[str, Any]:
    """The commit of the checkout and whether it has changes; both unknown where there is no git."""
    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=10, check=True)
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip()

    commit = git("rev-parse", "HEAD")
    dirty = git("status", "--porcelain") if commit else None
    return {"commit": commit, "dirty": None if dirty is None else bool(dirty)}
