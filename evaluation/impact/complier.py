"""The effect of support on pupils who take it up because it was offered: instrumental variables with one instrument.

References
----------
.. [1] Angrist, J. D., Imbens, G. W. & Rubin, D. B. (1996). Identification of causal effects using instrumental variables. Journal of the
   American Statistical Association 91(434), 444-455.
.. [2] Anderson, T. W. & Rubin, H. (1949). Estimation of the parameters of a single equation in a complete system of stochastic equations.
   Annals of Mathematical Statistics 20(1), 46-63.
.. [3] Montiel Olea, J. L. & Pflueger, C. (2013). A robust test for weak instruments. Journal of Business & Economic Statistics 31(3), 358-369.
.. [4] Pustejovsky, J. & Tipton, E. (2018). Small-sample methods for cluster-robust variance estimation and hypothesis testing in fixed effects
   models. Journal of Business & Economic Statistics 36(4), 672-683.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import fdtri

from evaluation.errors import DataError, UnidentifiedError
from evaluation.impact.estimate import CONF_LEVEL, Estimate, figures
from evaluation.inference import linear
from evaluation.inference.columns import read_columns
from evaluation.inference.design_matrix import solve

CLUSTERED = ("CR2", "CR0", "CR1", "CR1S", "CR3")
UNCLUSTERED = ("iid", "HC1", "HC2")
# First-stage F below which an instrument is called weak, by the usual rule of thumb.
WEAK_F = 10.0
# Share of the largest receipt within which receipt is what assignment says.
EXACT = 1e-12


@dataclass(frozen=True)
class AndersonRubinSet:
    """Effects that the Anderson-Rubin test does not reject: valid however weak the first stage is [2]_.

    Attributes
    ----------
    shape : {"interval", "half-lines", "half-line below", "half-line above", "whole line", "empty"}
        "half-lines": everything up to ``low`` and everything from ``high``.
    low, high : float
        Limits; infinite where there is none, missing where the set is empty.
    conf_level : float
    """

    shape: str
    low: float
    high: float
    conf_level: float

    @property
    def text(self) -> str:
        """The set in words."""
        opening = f"Effects that the Anderson-Rubin test does not reject ({self.conf_level:.0%}):"
        if self.shape == "interval":
            return f"{opening} from {self.low:.6g} to {self.high:.6g}."
        if self.shape == "whole line":
            return f"{opening} all. The offer moves take-up too little to say anything of the effect."
        if self.shape == "empty":
            return f"{opening} none. The model does not fit the data."
        if self.shape == "half-line below":
            said = f"all up to {self.high:.6g}"
        elif self.shape == "half-line above":
            said = f"all from {self.low:.6g}"
        else:
            said = f"all up to {self.low:.6g} and all from {self.high:.6g}"
        return f"{opening} {said}. The offer moves take-up too little to bound the effect."

    def __contains__(self, effect: float) -> bool:
        if self.shape == "half-lines":
            return effect <= self.low or effect >= self.high
        return self.shape != "empty" and self.low <= effect <= self.high


@dataclass(frozen=True, kw_only=True, repr=False)
class ComplierEffect(Estimate):
    """A complier effect: an :class:`Estimate` with what it was made from.

    Attributes
    ----------
    offer_effect : Estimate
        Effect of being assigned on the outcome.
    first_stage : Estimate
        Effect of being assigned on receipt.
    first_stage_f : float
        F of assignment in the first stage under independent errors of one variance, with 1 and ``first_stage_df``.
    first_stage_df : float
    effective_f, effective_f_df : float
        The same with the standard error's own kind: with one instrument it is the effective F [3]_.
    anderson_rubin : AndersonRubinSet
    """

    offer_effect: Estimate
    first_stage: Estimate
    first_stage_f: float
    first_stage_df: float
    effective_f: float
    effective_f_df: float
    anderson_rubin: AndersonRubinSet

    @property
    def notes(self) -> tuple[str, ...]:
        """First stage and Anderson-Rubin set in words, then the warnings."""
        stage = f"Assignment changes receipt by {self.first_stage.estimate:.4g}; first-stage F {self.effective_f:.1f} ({self.kind})."
        return (stage, self.anderson_rubin.text, *self.warnings)


class _Slope(NamedTuple):
    """Assignment's coefficient for one outcome, its variance and degrees of freedom, rows, clusters, sentences."""

    estimate: float
    variance: float
    df: float
    n: int
    clusters: int | None
    warnings: tuple[str, ...]


