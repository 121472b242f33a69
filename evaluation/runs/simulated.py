"""Writing simulated extracts on request: a study's design in a size, and a copy with planted faults."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from evaluation.errors import ParameterError
from evaluation.protocol.load import load_protocol

from .root import find_root
from .stages import KINDS, Kind, load_object

OFTEN = 2.0  # seconds without a word, at most


@dataclass(frozen=True)
class WrittenExtracts:
    """What was written: the folder, rows by table, the size and seed, and the folder of the copy with faults and their number."""

    folder: Path
    size: str
    seed: int
    rows: dict[str, int]
    faulted: Path | None
    faults: int


def write_extracts(start: Path, folder: Path, *, params: Path | None, size: str, seed: int | None, faults: bool,
                   progress: Callable[[str], None] = lambda text: None, kinds: Mapping[str, Kind] | None = None) -> WrittenExtracts:
    """Simulate the design of a params file into a folder.

    Parameters
    ----------
    start : Path
        Where the command was given: the project is the nearest parent, unless ``params`` names a file in another one.
    folder : Path
        Where the extracts go.
    size : str
        See :func:`evaluation.registers.simulator.sizes.sized_design`.
    faults : bool
        Also write a copy with planted faults to the folder's name followed by ``-faults``. The copy holds no truth and no
        ``simulation.json``: it does not count as simulated, as real extracts would not.
    progress : callable
        Called with a sentence when one step or several have taken two seconds.

    Raises
    ------
    ParameterError
        The params file, the size or the kind of study is at fault.
    DataError
        The folder, or that of the copy, holds other files.
    """
    from evaluation.registers.simulator.sizes import sized_design

    kinds = KINDS if kinds is None else kinds
    root = find_root(Path(params).resolve().parent if params is not None else start)
    path = Path(params) if params is not None else root / next(iter(kinds.values())).default_params
    loaded = load_protocol(path)
    kind = kinds[loaded.values["kind"]]
    if kind.simulator is None:
        raise ParameterError(f"a study of kind `{kind.name}` has no simulator: its data are published", where=path.name,
                             mend="give the params file of a trial")
    section = sized_design(root, loaded.section("simulation"), size)
    number = loaded.values["execution"]["seed"] if seed is None else seed
    say = _now_and_then(progress)
    faulted, planted = Path(folder).with_name(f"{Path(folder).name}-faults") if faults else None, 0
    if faulted is not None:
        from evaluation.registers.simulator.faults import check_room, plant_faults

        check_room(faulted, root)
    load_object(kind.simulator)(section, root, Path(folder), number, progress=say)
    if faulted is not None:
        say("planting faults")
        planted = len(plant_faults(Path(folder), faulted, root, number))
    return WrittenExtracts(folder=Path(folder), size=size, seed=number, rows=_rows(Path(folder)), faulted=faulted, faults=planted)


def _now_and_then(progress: Callable[[str], None]) -> Callable[[str], None]:
    """Pass a sentence on when the last one is two seconds old or older."""
    last = time.monotonic()

    def say(sentence: str) -> None:
        nonlocal last
        if time.monotonic() - last >= OFTEN:
            last = time.monotonic()
            progress(sentence)

    return say


def _rows(folder: Path) -> dict[str, int]:
    import pyarrow.parquet as pq

    return {path.stem: pq.read_metadata(path).num_rows for path in sorted(folder.glob("*.parquet"))}


def describe_extracts(written: WrittenExtracts) -> str:
    """What was written, for the terminal."""
    width = max(len(name) for name in written.rows)
    lines = [f"{written.folder}: simulated extracts, size {written.size}, seed {written.seed}"]
    lines += [f"  {name:<{width}} {rows:>12,} rows" for name, rows in written.rows.items()]
    lines += ["  truth/                 what mentoring truly did; no extract"]
    if written.faulted is not None:
        lines += [f"{written.faulted}: a copy with {written.faults} planted faults, listed in faults.json; it does not count as simulated"]
    return "\n".join(lines)
