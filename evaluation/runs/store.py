"""The store of finished stage results: found by reuse key, verified before use, never half written."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation.protocol.load import digest_of

from .files import link_tree, read_json, sha256_of, write_json

STEP = "step.json"


@dataclass(frozen=True)
class StageResult:
    """A finished stage: where its files lie and what ``step.json`` says of them."""

    folder: Path
    step: dict[str, Any]

    @property
    def key(self) -> str:
        """The reuse key under which it was made."""
        return self.step["key"]

    def table(self, name: str) -> Path:
        """Path of one of its tables."""
        return self.folder / "tables" / f"{name}.parquet"

    def table_digest(self, name: str) -> str:
        """SHA-256 of one of its tables."""
        return self.step["outputs"][f"tables/{name}.parquet"]["sha256"]


class Store:
    """Stage results below ``<reports>/.store``."""

    def __init__(self, reports: Path):
        self.folder = Path(reports) / ".store"
        self.stages = self.folder / "stages"
        self.latest = self.folder / "latest"

    def find(self, key: str) -> StageResult | None:
        """The result stored under a key, if its files are all there and unaltered; a damaged one is set aside."""
        folder = self.stages / key
        if not folder.is_dir():
            return None
        try:
            result = StageResult(folder, read_json(folder / STEP))
            sound = result.key == key and digest_of(result.step["components"]) == key and not altered_files(result) and all(
                f"tables/{name}.parquet" in result.step["outputs"] for name in result.step["components"]["contract"]["writes"])
        except (ValueError, OSError, KeyError, TypeError, AttributeError):
            sound = False
        if not sound:
            self._set_aside(folder)
            return None
        return result

    def _set_aside(self, folder: Path) -> None:
        with contextlib.suppress(OSError):
            os.replace(folder, folder.with_name(f"{folder.name}.damaged-{uuid.uuid4().hex[:8]}"))

    def save(self, result: StageResult) -> None:
        """Keep a finished result under its key; one that is stored already stays if its tables are the same."""
        target = self.stages / result.key
        known = self.find(result.key)
        if known is not None and any(known.step["outputs"][n]["sha256"] != said["sha256"] for n, said in result.step["outputs"].items() if n.startswith("tables/")):
            self._set_aside(target)
        if not target.exists():
            beside = self.stages / f"{result.key}.partial-{uuid.uuid4().hex[:8]}"
            beside.mkdir(parents=True)
            try:
                link_tree(result.folder, beside)
                os.replace(beside, target)
            except OSError:
                shutil.rmtree(beside, ignore_errors=True)
                if not target.exists():
                    raise
        self.note_latest(result)

    def note_latest(self, result: StageResult, study: str | None = None) -> None:
        """Remember the newest result of a study's stage, so that the next run can say what changed."""
        step = result.step
        with contextlib.suppress(OSError):  # a hint for messages: a run does not fail for it
            self.latest.mkdir(parents=True, exist_ok=True)
            write_json(self._latest_path(study or step["study"], step["stage"]), {"key": result.key, "seconds": step["seconds"], "components": step["components"]})

    def _latest_path(self, study: str, stage: str) -> Path:
        return self.latest / f"{study}-{stage}.json"

    def previous(self, study: str, stage: str) -> dict[str, Any] | None:
        """Key, seconds and components of the newest result of a study's stage, for comparison; None if there is none."""
        try:
            said = read_json(self._latest_path(study, stage))
            return said if isinstance(said["components"], dict) and said["seconds"] >= 0 else None
        except (OSError, ValueError, KeyError, TypeError):
            return None


def altered_files(result: StageResult) -> list[str]:
    """Files of a result that are gone or differ from what ``step.json`` says."""
    altered = []
    for name, said in result.step["outputs"].items():
        path = result.folder / name
        if not path.is_file() or sha256_of(path) != said["sha256"]:
            altered.append(name)
    return altered