class _Request(NamedTuple):
    assigned: str
    covariates: tuple[str, ...]
    absorb: tuple[str, ...]
    cluster: str | None
    weights: str | None
    kind: str


def complier_effect(
    data: pd.DataFrame,
    outcome: str,
    *,
    assigned: str,
    received: str,
    covariates: Sequence[str] = (),
    absorb: Sequence[str] = (),
    cluster: str | None = None,
    weights: str | None = None,
    kind: str = "CR2",
) -> ComplierEffect:
    """Effect of receipt on those whom assignment makes receive [1]_, with a set that holds for weak first stages too.

    The estimate is assignment's effect on the outcome over its effect on receipt, both by least squares with the same covariates (two-stage
    least squares with one instrument). It assumes that assignment is as good as random given covariates, works only through receipt, and
    makes nobody receive less. Its standard error is that of assignment's coefficient for the outcome less the estimate times receipt,
    over the first stage; CR2 has the degrees of freedom of that coefficient, as clubSandwich and estimatr have them [4]_.

    Parameters
    ----------
    data : DataFrame
        One row per pupil. Never changed.
    outcome, assigned, received : str
        Numeric columns. ``received`` may be 0/1 or a dose; the effect is then per unit of it.
    covariates : sequence of str
        Numeric columns.
    absorb : sequence of str
        Columns whose levels' effects are taken out, for example the strata of a randomisation.
    cluster : str, optional
        Groups that were assigned together, or whose rows share shocks.
    weights : str, optional
    kind : {"CR2", "CR0", "CR1", "CR1S", "CR3", "iid", "HC1", "HC2"}
        With a cluster as :func:`evaluation.inference.linear`; CR1S is what Stata and fixest call clustered (they may count absorbed effects
        otherwise). Without one CR2 is HC2, and HC1, HC2 and iid carry n - p degrees of freedom.

    Returns
    -------
    ComplierEffect
        The interval of the estimate itself is unreliable where the first stage is weak: read ``anderson_rubin`` then.

    Raises
    ------
    DataError
        A column is absent, not numeric, missing or infinite in some row; an unknown kind, or one that does not go with the cluster.
    UnidentifiedError
        Nobody or everybody received; assignment does not vary or does not move receipt at all; whatever ``linear`` refuses.
    """
    covariates = (covariates,) if isinstance(covariates, str) else tuple(covariates)
    absorb = (absorb,) if isinstance(absorb, str) else tuple(absorb)
    kind = "HC2" if cluster is None and kind == "CR2" else kind
    request = _Request(assigned, covariates, absorb, cluster, weights, kind)
    _check_request(request, outcome, received)
    offer = _slope(data, outcome, request)
    share = _receipt_of_assignment(data, received, request)
    if share is not None:
        stage, iid, cross = _Slope(share, 0.0, np.inf, offer.n, offer.clusters, ()), None, 0.0
    else:
        stage, iid = _slope(data, received, request), _slope(data, received, request._replace(kind="iid", cluster=None))
        cross = _cross(data, outcome, received, request, offer, stage)
    if abs(stage.estimate) <= np.finfo(float).eps * np.sqrt(stage.variance):
        raise UnidentifiedError("assignment does not move receipt at all", where=f"column {received!r}", mend="report the effect of the offer.")
    return _assemble(offer, stage, iid, cross, received, request, _arms(data, request))


