"""A study about to be run: its protocol, its stages' notebooks, its data, and which stored results still hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from evaluation.errors import ContractError
from evaluation.protocol.load import LoadedProtocol, load_protocol
from evaluation.registers.dictionary import load_table

from .data import DataFolder, open_folder, simulated_folder
from .fingerprint import differences, key_of, stage_components
from .notebook import StageSource, check_notebook
from .root import PACKAGE, find_root, shown
from .stages import KINDS, Kind, Stage, load_object, model_of
from .store import StageResult, Store


@dataclass(frozen=True)
class Study:
    """A checked study. ``reports`` is where runs and the store lie."""

    root: Path
    loaded: LoadedProtocol
    kind: Kind
    reports: Path
    sources: dict[str, StageSource]
    data: DataFolder | None

    @cached_property
    def values(self) -> dict[str, Any]:
        """The resolved values of the protocol."""
        return self.loaded.values

    @property
    def name(self) -> str:
        """Short name of the study."""
        return self.values["study"]

    @cached_property
    def store(self) -> Store:
        """The store of stage results."""
        return Store(self.reports)

    @property
    def effects_run(self) -> bool:
        """Whether stages that estimate effects run: not in a formative report."""
        return self.values["report_kind"] != "formative"

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages that this run has."""
        return tuple(s for s in self.kind.stages if self.effects_run or not s.effects)

    @property
    def skipped_tables(self) -> tuple[str, ...]:
        """Tables of stages that a formative run leaves out."""
        return tuple(t for s in self.kind.stages if s not in self.stages for t in s.writes)

    def inputs(self, stage: Stage, results: Mapping[str, StageResult]) -> dict[str, str]:
        """Digest of each table and raw file that a stage reads, given the results of the stages before it."""
        found = {}
        for table in stage.reads:
            if table not in self.skipped_tables:
                found[table] = results[self.kind.writer(table).name].table_digest(table)
        if stage.raw or stage.truth:
            assert self.data is not None
            found |= self.data.inputs(stage.raw)
            if stage.truth and self.data.truth is not None:
                found["truth"] = self.data.files["truth/pupil_effects.parquet"]
        return found

    def components(self, stage: Stage, results: Mapping[str, StageResult]) -> dict[str, Any]:
        """All that the stage's result depends on."""
        return stage_components(self.root, self.kind, stage, self.sources[stage.name], values=self.values,
                                inputs=self.inputs(stage, results), label=self.data.label if self.data else "restricted",
                                effects_run=self.effects_run, notes=self.loaded.notes)

    def why(self, stage: Stage, components: dict[str, Any]) -> str:
        """In words, why a stage runs although an earlier result of this study may be stored."""
        before = self.store.previous(self.name, stage.name)
        if before is None:
            return "first run"
        changed = differences(before["components"], components)
        return "; ".join(changed) if changed else "the stored result is gone or was altered"

    def context(self, stage: Stage, results: Mapping[str, StageResult], folder: Path, mode: str) -> dict[str, Any]:
        """What ``open_stage`` needs to know in the kernel."""
        tables = {t: str(results[self.kind.writer(t).name].table(t).resolve()) for t in stage.reads if t not in self.skipped_tables}
        truth = self.data.truth if self.data else None
        return {
            "root": str(self.root), "package": str(PACKAGE), "kind_module": self.kind.module, "kind": self.kind.name, "stage": stage.name, "mode": mode,
            "folder": str(folder.resolve()), "tables": tables, "skipped": list(self.skipped_tables),
            "data": str(self.data.folder.resolve()) if stage.raw and self.data else None,
            "truth": str(truth.resolve()) if stage.truth and truth else None,
            "label": self.data.label if self.data else "restricted", "seed": self.values["execution"]["seed"],
            "parameters": self.values[stage.section], "protocol": self.values if stage.whole_protocol else None,
            "notes": self.loaded.notes if stage.whole_protocol else {},
        }


