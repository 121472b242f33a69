"""How long an effect may last: days beyond the measured window, as scenarios, and a half-life where the data can give one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evaluation.errors import ContractError, DataError, UnidentifiedError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

FEWEST_AFTER_SUPPORT = 4
"""Half-terms after support that a half-life needs: with fewer, any decay fits."""
MOST_HALF_LIFE = 1_000.0
"""Half-terms beyond which a decay cannot be told from none."""


def persistence_factor(*, first_measured: int, measured: int, support: float, half_life: float | None, horizon: int) -> float:
    """Days from the measured window to the horizon, for each day of the measured window.

    The effect is level during support and halves every ``half_life`` half-terms afterwards, half-term by half-term; its
    level is what makes the measured window's days right. Half-terms before the measured window are left out: they
    were not measured.

    Parameters
    ----------
    first_measured : int
        Place of the first measured half-term, the half-term in which support starts being 1.
    measured : int
        Half-terms measured.
    support : float
        Half-terms of support from its start.
    half_life : float or None
        In half-terms; 0 means nothing after the window and infinity no decay; None is the base case, nothing after it.
    horizon : int
        Last half-term counted, from the start of support.

    Returns
    -------
    float
        1 when nothing is counted after the window, above 1 otherwise.

    Raises
    ------
    ContractError
        A horizon inside the measured window, or a negative length.
    """
    last = first_measured + measured - 1
    if first_measured < 1 or measured < 1 or support < 0 or (half_life is not None and not half_life >= 0):
        raise ContractError(f"first measured {first_measured}, measured {measured}, support {support}, half-life {half_life}", where="persistence",
                            mend="give lengths in half-terms, none below zero")
    if horizon < last:
        raise ContractError(f"the horizon, half-term {horizon}, ends before the measured window does, half-term {last}", where="persistence",
                            mend="give a horizon at or after the end of the window")
    if half_life is None or half_life == 0:
        return 1.0
    profile = [0.5 ** (max(place - support, 0.0) / half_life) for place in range(1, horizon + 1)]
    within = sum(profile[first_measured - 1:last])
    return sum(profile[first_measured - 1:]) / within


@dataclass(frozen=True)
class HalfLife:
    """Half-life of an effect after support, in half-terms, with its interval; infinite where no decay can be told."""

    half_life: float
    conf_low: float
    conf_high: float
    conf_level: float
    half_terms: int


def estimate_half_life(effects: pd.DataFrame, vcov: np.ndarray | None = None, *, conf_level: float = 0.95) -> HalfLife:
    """Estimate how fast an effect fades once support has ended, from the effect in each half-term after it.

    Fits effect = a x 0.5^(j / half-life) by weighted least squares, with the size ``a`` profiled out. The interval
    holds every half-life that a likelihood-ratio test keeps; it is open where decay cannot be told from none.

    Parameters
    ----------
    effects : DataFrame
        ``half_terms_after_support`` (1, 2, ...), ``estimate``, ``std_error``: one row per half-term after support.
    vcov : ndarray, optional
        Covariance of the estimates; without it they are taken as independent.
    conf_level : float

    Raises
    ------
    UnidentifiedError
        Fewer than four half-terms after support, or a level of the effect that cannot be told from zero: nothing
        can then be said to fade.
    DataError
        A missing estimate or a standard error not above zero.
    """
    import numpy as np
    from scipy.optimize import minimize_scalar
    from scipy.stats import chi2

    places = effects["half_terms_after_support"].to_numpy(dtype=float)
    if (places >= 1).sum() < FEWEST_AFTER_SUPPORT or len(np.unique(places)) != len(places) or (places < 1).any():
        raise UnidentifiedError(f"{int((places >= 1).sum())} half-terms after support; a half-life needs at least {FEWEST_AFTER_SUPPORT}, each once",
                                where="half-life", mend="use persistence as a scenario, with a registered half-life")
    found, errors = effects["estimate"].to_numpy(dtype=float), effects["std_error"].to_numpy(dtype=float)
    if not (np.isfinite(found).all() and (errors > 0).all()):
        raise DataError("an estimate is missing or a standard error is not above zero", where="half-life", mend="leave that half-term out")
    weight = np.linalg.inv(np.diag(errors**2) if vcov is None else np.asarray(vcov, dtype=float))

    def misfit(rate: float) -> float:
        shape = 0.5 ** (places * rate)
        level = (shape @ weight @ found) / (shape @ weight @ shape)
        return float((found - level * shape) @ weight @ (found - level * shape))

    limit = chi2.ppf(conf_level, 1)
    nothing = float(found @ weight @ found)
    rates = np.concatenate([[0.0], np.geomspace(1 / MOST_HALF_LIFE, 20, 2_000)])
    scores = np.array([misfit(rate) for rate in rates])
    place = int(scores.argmin())
    if nothing - scores[place] <= limit:
        raise UnidentifiedError("the effect after support cannot be told from zero, so nothing can be said to fade", where="half-life",
                                mend="use persistence as a scenario, with a registered half-life")
    best = rates[place]
    if 0 < place < len(rates) - 1:
        best = float(minimize_scalar(misfit, bounds=(rates[place - 1], rates[place + 1]), method="bounded", options={"xatol": 1e-10}).x)
    kept = rates[scores <= misfit(best) + limit]
    to_half_life = [math.inf if rate <= 0 else 1 / rate for rate in (best, kept.max(), kept.min())]
    return HalfLife(*to_half_life, conf_level, len(places))
