"""Writing simulated extracts: Parquet with the dictionary's columns, and the record that marks a folder as simulated."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from evaluation.protocol.simulation import SimulatedDeliveries
from evaluation.registers.calendar import HALF_TERMS_A_YEAR
from evaluation.registers.dictionary import check_frame, load_table

SCHEMA_VERSION = 1
RECORD = "simulation.json"
ARROW = {"string": pa.string(), "integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_(), "date": pa.date32()}
OF_THE_PROGRAMME = ("barriers", "costs", "meetings", "programmes", "referrals", "survey_items", "survey_scales")


def write_table(root: Path, folder: Path, name: str, frame: pd.DataFrame) -> None:
    """Write a small extract table after holding it against its dictionary entry; missing values are NULL, never NaN."""
    table = load_table(root, name)
    checked = check_frame(table, frame)
    schema = pa.schema([(column.name, ARROW[column.type]) for column in table.columns if column.name in checked.columns])
    pq.write_table(pa.Table.from_pandas(checked, schema=schema, preserve_index=False).replace_schema_metadata(None),
                   folder / f"{name}.parquet", compression="zstd")


def write_absence(folder: Path, counts: tuple[np.ndarray, ...], names: np.ndarray, school_ids: list[str], years: list[str]) -> None:
    """Write ``absence_by_period`` by half-term, in order of its key.

    Parameters
    ----------
    counts : tuple of ndarray
        Pupil, school, half-term of the study, and possible, authorised and unauthorised sessions, ordered by the first three.
    years : list of str
        Academic years in order.
    """
    who, school, half_term, possible, authorised, unauthorised = counts
    kept = possible > 0

    def words(values: np.ndarray, of: list) -> pa.DictionaryArray:
        return pa.DictionaryArray.from_arrays(pa.array(values[kept].astype(np.int32)), pa.array(of, pa.string()))

    table = pa.table({
        "pupil_id": words(who, names.astype(object)), "school_id": words(school, school_ids), "academic_year": words((half_term - 1) // HALF_TERMS_A_YEAR, years),
        "period_kind": words(np.zeros(len(who)), ["half_term"]), "period": pa.array(((half_term - 1) % HALF_TERMS_A_YEAR + 1)[kept], pa.int64()),
        "sessions_possible": pa.array(possible[kept], pa.int64()), "sessions_authorised": pa.array(authorised[kept], pa.int64()),
        "sessions_unauthorised": pa.array(unauthorised[kept], pa.int64()),
    })
    pq.write_table(table, folder / "absence_by_period.parquet", compression="zstd", store_schema=False)


def delivery_table(design: SimulatedDeliveries, folder: Path) -> pd.DataFrame:
    """Extract table ``deliveries`` for the tables that are in a folder: one first delivery of each."""
    paths = sorted(folder.glob("*.parquet"))
    return pd.DataFrame({
        "delivery_id": [f"D{position + 1:02d}" for position in range(len(paths))],
        "supplier": [design.programme_supplier if path.stem in OF_THE_PROGRAMME else design.registers_supplier for path in paths],
        "table": [path.stem for path in paths], "version": 1, "received_on": pd.Timestamp(design.received_on), "supersedes": pd.Series([None] * len(paths), dtype="str"),
        "sha256": [digest(path) for path in paths], "agreement": design.agreement, "retention_until": pd.Timestamp(design.retention_until),
    })


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_record(folder: Path, seed: int) -> None:
    """Write ``simulation.json`` last: the seed, and the SHA-256 of every file of the folder."""
    files = {path.relative_to(folder).as_posix(): digest(path) for path in sorted(folder.rglob("*")) if path.is_file() and path.name != RECORD}
    record = {"schema_version": SCHEMA_VERSION, "label": "simulated", "seed": seed, "files": files}
    (folder / RECORD).write_text(json.dumps(record, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def recorded_files(folder: Path) -> set[str]:
    """Files that the simulator wrote by the record of a folder, the record among them; none where there is no readable record."""
    try:
        return {RECORD, *json.loads((folder / RECORD).read_text(encoding="utf-8"))["files"]}
    except (OSError, ValueError, KeyError, TypeError):
        return set()
