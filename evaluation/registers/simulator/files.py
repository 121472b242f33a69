"""Writing simulated extracts: Parquet with the dictionary's columns, and the record that marks a folder as simulated."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from evaluation.registers.dictionary import check_frame, load_table

from .sessions import CODES

SCHEMA_VERSION = 1
RECORD = "simulation.json"
ROW_GROUP = 1 << 20
ARROW = {"string": pa.string(), "integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_(), "date": pa.date32()}


def write_table(root: Path, folder: Path, name: str, frame: pd.DataFrame) -> None:
    """Write a small extract table after holding it against its dictionary entry; missing values are NULL, never NaN."""
    table = load_table(root, name)
    checked = check_frame(table, frame)
    schema = pa.schema([(column.name, ARROW[column.type]) for column in table.columns])
    pq.write_table(pa.Table.from_pandas(checked, schema=schema, preserve_index=False).replace_schema_metadata(None),
                   folder / f"{name}.parquet", compression="zstd")


class MarksFile:
    """Collects half-terms of codes and writes them in order of pupil, date and session."""

    def __init__(self, pupils: int, days: pd.DataFrame):
        self.days = days
        self.codes = np.full((pupils, len(days), 2), 255, dtype=np.uint8)

    def add(self, rows: np.ndarray, positions: np.ndarray, codes: np.ndarray) -> None:
        """Add the codes of pupils ``rows`` on the school days at ``positions``."""
        self.codes[rows, positions[0] : positions[-1] + 1] = codes

    def write(self, path: Path, names: np.ndarray) -> int:
        """Write the file; returns the number of marks."""
        dates = self.days["date"].to_numpy().astype("datetime64[D]")
        pupils = pa.array(names.astype(object), pa.string())
        sessions, codes = pa.array(["AM", "PM"]), pa.array(CODES)
        kind = pa.dictionary(pa.int32(), pa.string())
        schema = pa.schema([("pupil_id", kind), ("date", pa.date32()), ("session", kind), ("code", kind)])
        written = 0
        step = max(1, ROW_GROUP // (2 * len(dates)))
        day = np.repeat(dates, 2)
        session = np.tile(np.array([0, 1], dtype=np.int32), len(dates))
        with pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=True, store_schema=False) as writer:
            for first in range(0, len(self.codes), step):
                block = self.codes[first : first + step].reshape(len(self.codes[first : first + step]), -1)
                who, slot = np.nonzero(block != 255)
                columns = [
                    pa.DictionaryArray.from_arrays(pa.array((who + first).astype(np.int32)), pupils),
                    pa.array(day[slot]),
                    pa.DictionaryArray.from_arrays(pa.array(session[slot]), sessions),
                    pa.DictionaryArray.from_arrays(pa.array(block[who, slot].astype(np.int32)), codes),
                ]
                writer.write_table(pa.Table.from_arrays(columns, schema=schema), row_group_size=ROW_GROUP)
                written += len(who)
        return written


def write_truth(folder: Path, names: np.ndarray, possible: np.ndarray, absent: np.ndarray, untreated: np.ndarray) -> None:
    """Write what happened to every pupil and half-term with and without support (arrays pupils x half-terms)."""
    (folder / "truth").mkdir(exist_ok=True)
    who, half_term = np.nonzero(possible >= 0)
    table = pa.table({
        "pupil_id": pa.array(names[who].astype(object), pa.string()),
        "half_term": pa.array(half_term + 1, pa.int64()),
        "possible": pa.array(possible[who, half_term].astype(np.int64)),
        "absent": pa.array(absent[who, half_term].astype(np.int64)),
        "possible_untreated": pa.array(possible[who, half_term].astype(np.int64)),
        "absent_untreated": pa.array(untreated[who, half_term].astype(np.int64)),
    })
    pq.write_table(table, folder / "truth" / "pupil_effects.parquet", compression="zstd")


def write_record(folder: Path, seed: int) -> None:
    """Write ``simulation.json`` last: the seed, and the SHA-256 of every file of the folder."""
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != RECORD:
            with path.open("rb") as stream:
                files[path.relative_to(folder).as_posix()] = hashlib.file_digest(stream, "sha256").hexdigest()
    record = {"schema_version": SCHEMA_VERSION, "label": "simulated", "seed": seed, "files": files}
    (folder / RECORD).write_text(json.dumps(record, indent=2, sort_keys=True) + "\n", encoding="utf-8")