def _assemble(offer: _Slope, stage: _Slope, iid: _Slope | None, cross: float, received: str, request: _Request, arms: dict[str, int]) -> ComplierEffect:
    """The ratio of two effects of assignment, what is known of its error, and the first stage; ``iid`` is None where all complied."""
    estimate = offer.estimate / stage.estimate
    variance = (offer.variance - 2 * estimate * cross + estimate**2 * stage.variance) / stage.estimate**2
    if not variance > 0:
        raise UnidentifiedError("receipt explains the outcome exactly, so that no standard error can be given", where=f"column {received!r}",
                                mend="check that the outcome is not made from receipt.")  # fmt: skip
    perfect = iid is None
    robust_f = np.inf if perfect else stage.estimate**2 / stage.variance
    critical = float(fdtri(1.0, offer.df, CONF_LEVEL))
    allowed = anderson_rubin_set((offer.estimate, stage.estimate), ((offer.variance, cross), (cross, stage.variance)), critical, CONF_LEVEL)
    context = {"method": "two-stage least squares", "kind": request.kind, "n": offer.n, "clusters": offer.clusters, **arms}
    return ComplierEffect(
        **figures(estimate, float(np.sqrt(variance)), offer.df), term=received, level="started", estimand="effect on compliers",
        warnings=_warnings(offer.warnings, robust_f, stage.estimate if perfect else None), **context, anderson_rubin=allowed,
        offer_effect=Estimate(**figures(offer.estimate, float(np.sqrt(offer.variance)), offer.df), term=request.assigned,
                              estimand="effect of the offer", **context),
        first_stage=Estimate(**figures(stage.estimate, float(np.sqrt(stage.variance)), stage.df), term=request.assigned, estimand="take-up", **context),
        first_stage_f=np.inf if perfect else iid.estimate**2 / iid.variance, first_stage_df=offer.df if perfect else iid.df,
        effective_f=float(robust_f), effective_f_df=float(offer.df if perfect else stage.df),
    )  # fmt: skip


def anderson_rubin_set(
    estimates: tuple[float, float], covariance: Sequence[Sequence[float]], critical: float, conf_level: float = CONF_LEVEL
) -> AndersonRubinSet:
    """Effects b for which (offer - b take-up)^2 is at most ``critical`` times its variance.

    Parameters
    ----------
    estimates : (float, float)
        Assignment's effects on the outcome and on receipt.
    covariance : 2 by 2
        Of these.
    critical : float
        Quantile of F with 1 degree of freedom in the numerator.
    conf_level : float
        For the words only.
    """
    (offer, stage), ((own, cross), (_, first)) = estimates, covariance
    square, middle, rest = stage**2 - critical * first, -2 * (offer * stage - critical * cross), offer**2 - critical * own
    if square == 0:
        if middle == 0:
            return AndersonRubinSet("whole line" if rest <= 0 else "empty", *((-np.inf, np.inf) if rest <= 0 else (np.nan, np.nan)), conf_level)
        end = -rest / middle
        return AndersonRubinSet("half-line below", -np.inf, end, conf_level) if middle > 0 else AndersonRubinSet("half-line above", end, np.inf, conf_level)
    inside = middle**2 - 4 * square * rest
    if inside < 0:
        return AndersonRubinSet("empty", np.nan, np.nan, conf_level) if square > 0 else AndersonRubinSet("whole line", -np.inf, np.inf, conf_level)
    # The larger root in size first, the other from their product: no cancellation.
    far = -(middle + np.copysign(np.sqrt(inside), middle)) / 2
    ends = sorted((far / square, rest / far)) if far != 0 else (0.0, 0.0)
    return AndersonRubinSet("interval" if square > 0 else "half-lines", float(ends[0]), float(ends[1]), conf_level)


def _check_request(request: _Request, outcome: str, received: str) -> None:
    kinds = UNCLUSTERED if request.cluster is None else CLUSTERED
    if request.kind not in kinds:
        how = "without a cluster" if request.cluster is None else "with a cluster"
        raise DataError(f"kind {request.kind!r} is not known {how}", where="kind", mend=f"use one of {', '.join(kinds)}.")
    if outcome in (request.assigned, received):
        raise DataError("the outcome is also assignment or receipt", where=f"column {outcome!r}", mend="name the outcome's own column.")
    if {request.assigned, received} & set(request.covariates):
        raise DataError("assignment or receipt is also a covariate", where="covariates", mend="leave it out: it would explain itself.")


