"""How likely each strategy is to be the most cost-effective, and what choosing it is expected to lose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .draws import arrays, best_of, near, threshold_array

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Acceptability:
    """Acceptability curves, frontier and expected losses; see :func:`acceptability`.

    ``frame`` has a row per threshold and strategy, ``frontier`` one per threshold, ``limits`` one per strategy.
    """

    frame: pd.DataFrame
    frontier: pd.DataFrame
    limits: pd.DataFrame

    def _repr_html_(self) -> str:
        return self.frame.to_html(index=False)


def acceptability(cost: pd.DataFrame, effect: pd.DataFrame, thresholds: Sequence[float]) -> Acceptability:
    """Probability of being the most cost-effective, by threshold and strategy, with frontier and expected loss.

    Net benefit of a draw is threshold x effect - cost. The frontier follows the strategy with the highest *mean*
    net benefit, which need not be the one most often best. Expected loss is what a strategy forgoes, on average,
    against the best of each draw; its lowest value is the expected value of perfect information.

    Parameters
    ----------
    cost, effect : DataFrame
        Draws by strategies, the same column names in both. A larger effect is better.
    thresholds : sequence of float
        What one unit of effect may be worth, in the unit of cost.

    Returns
    -------
    Acceptability
        ``.frame``: ``threshold, strategy, probability, mean_net_benefit, expected_loss, on_frontier``.
        ``.frontier``: ``threshold, strategy, probability, near_tie`` (share of draws whose two best net benefits are
        nearer than 1e-5 of the larger, where other software breaks ties at random), ``near_tie_of_means`` (whether
        the two highest means are that near). ``.limits``: ``strategy, probability_largest_effect``, to which the
        curve tends as the threshold grows; for two strategies it is P(effect > 0) of their difference. Exact ties go
        to the strategy given first, here and everywhere.

    Raises
    ------
    DataError
        See :func:`evaluation.value.draws.check_draws`; thresholds that are not finite numbers from zero on.

    References
    ----------
    Fenwick, Claxton & Sculpher (2001), Health Economics 10; Barton, Briggs & Fenwick (2008), Value in Health 11.
    """
    import numpy as np
    import pandas as pd

    names, costs, effects = arrays(cost, effect)
    values = threshold_array(thresholds)
    shape = (len(values), len(names))
    shares, means, losses, tied = np.empty(shape), np.empty(shape), np.empty(shape), np.empty(len(values))
    for row, value in enumerate(values):
        benefit = value * effects - costs
        best, highest, second = best_of(benefit)
        shares[row] = np.bincount(best, minlength=len(names)) / benefit.shape[1]
        means[row] = benefit.mean(axis=1)
        losses[row] = highest.mean() - means[row]
        tied[row] = near(highest, second).mean() if len(names) > 1 else 0.0
    leading = means.argmax(axis=1)
    ordered = np.sort(means, axis=1)
    frame = pd.DataFrame({
        "threshold": np.repeat(values, len(names)), "strategy": np.tile(names, len(values)), "probability": shares.ravel(),
        "mean_net_benefit": means.ravel(), "expected_loss": np.maximum(losses, 0.0).ravel(),
        "on_frontier": (np.arange(len(names)) == leading[:, None]).ravel(),
    })
    frontier = pd.DataFrame({
        "threshold": values, "strategy": [names[place] for place in leading], "probability": shares[np.arange(len(values)), leading],
        "near_tie": tied, "near_tie_of_means": near(ordered[:, -1], ordered[:, -2]) if len(names) > 1 else False,
    })
    largest = np.bincount(best_of(effects)[0], minlength=len(names)) / effects.shape[1]
    return Acceptability(frame, frontier, pd.DataFrame({"strategy": names, "probability_largest_effect": largest}))
