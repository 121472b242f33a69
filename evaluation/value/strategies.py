"""Which of several strategies are worth choosing: dominance, extended dominance and the ratios along the frontier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .draws import check_draws, near

if TYPE_CHECKING:
    import pandas as pd

STATUSES = ("ND", "ED", "D")
"""On the frontier (not dominated), extendedly dominated, dominated; the field's usual codes."""


@dataclass(frozen=True)
class StrategyComparison:
    """Strategies in order of status and mean cost; see :func:`compare_strategies`."""

    frame: pd.DataFrame
    near_ties: tuple[str, ...] = ()

    def _repr_html_(self) -> str:
        from html import escape

        return self.frame.to_html(index=False) + "".join(f"<p>{escape(sentence)}</p>" for sentence in self.near_ties)


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
        ``.near_ties``: a sentence for each pair of strategies whose cost and effect, or for each strategy whose two ratios,
        are nearer than 1e-5 of the larger: its status could be otherwise by rounding alone.

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

    check_draws(cost, effect)
    table = pd.DataFrame({"strategy": [str(name) for name in cost.columns], "mean_cost": cost.mean().to_numpy(dtype=float),
                          "mean_effect": effect[cost.columns].mean().to_numpy(dtype=float)})
    ordered = table.sort_values(["mean_cost", "mean_effect"], ascending=[True, False], kind="stable", ignore_index=True)
    best_before = ordered["mean_effect"].cummax().shift(fill_value=-np.inf)
    status = np.where(ordered["mean_effect"] <= best_before, "D", "ND").astype(object)
    frontier: list[int] = []
    ties = _equal_pairs(ordered)
    for row in np.flatnonzero(status == "ND"):
        if len(frontier) > 1:
            ties += _equal_ratios(ordered, frontier[-2], frontier[-1], row)
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
    kept = ["strategy", "mean_cost", "mean_effect", "incremental_cost", "incremental_effect", "icer", "status"]
    return StrategyComparison(frame[kept], tuple(dict.fromkeys(ties)))


def _ratio(table: pd.DataFrame, weaker: int, stronger: int) -> float:
    money, gain = table["mean_cost"], table["mean_effect"]
    return (money[stronger] - money[weaker]) / (gain[stronger] - gain[weaker])



def _equal_pairs(table: pd.DataFrame) -> list[str]:
    """A sentence for each pair of strategies that cost and do nearly the same."""
    from itertools import combinations

    rows = list(table.itertuples())
    return [
        f"`{a.strategy}` and `{b.strategy}` cost and do nearly the same, so which of them stays is decided by rounding"
        for a, b in combinations(rows, 2) if near(a.mean_cost, b.mean_cost) and near(a.mean_effect, b.mean_effect)
    ]


def _equal_ratios(table: pd.DataFrame, weaker: int, middle: int, stronger: int) -> list[str]:
    """A sentence where the ratio before a strategy and the one after it are nearly the same."""
    if not near(_ratio(table, weaker, middle), _ratio(table, middle, stronger)):
        return []
    return [f"`{table.loc[middle, 'strategy']}` lies nearly on the line between `{table.loc[weaker, 'strategy']}` and "
            f"`{table.loc[stronger, 'strategy']}`, so extended dominance is decided by rounding"]