def _receipt_of_assignment(data: pd.DataFrame, received: str, request: _Request) -> float | None:
    """Receipt for one unit of assignment where it follows from it exactly, None where it does not; refuses receipt that does not vary."""
    if received == request.assigned:
        return 1.0
    read = read_columns(data, received, [request.assigned], request.weights, (), (request.assigned,), least=1)
    if np.ptp(read.outcome) == 0:
        raise UnidentifiedError(f"every row has the same receipt ({read.outcome[0]:g}), so there are no compliers", where=f"column {received!r}",
                                mend="report the effect of the offer.")  # fmt: skip
    offered = read.terms[:, 0]
    low, high = offered.argmin(), offered.argmax()
    if offered[high] == offered[low]:
        return None
    share = (read.outcome[high] - read.outcome[low]) / (offered[high] - offered[low])
    left = read.outcome - read.outcome[low] - share * (offered - offered[low])
    return float(share) if share != 0 and np.abs(left).max() <= EXACT * np.abs(read.outcome).max() else None


def _slope(data: pd.DataFrame, column: str, request: _Request) -> _Slope:
    """Least squares of a column on assignment and covariates: assignment's coefficient."""
    terms = [request.assigned, *request.covariates]
    if request.cluster is not None:
        fit = linear(data, column, terms, weights=request.weights, absorb=request.absorb, cluster=request.cluster, kind=request.kind)
        row = fit.frame.iloc[0]
        return _Slope(row["estimate"], row["std_error"] ** 2, row["df"], fit.n, fit.clusters, fit.warnings)
    rows = "row of the table"
    table = data[[name for name in dict.fromkeys((column, *terms, *request.absorb, request.weights)) if name in data.columns]]
    read = read_columns(table.assign(**{rows: np.arange(len(data))}), column, terms, request.weights, request.absorb, (rows,))
    solution = solve(read, terms)
    n, left = len(solution.residuals), len(solution.residuals) - solution.parameters
    direction = solution.combine[:, 0]
    if request.kind == "iid":
        variance = solution.weights @ solution.residuals**2 / left * (direction @ direction)
    else:
        each = (solution.weights * (solution.orthonormal @ direction) * solution.residuals) ** 2
        variance = each.sum() * n / left if request.kind == "HC1" else (each / (1 - _leverage(solution))).sum()
    return _Slope(solution.estimates[0], float(variance), float(left), n, None, ())


def _leverage(solution) -> np.ndarray:
    """Each row's share in its own fitted value."""
    share = (solution.orthonormal**2).sum(axis=1)
    if solution.levels is not None:
        share = share + 1 / np.bincount(solution.levels, solution.weights)[solution.levels]
    leverage = solution.weights * share
    # A row that its own effect fits exactly has a residual of zero and adds nothing.
    return np.where(leverage > 1 - 1e-10, 0.0, leverage)


def _cross(data: pd.DataFrame, outcome: str, received: str, request: _Request, offer: _Slope, stage: _Slope) -> float:
    """Covariance of the two coefficients, from the variance for their difference on one scale."""
    scale = np.sqrt(offer.variance / stage.variance)
    mixed = f"{outcome} less {received}"
    difference = _floats(data, outcome) - scale * _floats(data, received)
    return (offer.variance + scale**2 * stage.variance - _slope(data.assign(**{mixed: difference}), mixed, request).variance) / (2 * scale)


def _arms(data: pd.DataFrame, request: _Request) -> dict[str, int]:
    """Rows by arm, where assignment is 0 or 1."""
    values = _floats(data, request.assigned)
    if request.weights is not None:
        values = values[_floats(data, request.weights) > 0]
    if not np.isin(values, (0.0, 1.0)).all():
        return {}
    return {"n_treated": int((values == 1).sum()), "n_comparison": int((values == 0).sum())}


def _floats(data: pd.DataFrame, name: str) -> np.ndarray:
    """A column that was checked, missing values (in rows of weight zero) included."""
    return data[name].to_numpy(dtype=float, na_value=np.nan)


def _warnings(own: tuple[str, ...], robust_f: float, exact: float | None) -> tuple[str, ...]:
    """Sentences on the first stage; ``exact`` is receipt per unit of assignment where it follows exactly."""
    if exact == 1:
        return (*own, "Everyone received exactly as assigned: the effect is that of the offer.")
    if exact is not None:
        return (*own, f"Receipt is {exact:.4g} for each unit of assignment, without exception: the effect is that of the offer, divided by it.")
    if robust_f < WEAK_F:
        return (*own, f"The first-stage F is {robust_f:.1f}, below {WEAK_F:.0f}: the estimate and its interval are unreliable; read the Anderson-Rubin set.")
    return own
