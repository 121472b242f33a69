"""The measure of nearness: score or columns, calipers in their units, and who is inside common support."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from evaluation.design.covariates import numeric_columns
from evaluation.design.distance import distance_columns
from evaluation.design.options import SCORES, Options
from evaluation.design.propensity import PropensityModel, propensity_score


@dataclass(frozen=True)
class Measure:
    """What nearness is measured by.

    Attributes
    ----------
    model : PropensityModel or None
    score : ndarray of float, shape (n,), or None
    points : ndarray of float, shape (n, d), or None
        Columns whose Euclidean distance is the distance.
    inside : ndarray of bool, shape (n,)
        Rows inside common support; all where none was asked for.
    width : float or None
        Caliper on the score.
    limits : tuple of (ndarray, float)
        Columns and their calipers.
    calipers : dict
        All of them by name, in units of their columns.
    """

    model: PropensityModel | None
    score: np.ndarray | None
    points: np.ndarray | None
    inside: np.ndarray
    width: float | None
    limits: tuple[tuple[np.ndarray, float], ...]
    calipers: dict[str, float]


def measure(data: pd.DataFrame, treatment: str, treated: np.ndarray, on: Sequence[str], asked: Options) -> Measure:
    """Fit the score if the matching uses one, turn calipers into units of their columns, and find common support.

    Standard deviations are over the rows inside common support, with denominator n - 1.
    """
    model = propensity_score(data, treatment, on) if asked.score_name is not None else None
    score = None
    inside = np.ones(len(data), dtype=bool)
    if model is not None:
        score = (model.logit if asked.score_name == "logit" else model.probability).to_numpy()
        inside = _inside_support(score, treated, asked.common_support)
    widths = dict(asked.caliper) if isinstance(asked.caliper, Mapping) else {} if asked.caliper is None else {asked.distance: asked.caliper}
    columns = numeric_columns(data, [name for name in widths if name not in SCORES], drop_first=False) if set(widths) - set(SCORES) else None
    calipers, limits, width = {}, [], None
    for name, wide in widths.items():
        values = score if name in SCORES else columns[name].to_numpy()
        calipers[name] = float(wide) * (float(np.std(values[inside], ddof=1)) if asked.caliper_unit == "sd" else 1.0)
        if name in SCORES:
            width = calipers[name]
        else:
            limits.append((values, calipers[name]))
    points = distance_columns(data, treated, asked.distance_on or on, asked.distance, inside) if asked.by_covariates else None
    return Measure(model, score, points, inside, width, tuple(limits), calipers)


def _inside_support(score: np.ndarray, treated: np.ndarray, drop: str | None) -> np.ndarray:
    """Rows whose score lies in the range that both arms share; units of the other arm stay whatever theirs."""
    if drop is None:
        return np.ones(len(score), dtype=bool)
    low = max(score[treated].min(), score[~treated].min())
    high = min(score[treated].max(), score[~treated].max())
    stays = {"treated": ~treated, "comparison": treated, "both": np.zeros(len(score), dtype=bool)}[drop]
    return stays | ((score >= low) & (score <= high))
