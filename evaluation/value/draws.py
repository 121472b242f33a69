"""Draws of cost and effect by strategy: the checks that every analysis of them shares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from evaluation.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

WHERE = "strategies"
MEND = "give both frames the same strategies as columns and the same draws as rows"
NEAR_TIE = 1e-5
"""Values this near each other, relative to the larger, are called a near tie: the rule by which dampack breaks ties at random."""


def check_draws(cost: pd.DataFrame, effect: pd.DataFrame) -> None:
    """Refuse frames of cost and effect that cannot be set against each other.

    Raises
    ------
    DataError
        The two frames name different strategies, name one twice, have different draws, hold a missing or infinite
        value, or hold no draw or no strategy.
    """
    import numpy as np

    names = list(cost.columns)
    if len(set(names)) != len(names) or len(set(effect.columns)) != effect.shape[1]:
        raise DataError("a strategy is named twice", where=WHERE, mend=MEND)
    if set(names) != set(effect.columns):
        apart = sorted(map(str, set(names) ^ set(effect.columns)))
        raise DataError(f"cost and effect do not name the same strategies: {', '.join(apart)} in one alone", where=WHERE, mend=MEND)
    if cost.shape[0] != effect.shape[0] or cost.empty:
        raise DataError(f"{cost.shape[0]} draws of cost and {effect.shape[0]} of effect, {len(names)} strategies", where=WHERE, mend=MEND)
    for label, frame in (("cost", cost), ("effect", effect)):
        broken = ~np.isfinite(frame.to_numpy(dtype=float))
        if broken.any():
            row, column = np.argwhere(broken)[0]
            raise DataError(f"{label} of `{frame.columns[column]}` is missing or infinite", where=f"{WHERE}, draw {row + 1}",
                            mend="supply a finite number for each draw")


def arrays(cost: pd.DataFrame, effect: pd.DataFrame) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Names of the strategies, and cost and effect as strategies x draws, in the order of the cost's columns."""
    import numpy as np

    check_draws(cost, effect)
    as_rows = [np.ascontiguousarray(frame.to_numpy(dtype=float).T) for frame in (cost, effect[list(cost.columns)])]
    return [str(name) for name in cost.columns], as_rows[0], as_rows[1]


def threshold_array(thresholds: Sequence[float]) -> np.ndarray:
    """Values of one unit of effect, as they are given.

    Raises
    ------
    DataError
        There is none, or one is missing, infinite or below zero.
    """
    import numpy as np

    values = np.atleast_1d(np.asarray(thresholds, dtype=float))
    if values.ndim != 1 or values.size == 0 or not np.isfinite(values).all() or (values < 0).any():
        raise DataError("thresholds must be one or more finite numbers, none below zero", where="thresholds",
                        mend="give what one unit of effect may be worth, such as [0, 100, 200]")
    return values


def best_of(benefit: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For strategies x draws of net benefit: the best strategy of each draw, its net benefit, and the runner-up's.

    Of exact equals the first given is the best. With one strategy the runner-up is minus infinity.
    """
    import numpy as np

    best = np.zeros(benefit.shape[1], dtype=np.intp)
    highest, second = benefit[0].copy(), np.full(benefit.shape[1], -np.inf)
    for place in range(1, len(benefit)):
        own = benefit[place]
        above = own > highest
        np.maximum(second, np.where(above, highest, own), out=second)
        best[above] = place
        np.maximum(highest, own, out=highest)
    return best, highest, second


def near(first: np.ndarray | float, second: np.ndarray | float) -> np.ndarray:
    """Whether two values are nearer than ``NEAR_TIE`` of the larger in size."""
    import numpy as np

    with np.errstate(invalid="ignore"):
        return np.abs(np.subtract(first, second)) <= NEAR_TIE * np.maximum(np.abs(first), np.abs(second))
