"""Bad files on purpose: known faults planted in a copy of simulated extracts, with the list of what intake must find.

Row faults stand in the copy itself, so that intake goes through it and must reject just these rows. Faults of whole files, on which
intake must refuse, stand apart in the folder ``whole_files``: each is to be put in place of the sound file, one at a time.
"""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from evaluation.errors import DataError
from evaluation.registers.entries import load_table, table_names

from .fault_rows import COPY_RULE, ROW_FAULTS, MarkFault, mark_faults
from .files import RECORD, digest

LIST = "faults.json"
WHOLE_FILES = "whole_files"
COPIES = COPY_RULE
AS_CSV = "schools"  # the table whose whole-file faults are planted: small, and always needed


@dataclass(frozen=True)
class Fault:
    """One planted fault.

    ``rows`` are file rows counted from 1; ``rule`` is the rule by which intake rejects them, or :data:`COPIES`; for a fault of a whole
    file there are none and ``refused`` holds words that the refusal must contain.
    """

    name: str
    table: str
    file: str
    column: str | None = None
    rows: tuple[int, ...] = field(default=())
    rule: str | None = None
    refused: str | None = None


def plant_faults(folder: Path, target: Path, root: Path, seed: int) -> list[Fault]:
    """Copy simulated extracts and plant faults in the copy.

    Parameters
    ----------
    folder : Path
        Extracts that the simulator wrote.
    target : Path
        Where the copy goes. It gets no truth and no ``simulation.json``, so that it does not count as simulated; small tables become
        CSV, so that a value can be of the wrong type, and ``faults.json`` lists what was planted.
    root : Path
        Root of the project, for the data dictionary.
    seed : int
        Recorded in the list; nothing is drawn.

    Returns
    -------
    list of Fault

    Raises
    ------
    DataError
        ``folder`` was not written by the simulator, or ``target`` holds other files.
    """
    if not (folder / RECORD).is_file():
        raise DataError("faults are planted in simulated extracts only", where=str(folder), mend="simulate the extracts first")
    _make_room(target, root)
    sound = {path.stem: path for path in sorted(folder.glob("*.parquet"))}
    faults = []
    for name, path in sound.items():
        if name == "marks":
            faults += _plant_marks(folder, path, target / path.name)
        elif name in ROW_FAULTS and pq.read_metadata(path).num_rows and name != "deliveries":
            faults += _plant_rows(root, name, path, target / f"{name}.csv")
        elif name != "deliveries":
            shutil.copyfile(path, target / path.name)
    faults += _plant_deliveries(root, sound["deliveries"], target)
    faults += _plant_files(root, sound[AS_CSV], target / WHOLE_FILES)
    (target / LIST).write_text(json.dumps({"seed": seed, "faults": [asdict(fault) for fault in faults]}, indent=1) + "\n", encoding="utf-8")
    return faults


def check_room(target: Path, root: Path) -> None:
    """Refuse a folder that holds anything but an earlier copy with planted faults.

    Raises
    ------
    DataError
        It does, or is a file.
    """
    if not target.exists():
        return
    own = {LIST, WHOLE_FILES, *(f"{name}.{kind}" for name in table_names(root) for kind in ("csv", "parquet"))}
    names = {path.name for path in target.iterdir()} if target.is_dir() else {target.name}
    if names - own or (names and LIST not in names):
        raise DataError("the folder holds files that are no planted faults", where=str(target), mend="give a new or empty folder")


def _make_room(target: Path, root: Path) -> None:
    check_room(target, root)
    if target.exists():
        shutil.rmtree(target)
    target.mkdir(parents=True)


def _as_text(path: Path) -> pd.DataFrame:
    """A small table as CSV would hold it: text throughout, missing values empty."""
    table = pq.read_table(path)
    return pd.DataFrame({name: table[name].cast(pa.string()).fill_null("").to_numpy(zero_copy_only=False) for name in table.column_names}, dtype=object)


def _write_csv(path: Path, frame: pd.DataFrame) -> None:
    frame.to_csv(path, index=False, lineterminator="\n", quoting=csv.QUOTE_MINIMAL, encoding="utf-8")


def _plant_rows(root: Path, name: str, path: Path, target: Path) -> list[Fault]:
    """Append faulty rows to a small table, each a copy of a sound row with a key of its own and some values changed."""
    frame = _as_text(path)
    key = load_table(root, name).primary_key
    new, faults = [], []
    for number, planted in enumerate(ROW_FAULTS[name]):
        at = planted.model(frame)
        if at is None:
            continue
        model = frame.iloc[at]
        rows = []
        for change in planted.changes:
            row = model.copy()
            if planted.own_key:
                row[key[0]] = f"{planted.own_key}{number:03d}"
            for column, value in change.items():
                row[column] = value(model) if callable(value) else value
            new.append(row)
            rows.append(len(frame) + len(new))
        if planted.rule == COPIES:
            rows = rows[1:]
        faults.append(Fault(planted.name, name, target.name, planted.column, tuple(rows), planted.rule))
    _write_csv(target, pd.concat([frame, pd.DataFrame(new)], ignore_index=True))
    return [fault for fault in faults if fault.rule is not None]


