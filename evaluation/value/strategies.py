"""Which of several strategies are worth choosing: dominance, extended dominance and the ratios along the frontier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evaluation.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

STATUSES = ("ND", "ED", "D")
"""On the frontier (not dominated), extendedly dominated, dominated; the field's usual codes."""


@dataclass(frozen=True)
class StrategyComparison:
    """Strategies in order of status and mean cost; see :func:`compare_strategies`."""

    frame: pd.DataFrame

    def _repr_html_(self) -> str:
        return self.frame.to_html(index=False)


def compare_strategies(cost: pd.DataFrame, effect: pd.DataFrame) -> StrategyComparison:
    """Compare strategies by their mean cost and mean effect.

    A strategy is dominated ("D") when another costs no more and has at least the effect, one of the two strictly;
    of exact equals the first given stays. It is extendedly dominated ("ED") when the ratio to the next
    stronger strategy is smaller than its own, so that a mixture of its neighbours beats it. What is left ("ND") is
    the frontier: the lower convex hull of cost over effect from the cheapest strategy on.

    Parameters
    ----------
    cost, effect : DataFrame
        Draws by strategies, the same column names in both; a single row of means will do. A larger effect is better.

    Returns
    -------
    StrategyComparison
        ``.frame``: ``strategy, mean_cost, mean_effect, incremental_cost, incremental_effect, icer, status``.
        Incremental means against the next weaker strategy on the frontier; the three are missing for the first
        on the frontier and for every strategy off it. Frontier first, by cost, then the other two statuses.

    Raises
    ------
    DataError
        The two frames name different strategies, name one twice, have different draws, hold a missing or infinite
        value, or hold no draw or no strategy.

    References
    ----------
    Johannesson & Weinstein (1993), Journal of Health Economics 12.
    """
    import numpy as np
    import pandas as pd

    _check(cost, effect)
    table = pd.DataFrame({"strategy": [str(name) for name in cost.columns], "mean_cost": cost.mean().to_numpy(dtype=float),
                          "mean_effect": effect[cost.columns].mean().to_numpy(dtype=float)})
    ordered = table.sort_values(["mean_cost", "mean_effect"], ascending=[True, False], kind="stable", ignore_index=True)
    best_before = ordered["mean_effect"].cummax().shift(fill_value=-np.inf)
    status = np.where(ordered["mean_effect"] <= best_before, "D", "ND").astype(object)
    frontier: list[int] = []
    for row in np.flatnonzero(status == "ND"):
        while len(frontier) > 1 and _ratio(ordered, frontier[-2], frontier[-1]) > _ratio(ordered, frontier[-1], row):
            status[frontier.pop()] = "ED"
        frontier.append(int(row))
    ordered["status"] = status
    along = ordered.loc[frontier, ["mean_cost", "mean_effect"]].diff()
    ordered["incremental_cost"] = along["mean_cost"]
    ordered["incremental_effect"] = along["mean_effect"]
    ordered["icer"] = along["mean_cost"] / along["mean_effect"]
    rank = ordered["status"].map({name: place for place, name in enumerate(STATUSES)})
    frame = ordered.assign(rank=rank).sort_values("rank", kind="stable", ignore_index=True)
    return StrategyComparison(frame[["strategy", "mean_cost", "mean_effect", "incremental_cost", "incremental_effect", "icer", "status"]])


def _ratio(table: pd.DataFrame, weaker: int, stronger: int) -> float:
    money, gain = table["mean_cost"], table["mean_effect"]
    return (money[stronger] - money[weaker]) / (gain[stronger] - gain[weaker])


def _check(cost: pd.DataFrame, effect: pd.DataFrame) -> None:
    import numpy as np

    where, mend = "strategies", "give both frames the same strategies as columns and the same draws as rows"
    names = list(cost.columns)
    if len(set(names)) != len(names) or len(set(effect.columns)) != effect.shape[1]:
        raise DataError("a strategy is named twice", where=where, mend=mend)
    if set(names) != set(effect.columns):
        apart = sorted(map(str, set(names) ^ set(effect.columns)))
        raise DataError(f"cost and effect do not name the same strategies: {', '.join(apart)} in one alone", where=where, mend=mend)
    if cost.shape[0] != effect.shape[0] or cost.empty:
        raise DataError(f"{cost.shape[0]} draws of cost and {effect.shape[0]} of effect, {len(names)} strategies", where=where, mend=mend)
    for label, frame in (("cost", cost), ("effect", effect)):
        broken = ~np.isfinite(frame.to_numpy(dtype=float))
        if broken.any():
            row, column = np.argwhere(broken)[0]
            raise DataError(f"{label} of `{frame.columns[column]}` is missing or infinite", where=f"{where}, draw {row + 1}",
                            mend="supply a finite number for each draw")
