"""What a stage's result depends on: the reuse key, and in words what changed since the last one."""

from __future__ import annotations

import os
import platform
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

from evaluation.protocol.load import digest_of

from . import root as project
from .files import sha256_of
from .notebook import StageSource
from .stages import Kind, Stage

SCHEMA = 1
ENGINE = "duckdb"
OWN_DISTRIBUTION = "attendance-mentors-evaluation"


def package_digests(package: Path | None = None) -> dict[str, str]:
    """Digest of each ``.py``, ``.sql`` and data file of the package by relative path, the rendering of prose left out."""
    package = project.PACKAGE if package is None else package
    found = {}
    for folder, folders, files in os.walk(package):
        here = Path(folder)
        folders[:] = sorted(f for f in folders if f != "__pycache__" and (here / f) != package / "reporting" / "render")
        for name in sorted(files):
            if name.endswith((".py", ".sql", ".csv")):
                found[(here / name).relative_to(package).as_posix()] = sha256_of(here / name)
    return found


def beside_digests(root: Path) -> dict[str, str]:
    """Digest of each file below ``notebooks/`` that a notebook could import or run."""
    folder = Path(root) / "notebooks"
    return {p.relative_to(folder).as_posix(): sha256_of(p) for p in sorted(folder.rglob("*"))
            if p.is_file() and p.suffix in (".py", ".sql", ".csv", ".so", ".yaml", ".json") and not {"__pycache__", ".ipynb_checkpoints"} & set(p.parts)
            and p.name != "stage_context.json"}


def render_digests(package: Path | None = None) -> dict[str, str]:
    """Digest of each file that only shapes the rendered page."""
    package = project.PACKAGE if package is None else package
    folder = package / "reporting" / "render"
    return {p.relative_to(package).as_posix(): sha256_of(p) for p in sorted(folder.rglob("*"))
            if p.is_file() and "__pycache__" not in p.parts}


@lru_cache(maxsize=1)
def distribution_versions() -> dict[str, str]:
    """Installed distributions and their versions, read from the folders' names (no metadata is parsed)."""
    found: dict[str, str] = {}
    for entry in sys.path:
        try:
            names = os.listdir(entry or ".")
        except OSError:
            continue
        for name in names:
            if name.endswith(".dist-info"):
                distribution, _, version = name[: -len(".dist-info")].partition("-")
                distribution = distribution.lower().replace("_", "-")
                if distribution != OWN_DISTRIBUTION:
                    found.setdefault(distribution, version)
    return dict(sorted(found.items()))


@lru_cache(maxsize=None)
def dictionary_digest(path: Path) -> str:
    """Digest of one entry of the data dictionary; "absent" where there is none."""
    return sha256_of(path) if path.is_file() else "absent"


def stage_components(root: Path, kind: Kind, stage: Stage, source: StageSource, *, values: dict[str, Any],
                     inputs: dict[str, str], label: str, effects_run: bool, notes: dict[str, str] | None = None) -> dict[str, Any]:
    """All that a stage's result depends on, as plain values.

    ``inputs`` maps each table and raw file that the stage reads to its SHA-256.
    """
    dictionary = Path(root) / "data_dictionary"
    components: dict[str, Any] = {
        "schema": SCHEMA, "kind": kind.name, "stage": stage.name,
        "code": [list(item) for item in source.code.items()],
        "package": package_digests(),
        "beside": beside_digests(root),
        "parameters": values[stage.section],
        "seed": values["execution"]["seed"],
        "inputs": dict(sorted(inputs.items())),
        "dictionary": {t: dictionary_digest(dictionary / f"{t}.yaml") for t in sorted({*stage.reads, *stage.writes, *stage.raw})},
        "contract": {"reads": list(stage.reads), "raw": list(stage.raw), "writes": list(stage.writes)},
        "distributions": distribution_versions(),
        "python": f"{platform.python_implementation()} {platform.python_version()} {platform.machine()} {platform.system()}",
        "engine": ENGINE, "label": label, "effects": effects_run,
    }
    if stage.whole_protocol:
        components["protocol"] = values
        components["notes"] = notes or {}
    return components


def key_of(components: dict[str, Any]) -> str:
    """The reuse key."""
    return digest_of(components)


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What changed between two sets of components, in words, most telling first."""
    said: list[str] = []
    said += _changed_values(old.get("parameters", {}), new["parameters"])
    protocol = _changed_values(old.get("protocol", {}), new.get("protocol", {}))
    said += [text for text in protocol if text not in said]
    if old.get("seed") != new["seed"]:
        said.append(f"seed {old.get('seed')} -> {new['seed']}")
    if old.get("label") != new["label"]:
        said.append(f"data label {old.get('label')} -> {new['label']}")
    if old.get("effects") != new["effects"]:
        said.append("the report kind changed which stages run")
    said += [f"the comment beside {name} changed" for name in _changed_keys(old.get("notes", {}), new.get("notes", {}))[:3]]
    said += [f"input {name} changed" for name in _changed_keys(old.get("inputs", {}), new["inputs"])]
    cells = _changed_keys(dict(old.get("code", [])), dict(new["code"]))
    if old.get("code") != new["code"]:
        said.append("code of the notebook changed" + (f" (cell {', '.join(cells[:3])}{' ...' if len(cells) > 3 else ''})" if cells else " (order of cells)"))
    files = _changed_keys(old.get("package", {}), new["package"])
    if files:
        said.append(f"package changed (evaluation/{', evaluation/'.join(files[:3])}{f' and {len(files) - 3} more' if len(files) > 3 else ''})")
    said += [f"notebooks/{name} changed" for name in _changed_keys(old.get("beside", {}), new["beside"])]
    said += [f"dictionary entry {name} changed" for name in _changed_keys(old.get("dictionary", {}), new["dictionary"])]
    versions = _changed_keys(old.get("distributions", {}), new["distributions"])
    said += [f"{n} {old.get('distributions', {}).get(n, 'absent')} -> {new['distributions'].get(n, 'absent')}" for n in versions[:3]]
    if len(versions) > 3:
        said.append(f"{len(versions) - 3} more distributions changed")
    said += [f"{name} changed" for name in ("python", "engine", "contract", "schema") if old.get(name) != new.get(name)]
    return said


def _changed_keys(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    return sorted(k for k in {*old, *new} if old.get(k) != new.get(k))


def _changed_values(old: Any, new: Any, prefix: str = "") -> list[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        return [text for key in sorted({*old, *new}, key=str)
                for text in _changed_values(old.get(key, _ABSENT), new.get(key, _ABSENT), f"{prefix}.{key}" if prefix else str(key))]
    if old == new:
        return []
    return [f"{prefix} {_short(old)} -> {_short(new)}"]


class _Absent:
    def __repr__(self) -> str:
        return "absent"


_ABSENT = _Absent()


def _short(value: Any) -> str:
    text = repr(value) if not isinstance(value, str) else value
    return text if len(text) <= 60 else f"{text[:57]}..."