def open_study(params: Path | None = None, *, data: Path | None = None, out: Path | None = None, kinds: Mapping[str, Kind] = KINDS,
               announce: Callable[[str], None] = lambda text: None, need_data: bool = True) -> Study:
    """Find the project, load and check the protocol, the notebooks and the data folder; no kernel is started.

    Raises
    ------
    ParameterError, ContractError
        The params file, a notebook or the options are at fault.
    DataError
        The data folder is at fault.
    """
    if params is not None and not Path(params).exists():
        load_protocol(Path(params))
    root = find_root(Path(params).parent if params is not None else Path.cwd())
    if params is None:
        params = root / next(iter(kinds.values())).default_params
    loaded = load_protocol(Path(params), {name: model_of(kind) for name, kind in kinds.items()} if kinds is not KINDS else None)
    kind = kinds[loaded.values["kind"]]
    sources = {stage.name: check_notebook(root, kind, stage) for stage in kind.stages}
    for table in dict.fromkeys(t for stage in kind.stages for t in (*stage.raw, *stage.reads, *stage.writes)):
        load_table(root, table)
    reports = Path(out) if out is not None else root / "reports"
    folder = _data(root, kind, loaded, data, reports, announce) if need_data or data is not None else None
    if folder is not None and folder.label == "restricted":
        _refuse_inside(root, out, folder)
    return Study(root=root, loaded=loaded, kind=kind, reports=reports, sources=sources, data=folder)


def _data(root: Path, kind: Kind, loaded: LoadedProtocol, data: Path | None, reports: Path, announce: Callable[[str], None]) -> DataFolder | None:
    if data is not None:
        return open_folder(root, kind, Path(data))
    if not any(stage.raw for stage in kind.stages):
        return None
    return simulated_folder(root, kind, loaded.values, reports, announce)


def _refuse_inside(root: Path, out: Path | None, folder: DataFolder) -> None:
    because = f" ({folder.notes[0]})" if folder.notes else ""
    if out is None:
        raise ContractError(f"these data count as restricted{because}: results may not land in the project",
                            where=str(folder.folder.name), mend="name a folder outside the project with --out FOLDER")
    inside = Path(out).resolve()
    if inside == root or root in inside.parents:
        raise ContractError(f"these data count as restricted{because}: --out must lie outside the project",
                            where=shown(inside, root), mend="name a folder outside the project with --out FOLDER")


def check_extracts(study: Study) -> tuple[str, ...]:
    """Hold the headers of the extracts against the dictionary; no kernel is started.

    Returns
    -------
    tuple of str
        What was read under another name and the like, a sentence each.

    Raises
    ------
    DataError
        Names the file, the column, the rule and the mend.
    """
    if study.data is None or study.kind.checker is None:
        return ()
    return load_object(study.kind.checker)(study.data.folder, study.root, [table for stage in study.kind.stages for table in stage.raw]) or ()


@dataclass(frozen=True)
class Planned:
    """What would happen to one stage."""

    stage: Stage
    action: str
    why: str
    result: StageResult | None = None


def plan_study(study: Study, *, only: str | None = None, start: str | None = None, fresh: bool = False) -> list[Planned]:
    """What a run would do, stage by stage, without doing it. A stage whose inputs are not known yet is "waits"."""
    planned: list[Planned] = []
    results: dict[str, StageResult] = {}
    ignoring = fresh
    waiting: list[str] = []
    for stage in study.stages:
        ignoring = ignoring or stage.name == start
        awaited = [s for s in waiting if any(study.kind.writer(t).name == s for t in stage.reads if t not in study.skipped_tables)]
        if awaited:
            planned.append(Planned(stage, "waits", f"runs unless {' and '.join(awaited)} gives equal tables again"))
            waiting.append(stage.name)
            continue
        components = study.components(stage, results)
        stored = study.store.find(key_of(components))
        forced = ignoring or stage.name == only
        if stored is not None and not forced:
            results[stage.name] = stored
            planned.append(Planned(stage, "reused", "nothing it depends on changed", stored))
            continue
        why = study.why(stage, components) if stored is None else "asked for"
        planned.append(Planned(stage, "runs", why))
        waiting.append(stage.name)
    return planned


def stored_results(study: Study, stage: Stage) -> dict[str, StageResult]:
    """The stored results of all stages before one.

    Raises
    ------
    ContractError
        One of them is not stored.
    """
    results: dict[str, StageResult] = {}
    for earlier in study.stages:
        if earlier.name == stage.name:
            break
        try:
            stored = study.store.find(key_of(study.components(earlier, results)))
        except KeyError:
            stored = None
        if stored is not None:
            results[earlier.name] = stored
    needed = {study.kind.writer(t).name for t in stage.reads if t not in study.skipped_tables}
    missing = [s.name for s in study.stages if s.name in needed and s.name not in results]
    if missing:
        raise ContractError(f"stage `{stage.name}` reads what {', '.join(missing)} writes, and that is not stored for these parameters and data",
                            mend="run the study without --only first")
    return results


