"""The data folder of a run: where it is, what it may be called, and the digest of each file in it."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evaluation.errors import DataError
from evaluation.protocol.load import digest_of
from evaluation.registers.dictionary import load_table
from evaluation.registers.extracts import find_file, superseded_files
from evaluation.registers.pseudonyms import key_mark, read_key

from .files import read_json, sha256_of
from .fingerprint import distribution_versions, package_digests
from .stages import Kind, load_object

MANIFEST = "simulation.json"
TRUTH = "truth/pupil_effects.parquet"


@dataclass(frozen=True)
class DataFolder:
    """A folder of extracts with its label (simulated, published or restricted) and its files' digests.

    ``tables`` names the file of each table that is there, ``superseded`` earlier deliveries of tables, ``key_mark`` tells
    which pseudonym key is set.
    """

    folder: Path
    label: str
    files: dict[str, str]
    tables: dict[str, str]
    notes: tuple[str, ...] = field(default=())
    superseded: tuple[str, ...] = field(default=())
    key_mark: str = ""

    def digest(self, table: str) -> str | None:
        """SHA-256 of the file that holds a table; None for an optional table that is absent."""
        return self.files[self.tables[table]] if table in self.tables else None

    def inputs(self, tables: Iterable[str]) -> dict[str, str]:
        """What a stage that reads these tables depends on, by name."""
        found = {f"extract {t}": f"{Path(self.tables[t]).suffix} {self.digest(t)}" if t in self.tables else "not supplied" for t in tables}
        found |= {f"extract {name}": self.files[name] for name in self.superseded}
        return found | ({"pseudonym key": self.key_mark} if self.key_mark else {})

    @property
    def truth(self) -> Path | None:
        """The simulated truth, where the data are simulated and it is there."""
        path = self.folder / TRUTH
        return path if self.label == "simulated" and TRUTH in self.files and path.is_file() else None


def open_folder(root: Path, kind: Kind, folder: Path) -> DataFolder:
    """Look at a data folder: every raw table of the kind must be there as one Parquet or CSV file.

    Raises
    ------
    DataError
        The folder or a table is absent, a file is empty, two files claim one table, or a path leads outside.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError("there is no such data folder", where=str(folder), mend="give the folder that holds the extracts with --data")
    tables: dict[str, str] = {}
    for table in dict.fromkeys(t for stage in kind.stages for t in stage.raw):
        path = find_file(folder, table, optional=load_table(root, table).optional)
        if path is not None:
            tables[table] = path.name
    superseded = superseded_files(folder, tables) if "deliveries" in tables else ()
    files = {name: sha256_of(folder / name) for name in (*tables.values(), *superseded)}
    label, notes, more = _label(root, folder, tables, files)
    return DataFolder(folder=folder, label=label, files={**files, **more}, tables=tables, notes=notes, superseded=superseded,
                      key_mark=key_mark(read_key(root)))


def _label(root: Path, folder: Path, tables: dict[str, str], files: dict[str, str]) -> tuple[str, tuple[str, ...], dict[str, str]]:
    manifest = folder / MANIFEST
    if manifest.is_file():
        try:
            said: dict[str, str] = dict(read_json(manifest)["files"])
        except (ValueError, KeyError, TypeError):
            said = {}
        if any(Path(name).is_absolute() or ".." in Path(name).parts for name in said):
            return "restricted", (f"{MANIFEST} names files outside the folder: the data are treated as restricted",), {}
        unlisted = sorted(set(files) - set(said))
        more = {name: sha256_of(folder / name) for name in said if name not in files and (folder / name).is_file()}
        wrong = sorted(name for name, digest in said.items() if {**files, **more}.get(name) != digest)
        if said and not unlisted and not wrong:
            return "simulated", (), more
        return "restricted", (f"{MANIFEST} does not fit the files ({', '.join((unlisted + wrong)[:3]) or 'it lists none'}): "
                              "the data are treated as restricted",), {}
    known = {table: load_table(root, table).published_sha256 for table in tables}
    if known and all(files[name] in known[table] for table, name in tables.items()):
        return "published", (), {}
    return "restricted", (), {}


def simulated_folder(root: Path, kind: Kind, values: dict[str, Any], reports: Path,
                     announce: Callable[[str], None] = lambda text: None) -> DataFolder:
    """The simulated extracts of a study that was given no data: made once, found again by their key.

    Raises
    ------
    DataError
        This kind of study has no simulator and needs ``--data``.
    """
    if kind.simulator is None:
        raise DataError(f"a study of kind `{kind.name}` needs data", mend="give the folder that holds them: --data FOLDER")
    sources = tuple(f"{room}/" for room in kind.simulator_sources)
    key = digest_of({
        "parameters": values["simulation"], "seed": values["execution"]["seed"],
        "package": {n: d for n, d in package_digests().items() if n.startswith(sources)},
        "dictionary": {t: load_table(root, t).path.read_text(encoding="utf-8") for s in kind.stages for t in s.raw},
        "distributions": {n: v for n, v in distribution_versions().items() if n in ("numpy", "pyarrow", "pandas", "holidays")},
    })
    folder = Path(reports) / ".store" / "extracts" / key
    data = _found_again(root, kind, folder)
    if data is not None:
        return data
    announce("simulating the extracts")
    beside = folder.with_name(f"{key}.partial-{uuid.uuid4().hex[:8]}")
    beside.mkdir(parents=True)
    try:
        _simulate(root, kind, values, beside)
        try:
            os.replace(beside, folder)
        except OSError:
            if not (folder / MANIFEST).is_file():
                raise
            shutil.rmtree(beside, ignore_errors=True)  # another run was first
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    return open_folder(root, kind, folder)


def _found_again(root: Path, kind: Kind, folder: Path) -> DataFolder | None:
    """Stored extracts that are whole; damaged ones are set aside."""
    try:
        data = open_folder(root, kind, folder)
    except DataError:
        data = None
    if data is not None and data.label == "simulated":
        return data
    with contextlib.suppress(FileNotFoundError):
        os.replace(folder, folder.with_name(f"{folder.name}.damaged-{uuid.uuid4().hex[:8]}"))
    return None


def _simulate(root: Path, kind: Kind, values: dict[str, Any], folder: Path) -> None:
    from evaluation.protocol.load import validate

    from .stages import section_model

    section = validate(section_model(kind, "simulation"), values["simulation"])
    load_object(kind.simulator)(section, Path(root), folder, values["execution"]["seed"])
