"""Entries of the data dictionary made on the spot for hand-made tables."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import yaml

from evaluation.registers.dictionary import load_table

TYPES = {"int64": "integer", "Int64": "integer", "float64": "number", "bool": "boolean"}


class Dictionary:
    """Entries made on the spot for hand-made tables."""

    def __init__(self, root: Path):
        self.root = root
        (root / "data_dictionary").mkdir()

    def table(self, name: str, frame: pd.DataFrame, disclosure: dict | None, *, sensitivity: str = "aggregate", key: list[str] | None = None, units: dict[str, str] | None = None):
        fields = [{"name": c, "type": TYPES.get(str(frame[c].dtype), "string"), "title": c.replace("_", " "), **({"x-unit": units[c]} if c in (units or {}) else {})} for c in frame.columns]
        entry = {"name": name, "title": name.capitalize(), "description": f"Counts of {name}.", "x-stage": "made", "x-sensitivity": sensitivity,
                 "primaryKey": key or list((disclosure or {}).get("dimensions", {})) or [frame.columns[0]], "fields": fields}
        if disclosure is not None:
            entry["x-disclosure"] = disclosure
        (self.root / "data_dictionary" / f"{name}.yaml").write_text(yaml.safe_dump(entry), encoding="utf-8")
        return name, (load_table(self.root, name), frame)


@pytest.fixture
def dictionary(tmp_path) -> Dictionary:
    return Dictionary(tmp_path)
