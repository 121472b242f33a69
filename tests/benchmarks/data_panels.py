"""Makes the panels that benchmarks of staggered starts run on: invented pupils by nine periods, the same from the same seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from tests.benchmarks.timing import data_folder

PERIODS = 9
PUPILS_A_SCHOOL = 190
SEED = 2


def panel_file(thousands: int) -> Path:
    """The file of a panel of that many thousand pupils, made if it is not there."""
    path = data_folder() / f"did_{thousands}k.parquet"
    if not path.exists():
        make_panel(thousands).to_parquet(path)
    return path


def make_panel(thousands: int, seed: int = SEED) -> pd.DataFrame:
    """Pupils in schools, one in eleven with a start in period 4 to 8, shocks by school and period.

    Parameters
    ----------
    thousands : int
        Thousand pupils.
    seed : int

    Returns
    -------
    DataFrame
        ``pupil_id, school, fsm, prior_abs, idaci, g`` (start, 0 = never), ``t, y`` (absence rate, a share).
    """
    draw, count = np.random.default_rng(seed), thousands * 1000
    schools = max(25, count // PUPILS_A_SCHOOL)
    school = draw.integers(0, schools, count)
    effect = draw.normal(size=schools)[school]
    idaci = np.clip(draw.beta(2, 6, count) + 0.05 * effect, 0, 1)
    fsm = (draw.random(count) < np.clip(0.1 + 0.6 * idaci, 0, 1)).astype(np.int8)
    prior = 1 / (1 + np.exp(2.7 - 0.8 * draw.normal(size=count) - 0.5 * fsm - 0.25 * effect))
    need = 0.8 * fsm + 3 * prior + draw.gumbel(size=count)
    start = np.zeros(count, np.int16)
    referred = np.argsort(-need)[: count // 11]
    start[referred] = draw.integers(4, 9, len(referred))
    time = np.arange(1, PERIODS + 1)
    since = time - start[:, None]
    gain = np.where((start[:, None] > 0) & (since >= 0), -0.010 - 0.003 * np.minimum(since, 4), 0.0)
    shock = draw.normal(0, 0.008, (schools, PERIODS))[school]
    outcome = (0.9 * prior + 0.02)[:, None] + shock + 0.002 * fsm[:, None] * time + gain + draw.normal(0, 0.04, (count, PERIODS))
    wide = pd.DataFrame({"pupil_id": np.arange(1, count + 1), "school": (school + 1).astype(np.int32), "fsm": fsm, "prior_abs": prior, "idaci": idaci, "g": start})
    rows = wide.loc[wide.index.repeat(PERIODS)].reset_index(drop=True)
    return rows.assign(t=np.tile(time, count).astype(np.int16), y=np.clip(outcome, 0, 1).ravel())
