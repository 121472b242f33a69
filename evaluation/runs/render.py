"""Rendering a finished run again: its stored outputs with the prose, template and sign-off as they stand now. Nothing is run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from evaluation.errors import ContractError
from evaluation.protocol.load import digest_of

from .assurance import ASSURANCE, read_assurance
from .clearance import RunClearance
from .files import read_json, sha256_of, write_json
from .manifest import ORIGIN, SCHEMA
from .notebook import StageSource, read_source
from .release import refuse_shown, write_out
from .reports import Material
from .root import shown
from .run import RUN
from .stages import KINDS, Kind, folder_of
from .store import STEP, StageResult, Store
from .summary import describe_unfinished

if TYPE_CHECKING:
    from .progress import Reporter

BY_HAND = "stage_context.json"
RUN_AGAIN = "run the study again"


def render_run(root: Path, folder: Path, reporter: Reporter, *, kinds: Mapping[str, Kind] | None = None, axe: bool = False,
               earlier: Path | None = None) -> dict[str, Any]:
    """Write the report of a finished run anew, and its release.

    Parameters
    ----------
    root : Path
        The project, whose notebooks give the prose.
    folder : Path
        The run's folder.
    reporter : Reporter
    kinds : mapping, optional
        Kinds of study; the project's own when not given.
    axe : bool
        Hold both editions against axe-core in a browser as well.
    earlier : Path, optional
        The folder ``release`` of an earlier run, which the new release must not be set off against.

    Returns
    -------
    dict
        ``files`` (digest by path), ``checks``, ``reused``.

    Raises
    ------
    ContractError
        The run did not finish, is not whole, was made by hand, or was altered since; the reason is told and nothing is written.
    ParameterError
        ``assurance.yaml`` breaks a rule.
    GateError
        An edition did not pass; nothing was written.
    """
    folder = Path(folder)
    manifest = _manifest(folder)
    kind = _kind(manifest, KINDS if kinds is None else kinds)
    _refuse_altered(folder, manifest)
    stages = tuple(said["name"] for said in manifest["stages"])
    sources = {name: _source(root, kind, name, folder, reporter) for name in stages}
    material = Material(
        values=manifest["protocol"], protocol_digest=manifest["protocol_digest"], label=manifest["data_label"], stages=stages, sources=sources,
        results={name: StageResult(folder / folder_of(name), read_json(folder / folder_of(name) / STEP)) for name in stages},
        origin={name: manifest[name] for name in ORIGIN}, store=Store(folder.parent).folder)
    assurance = read_assurance(folder)
    refuse_shown(material)
    report = write_out(RunClearance(material, root, earlier), folder, reporter, assurance=assurance, axe=axe)
    if assurance is not None and report["checks"]["standing"] == "draft":
        reporter.say(f"{ASSURANCE} signs another content than this one, so the report is a draft (digest now {report['checks']['run_digest']})")
    _note(folder, report)
    log, release = report.pop("disclosure_log"), report.pop("release")
    write_json(folder / RUN, {**manifest, "report": report, "disclosure_log": log, "release": release})
    return report


def _manifest(folder: Path) -> dict[str, Any]:
    where = folder.name
    if (folder / BY_HAND).exists():
        raise ContractError("this was made by hand: interactive results enter no report", where=where, mend=RUN_AGAIN)
    if not (folder / RUN).is_file():
        raise ContractError(f"this run cannot be rendered. {describe_unfinished(folder)}", where=where, mend="give the run's command again to finish it")
    try:
        manifest = read_json(folder / RUN)
        kind, schema = manifest["kind"], manifest["schema_version"]
    except (ValueError, KeyError, TypeError) as error:
        raise ContractError("run.json cannot be read", where=where, mend=RUN_AGAIN) from error
    if schema != SCHEMA:
        raise ContractError(f"run.json is of version {schema}, this package reads version {SCHEMA}", where=where, mend=RUN_AGAIN)
    if kind != "full":
        raise ContractError(f"a {kind} run has no report: only a run of all stages has one", where=where, mend=RUN_AGAIN)
    return manifest


def _kind(manifest: dict[str, Any], kinds: Mapping[str, Kind]) -> Kind:
    if manifest["study_kind"] not in kinds:
        raise ContractError(f"there is no kind of study `{manifest['study_kind']}`", where=manifest["run_id"], mend=f"known kinds are {', '.join(kinds)}")
    return kinds[manifest["study_kind"]]


def _refuse_altered(folder: Path, manifest: dict[str, Any]) -> None:
    """Refuse a run whose files are not those that it wrote; the report's own files are about to be written anew."""
    altered = []
    if folder.name != manifest["run_id"]:
        altered.append(f"the folder is called {folder.name}, the run {manifest['run_id']}")
    if digest_of(manifest["protocol"]) != manifest["protocol_digest"]:
        altered.append("run.json: the protocol is not the one of its digest")
    try:
        if yaml.safe_load((folder / "protocol.yaml").read_text(encoding="utf-8")) != manifest["protocol"]:
            altered.append("protocol.yaml")
    except (OSError, ValueError, yaml.YAMLError):
        altered.append("protocol.yaml")
    for said in manifest["stages"]:
        altered += _altered_in(folder / folder_of(said["name"]), said)
    if altered:
        more = f" and {len(altered) - 5} more" if len(altered) > 5 else ""
        raise ContractError(f"altered since the run: {', '.join(altered[:5])}{more}", where=manifest["run_id"],
                            mend="restore the files, or run the study again; an altered run is never rendered")


def _altered_in(folder: Path, said: dict[str, Any]) -> list[str]:
    """What differs in one stage from what the manifest and the stage's own record say of it."""
    name = said["name"]
    try:
        step = read_json(folder / STEP)
        if step["outputs"] != said["outputs"] or step["key"] != said["key"] or digest_of(step["components"]) != said["key"]:
            return [f"{name}/{STEP}"]
    except (OSError, ValueError, KeyError, TypeError):
        return [f"{name}/{STEP}"]
    found = []
    for output, values in said["outputs"].items():
        path = folder / output
        if not path.is_file() or sha256_of(path) != values["sha256"]:
            found.append(f"{name}/{output}")
    known = set(said["outputs"])
    extra = [f"{name}/{p.relative_to(folder).as_posix()}" for part in ("tables", "figures") for p in sorted((folder / part).glob("*"))
             if p.relative_to(folder).as_posix() not in known]
    return [*found, *extra]


def _source(root: Path, kind: Kind, name: str, folder: Path, reporter: Reporter) -> StageSource | None:
    """A stage's notebook if its code is what ran, so that its prose may stand beside these outputs; else None."""
    executed = json.loads((folder / folder_of(name) / "executed.ipynb").read_text(encoding="utf-8"))
    try:
        source = read_source(root, kind.stage(name))
        ran = StageSource(source.path, tuple(c for c in executed["cells"] if "injected-parameters" not in c.get("metadata", {}).get("tags", [])), executed)
        if {i: s for i, s in source.code.items()} == {i: s for i, s in ran.code.items()}:
            return source
    except ContractError:
        pass
    reporter.say(f"{name}: the code of its notebook has changed since, so its prose stays as it was run ({shown(folder)})")
    return None


def _note(folder: Path, report: dict[str, Any]) -> None:
    line = {"time": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}", "event": "reports rendered again", "files": sorted(report["files"]), "standing": report["checks"]["standing"]}
    with (folder / "events.jsonl").open("a", encoding="utf-8") as handle:
        handle.write(json.dumps(line, sort_keys=True, ensure_ascii=False) + "\n")
