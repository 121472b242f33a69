"""Makes the rows that benchmarks of clustered regression run on: invented pupils by eight half-terms, the same from the same seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from tests.benchmarks.timing import data_folder

HALF_TERMS = 8
SCHOOLS = 3000
COVARIATES = 9
SEED = 6


def clustered_file(pupils: int) -> Path:
    """The file of a panel of that many pupils, made if it is not there."""
    path = data_folder() / f"clustered_{pupils}.parquet"
    if not path.exists():
        make_rows(pupils).to_parquet(path)
    return path


def make_rows(pupils: int, seed: int = SEED) -> pd.DataFrame:
    """Pupils in schools, three schools in ten mentored from the fifth half-term, shocks shared by school.

    Returns
    -------
    DataFrame
        ``pupil_id, school, half_term, treated, x0 .. x8, weight`` (constant within a pupil), ``row_weight, y``.
    """
    draw = np.random.default_rng(seed)
    school = np.repeat(draw.integers(0, SCHOOLS, pupils), HALF_TERMS)
    rows = pd.DataFrame({"pupil_id": np.repeat(np.arange(pupils), HALF_TERMS), "school": school, "half_term": np.tile(np.arange(HALF_TERMS), pupils)})
    rows["treated"] = ((school < 0.3 * SCHOOLS) & (rows["half_term"] >= 4)).astype(float)
    for number in range(COVARIATES):
        rows[f"x{number}"] = draw.normal(size=len(rows)) + draw.normal(0, 0.5, SCHOOLS)[school]
    rows["weight"] = np.repeat(draw.uniform(0.3, 3, pupils), HALF_TERMS)
    rows["row_weight"] = draw.uniform(0.3, 3, len(rows))
    rows["y"] = draw.normal(0, 0.3, SCHOOLS)[school] + draw.normal(size=len(rows))
    return rows