def _plant_marks(folder: Path, path: Path, target: Path) -> list[Fault]:
    """Change codes of some marks in place and append others, leaving all row groups but the first and a new last one as they are."""
    source = pq.ParquetFile(path)
    names = ("pupil_id", "school_id", "date", "session", "code")
    first = source.read_row_group(0).to_pandas().astype({name: object for name in names if name != "date"})
    pupils, calendar = (pq.read_table(folder / f"{name}.parquet").to_pandas() for name in ("pupils", "calendar"))
    planted: list[MarkFault] = mark_faults(first, pupils, calendar)
    total, appended, faults = source.metadata.num_rows, [], []
    for fault in planted:
        rows = [position + 1 for position in fault.changed]
        for position, code in fault.changed.items():
            first.loc[position, "code"] = code
        for row in fault.added:
            appended.append(row)
            rows.append(total + len(appended))
        if fault.rule == COPIES:
            rows = rows[-len(fault.added):]
        faults.append(Fault(fault.name, "marks", target.name, fault.column, tuple(sorted([*rows, *(p + 1 for p in fault.also)])), fault.rule))
    schema = pa.schema([(name, pa.date32() if name == "date" else pa.string()) for name in names])
    last = pd.DataFrame(appended, columns=list(names))
    with pq.ParquetWriter(target, schema, compression="zstd", store_schema=False) as writer:
        writer.write_table(pa.Table.from_pandas(first, schema=schema, preserve_index=False))
        for group in range(1, source.num_row_groups):
            writer.write_table(source.read_row_group(group).cast(schema))
        writer.write_table(pa.Table.from_pandas(last, schema=schema, preserve_index=False))
    return faults


def _plant_deliveries(root: Path, path: Path, target: Path) -> list[Fault]:
    """The log of the copy: digests of the files as they are now, and faulty rows of its own."""
    files = {p.stem: p for p in target.iterdir() if p.is_file()}
    frame = pq.read_table(path).to_pandas()
    frame["sha256"] = [digest(files[name]) for name in frame["table"]]
    schema = pq.read_schema(path)
    sound = target / "deliveries.sound.parquet"
    pq.write_table(pa.Table.from_pandas(frame, schema=schema, preserve_index=False), sound)
    faults = _plant_rows(root, "deliveries", sound, target / "deliveries.csv")
    sound.unlink()
    return faults


def _plant_files(root: Path, path: Path, folder: Path) -> list[Fault]:
    """Whole files that intake must refuse, each in a folder of its own."""
    frame = _as_text(path)
    text = frame.to_csv(index=False, lineterminator="\n")
    lines = text.splitlines(keepends=True)
    header = lines[0].rstrip("\n").split(",")
    swapped = ["mentor_school" if name == "mentoring_start" else "mentoring_start" if name == "mentor_school" else name for name in header]
    cut = len(text) - len(lines[-1]) + lines[-1].index(",", lines[-1].index(",") + 1)
    cases = {
        "broken encoding": (text.replace("Simulated school", "Simulated scho\udce9l", 1).encode("utf-8", "surrogateescape"), "UTF-8"),
        "two columns swapped": (text.replace(lines[0], ",".join(swapped) + "\n", 1).encode(), "mentor"),
        "truncated file": (text[:cut].encode(), "schools.csv"),
        "truncated Parquet": (path.read_bytes()[: path.stat().st_size // 2], "cannot be read"),
        "no rows": (lines[0].encode(), "no rows"),
        "empty file": (b"", "empty"),
        "no header": ("".join(lines[1:]).encode(), "lacks column"),
        "a column left out": (frame.drop(columns="phase").to_csv(index=False, lineterminator="\n").encode(), "phase"),
        "a column misspelt": (text.replace("area_name", "area_nmae", 1).encode(), "did you mean `area_name`"),
        "a column nobody declared": (frame.assign(headteacher="A. Person").to_csv(index=False, lineterminator="\n").encode(), "headteacher"),
        "a column twice": (text.replace("area_name", "area_code", 1).encode(), "twice"),
        "a quote that never closes": (text.replace("Simulated", '"Simulated', 1).encode(), "schools.csv"),
    }
    faults = []
    for number, (name, (content, refused)) in enumerate(cases.items(), start=1):
        place = folder / f"{number:02d}" / (f"{path.stem}.parquet" if "Parquet" in name else f"{path.stem}.csv")
        place.parent.mkdir(parents=True)
        place.write_bytes(content)
        faults.append(Fault(name, path.stem, place.relative_to(folder.parent).as_posix(), refused=refused))
    return faults
