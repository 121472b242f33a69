"""What it would be worth to know: everything at once, or some parameters alone, before a decision is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evaluation.errors import DataError

from .draws import arrays, best_of, threshold_array
from .metamodel import Smoother, smoother

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

MINIMUM_DF = 5.0
"""Degrees of freedom below which the tails of the effect decide the value of information, so that none is given."""


@dataclass(frozen=True)
class InformationValue:
    """Expected value of perfect and of partly perfect information; see :func:`value_of_information`."""

    frame: pd.DataFrame

    def _repr_html_(self) -> str:
        return self.frame.to_html(index=False)


def value_of_information(
    cost: pd.DataFrame, effect: pd.DataFrame, thresholds: Sequence[float], *, parameters: pd.DataFrame | Mapping[str, Sequence[float]] | None = None,
    groups: Mapping[str, Sequence[str]] | None = None, population: float | None = None,
) -> InformationValue:
    """Expected value of perfect information, and of knowing given parameters, per unit and for a population.

    EVPI = mean of the best net benefit of each draw - best mean net benefit. EVPPI = mean of the best *expected* net
    benefit given the parameters - best mean; the expectation is a penalised spline regression of incremental net
    benefit on the parameters [Strong, Oakley & Brennan 2014].

    Parameters
    ----------
    cost, effect : DataFrame
        Draws by strategies, the same column names in both. A larger effect is better.
    thresholds : sequence of float
        What one unit of effect may be worth, in the unit of cost.
    parameters : DataFrame or mapping, optional
        Draws of the parameters, one column each, in the rows' order.
    groups : mapping of str to sequence of str, optional
        Parameters to be known together, by name of the group; each parameter is always looked at by itself too.
    population : float, optional
        Pupils whom the decision covers, discounted where they come in later years (:func:`decision_population`).

    Returns
    -------
    InformationValue
        ``.frame``: ``threshold, best, evpi, evpi_std_error`` and with a population ``evpi_population``. With parameters a row per
        threshold and parameter or group, with ``parameter, evppi, evppi_std_error`` and ``evppi_population``. Standard errors are
        those of a mean over the draws; the regression's own bias is upwards and falls with the number of draws.

    Raises
    ------
    DataError
        See :func:`evaluation.value.draws.check_draws`; parameters of another length, or a group that names another.

    References
    ----------
    Strong, Oakley & Brennan (2014), Medical Decision Making 34; Claxton (1999), Journal of Health Economics 18.
    """
    import numpy as np
    import pandas as pd

    names, costs, effects = arrays(cost, effect)
    values = threshold_array(thresholds)
    if population is not None and not (np.isfinite(population) and population >= 0):
        raise DataError(f"a population of {population}", where="value of information", mend="give the pupils whom the decision covers")
    sets = {name: smoother(columns) for name, columns in _sets(parameters, groups, costs.shape[1]).items()}
    prepared = {name: (basis, basis.coefficients(_increments(effects)), basis.coefficients(_increments(costs))) for name, basis in sets.items()}
    rows = []
    for value in values:
        benefit = value * effects - costs
        means = benefit.mean(axis=1)
        best = int(means.argmax())
        gain = best_of(benefit)[1] - benefit[best]
        row = {"threshold": value, "best": names[best], "evpi": gain.mean(), "evpi_std_error": gain.std() / np.sqrt(gain.size)}
        if not prepared:
            rows.append(row)
        for name, fit in prepared.items():
            rows.append(row | dict(zip(("parameter", "evppi", "evppi_std_error"), (name, *_partial(benefit, best, fit, value)), strict=True)))
    frame = pd.DataFrame(rows)
    for column in ("evpi", "evppi"):
        if population is not None and column in frame:
            frame[f"{column}_population"] = frame[column] * population
    return InformationValue(frame)


def _increments(outcome: np.ndarray) -> np.ndarray:
    """Draws x strategies but the first: outcome less the first strategy's."""
    return (outcome[1:] - outcome[0]).T


def _partial(benefit: np.ndarray, best: int, fit: tuple[Smoother, np.ndarray, np.ndarray], value: float) -> tuple[float, float]:
    """EVPPI at one threshold and its standard error."""
    import numpy as np

    basis, of_effect, of_cost = fit
    increments = benefit[1:] - benefit[0]
    fitted = np.zeros_like(benefit)
    kept = basis.shrunken(value * of_effect - of_cost, (increments**2).sum(axis=1))
    fitted[1:] = (basis.basis @ kept).T
    chosen, highest, _ = best_of(fitted)
    gain = benefit[chosen, np.arange(benefit.shape[1])] - benefit[best]
    return max(float((highest - fitted[best]).mean()), 0.0), float(gain.std() / np.sqrt(gain.size))


def _sets(parameters: pd.DataFrame | Mapping | None, groups: Mapping[str, Sequence[str]] | None, draws: int) -> dict[str, dict[str, np.ndarray]]:
    """Draws of each parameter by itself, then of each group."""
    import numpy as np

    if parameters is None:
        if groups:
            raise DataError("groups of parameters without the parameters", where="value of information", mend="give `parameters` too")
        return {}
    columns = {str(name): np.asarray(parameters[name], dtype=float) for name in parameters}
    for name, drawn in columns.items():
        if drawn.shape != (draws,):
            raise DataError(f"{drawn.size} draws where cost and effect have {draws}", where=f"value of information, parameter `{name}`",
                            mend="give one value for each draw, in the same order")
    found = {name: {name: drawn} for name, drawn in columns.items()}
    for group, members in (groups or {}).items():
        unknown = [name for name in members if name not in columns]
        if unknown or group in columns:
            raise DataError(f"group `{group}` " + (f"names {', '.join(unknown)}, which is no parameter" if unknown else "has the name of a parameter"),
                            where="value of information", mend="name parameters that are given, and the group otherwise")
        found[group] = {name: columns[name] for name in members}
    return found


def why_no_information_value(*, df: float, test: str | None = None) -> str | None:
    """Why no value of information is given for an effect, or None when it may be.

    Parameters
    ----------
    df : float
        Degrees of freedom of the effect's standard error.
    test : str, optional
        The test that decides, as named in the table of estimates.
    """
    if test is not None and "randomisation" in test:
        return "The headline rests on randomisation inference, which gives no distribution of the effect to draw from"
    if not df >= MINIMUM_DF:
        return f"The effect has {df:.1f} degrees of freedom; below {MINIMUM_DF:g} its tails alone would decide the value of information"
    return None
