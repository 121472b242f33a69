"""Makes the pupils of the matching benchmark, a known number of them treated, and a frame of many covariates for balance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from tests.benchmarks.timing import data_folder

SIZES = {"S": (2_000, 20_000), "M": (10_000, 200_000), "L": (50_000, 1_000_000)}
COVARIATES = 40
BALANCE_ROWS = 1_000_000
SEED = 5


def pupils_file(size: str) -> Path:
    """Pupils of a size, made where the file is not there: fsm, sen, sex, year_group, idaci, prior_abs, treat and others."""
    path = data_folder() / f"match_{size}.parquet"
    if not path.exists():
        treated, comparison = SIZES[size]
        n = treated + comparison
        rng = np.random.default_rng([SEED, n])
        idaci = rng.beta(2, 6, n)
        data = pd.DataFrame({"pupil_id": np.arange(n), "school": rng.integers(0, max(25, n // 190), n), "idaci": idaci,
                             "fsm": (rng.random(n) < 0.1 + 0.6 * idaci).astype("int8"), "sen": (rng.random(n) < 0.16).astype("int8"),
                             "sex": rng.integers(0, 2, n).astype("int8"), "year_group": rng.integers(7, 12, n).astype("int8")})  # fmt: skip
        data["prior_abs"] = 1 / (1 + np.exp(2.7 - 0.8 * rng.normal(size=n) - 0.5 * data["fsm"] - 0.3 * data["sen"]))
        drawn = data["fsm"] + 0.6 * data["sen"] + 4 * data["prior_abs"] + idaci + 0.15 * (data["year_group"] - 9) + rng.gumbel(size=n)
        data["treat"] = np.int8(0)
        data.loc[np.argsort(-drawn.to_numpy())[:treated], "treat"] = 1
        data.to_parquet(path)
    return path


def balance_file() -> Path:
    """Twenty normal and twenty 0/1 covariates, ``treated`` (5%) and ``weight`` (as after 1:1 matching: most comparison rows 0)."""
    path = data_folder() / f"balance_{BALANCE_ROWS}_{COVARIATES}.parquet"
    if not path.exists():
        rng = np.random.default_rng([SEED, BALANCE_ROWS])
        data = pd.DataFrame({f"x{number}": rng.normal(size=BALANCE_ROWS) if number % 2 else (rng.random(BALANCE_ROWS) < 0.3).astype(float)
                             for number in range(COVARIATES)})  # fmt: skip
        data["treated"] = (rng.random(BALANCE_ROWS) < 0.05).astype("int8")
        data["weight"] = np.where((data["treated"] == 1) | (rng.random(BALANCE_ROWS) < 0.055), 1.0, 0.0)
        data["overlap_weight"] = np.where(data["treated"] == 1, 1.0, rng.uniform(0.01, 0.3, BALANCE_ROWS))
        data.to_parquet(path)
    return path
