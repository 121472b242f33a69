"""Makes the rows of the wild bootstrap benchmark: pupils of few schools, a treatment by school, covariates, weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from tests.benchmarks.timing import data_folder

COVARIATES = 8
AREAS = 6
SEED = 60


def few_schools_file(rows: int, schools: int) -> Path:
    """The file of so many rows in so many schools, made where it is not there: y, treated, x0 to x7, school, area, weight."""
    path = data_folder() / f"few_schools_{rows}_{schools}.parquet"
    if not path.exists():
        rng = np.random.default_rng([SEED, rows, schools])
        school = rng.integers(0, schools, rows)
        data = pd.DataFrame({f"x{number}": rng.normal(size=rows) for number in range(COVARIATES)})
        data["x0"] += rng.normal(size=schools)[school]
        data["school"], data["area"] = school, school % AREAS
        data["treated"] = ((school // AREAS) % 3 == 0).astype(float)
        data["weight"] = rng.uniform(0.2, 3, rows)
        data["y"] = rng.normal(size=schools)[school] + data["x0"] + 3 * rng.normal(size=rows)
        data.to_parquet(path)
    return path
