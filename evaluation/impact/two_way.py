"""Two-way fixed effects: one effect, or an event study, with unit and period effects and clustered standard errors.

With start dates that differ and effects that do too, both are weighted sums of comparisons some of which use treated units as controls
[1]_ [2]_: a diagnostic beside :func:`group_time_effects`, not a headline.

References
----------
.. [1] Goodman-Bacon, A. (2021). Difference-in-differences with variation in treatment timing. Journal of Econometrics 225(2), 254-277.
.. [2] Sun, L. & Abraham, S. (2021). Estimating dynamic treatment effects in event studies with heterogeneous treatment effects. Journal
   of Econometrics 225(2), 175-199.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from html import escape

import numpy as np
import pandas as pd

from evaluation.errors import DataError, UnidentifiedError
from evaluation.impact.estimate import CONF_LEVEL, Estimate, figures, tidy
from evaluation.impact.two_way_covariance import CLUSTERED, UNCLUSTERED, covariance, joint_test
from evaluation.impact.two_way_panel import Panel, read_panel, read_starts, read_treated
from evaluation.impact.two_way_solve import NO_TERM, ROUNDING, Design, Solution, compress, solve_two_way
from evaluation.inference import linear, simultaneous_band
from evaluation.inference.wald import WaldTest

REFERENCE = -1
BIAS_REDUCED = ("CR2", "CR3")
UNITS, PERIODS, WEIGHTS = "unit effects", "period effects", "weights of the panel"


@dataclass(frozen=True, eq=False, repr=False)
class TwoWayFit:
    """Two-way estimates.

    Attributes
    ----------
    frame : DataFrame
        One row per effect: term, event_time (event study only), estimate, std_error, df, statistic, p_value, conf_low, conf_high, in
        units of the outcome. The reference of an event study is zero by construction and has no row.
    covariates : DataFrame
        The same of the covariates.
    vcov : DataFrame
        Covariance of effects, then covariates, labelled by term on both sides.
    overall : Estimate
        The effect; of an event study the plain mean of its effects at event times 0 and later.
    reference : int or None
        Event time that the others are measured from.
    n, units, periods : int
        Rows, units and periods used.
    clusters : int or None
    kind : str
    conf_level : float
    warnings : tuple of str
    """

    frame: pd.DataFrame
    covariates: pd.DataFrame
    vcov: pd.DataFrame
    overall: Estimate
    reference: int | None
    n: int
    units: int
    periods: int
    clusters: int | None
    outcome: str
    cluster: str | None
    kind: str
    conf_level: float
    warnings: tuple[str, ...]
    _linear: object = field(default=None, compare=False)

    def wald(self, terms: Sequence[str]) -> WaldTest:
        """F test that the named terms are all zero; of CR2 that of :func:`evaluation.inference.linear`, else fixest's."""
        terms = [terms] if isinstance(terms, str) else list(terms)
        every = pd.concat([self.frame, self.covariates]).set_index("term")
        if self._linear is None or not set(terms) <= set(every.index):
            return joint_test(every["estimate"], self.vcov, float(every["df"].iloc[0]), terms)
        found = self._linear.wald([self._linear.frame["term"].iloc[list(every.index).index(name)] for name in terms])
        return replace(found, terms=tuple(terms))

    def banded(self, *, draws: int = 9999, seed: int = 0) -> pd.DataFrame:
        """``frame`` with band_low and band_high: limits that hold for all effects together (:func:`evaluation.inference.simultaneous_band`)."""
        return with_band(self.frame, self.vcov, self.conf_level, draws=draws, seed=seed)

    @property
    def _heading(self) -> str:
        base = "" if self.reference is None else f", effects measured from event time {self.reference}"
        by = f", {self.clusters:,} clusters by {self.cluster}" if self.clusters is not None else ""
        return f"{self.outcome}: {self.n:,} rows, {self.units:,} units, {self.periods} periods{by}, {self.kind}, {self.conf_level:.0%} intervals{base}"

    def __repr__(self) -> str:
        return "\n".join([self._heading, self.frame.to_string(index=False), *self.warnings])

    def _repr_html_(self) -> str:
        notes = "".join(f"<p>{escape(sentence)}</p>" for sentence in self.warnings)
        return f"<p>{escape(self._heading)}</p>{self.frame.to_html(index=False, border=0)}{notes}"


def two_way_effects(
    panel: pd.DataFrame,
    outcome: str,
    *,
    unit: str,
    time: str,
    treated: str | None = None,
    start: str | None = None,
    covariates: Sequence[str] = (),
    weights: str | None = None,
    cluster: str | None = None,
    kind: str = "CR1",
    window: tuple[int, int] | None = None,
) -> TwoWayFit:
    """Regress an outcome on treatment with unit and period effects.

    Solved exactly, balanced or not. Units with a single row are kept (they count in n, as in the R package fixest) and said in a warning.

    Parameters
    ----------
    panel : DataFrame
        One row per unit and period, any order, any index. Never changed.
    outcome, unit, time : str
        Columns. Periods are whole numbers, an ordered category, dates or time periods.
    treated : str, optional
        Column of 0 and 1: one effect. Units treated throughout are kept: they help to tell the period effects.
    start : str, optional
        Column of the first treated period, 0 or missing for never treated: an event study with indicators of periods since start, all but
        the reference -1. Periods are counted one by one, so that gaps between numbers are refused. Units treated from the first period
        on are left out and counted; units that start after the last period count as never treated, and are counted.
    covariates : sequence of str
        Numeric columns that change within units. Collinear ones are refused, not dropped.
    weights : str, optional
        Weights of analysis, zero or more; rows of weight zero are left out and counted.
    cluster : str
        Column that is constant within units, as a rule the school. Needed for the kinds CR0 to CR3.
    kind : {"CR1", "CR0", "CR2", "CR3", "iid", "HC1"}
        CR1 with fixest's factor, G / (G - 1) times (n - 1) / (n - K), K the terms and period effects; unit effects, nested in clusters, are
        not counted. CR2 and CR3 are those of :func:`evaluation.inference.linear`.
    window : (int, int), optional
        Event times before the first and after the last of these count as the first and the last.

    Returns
    -------
    TwoWayFit

    Raises
    ------
    DataError
        See :func:`evaluation.impact.two_way_panel.read_panel` and ``read_starts``; both or neither of ``treated`` and ``start``; an unknown
        kind; no cluster.
    UnidentifiedError
        An event study without a never-treated unit, or without one that starts in the panel; one cluster; a term that does not vary or
        is collinear; an effect that rests on one cluster alone (in an event study its standard error is then missing, with a warning).
    """
    covariates = (covariates,) if isinstance(covariates, str) else tuple(covariates)
    _check_request(treated, start, covariates, cluster, kind)
    read = read_panel(panel, outcome, unit=unit, time=time, weights=weights, covariates=covariates, cluster=None if kind in UNCLUSTERED else cluster)
    notes = row_notes(read)
    if start is None:
        if window is not None:
            raise DataError("a window is for an event study", where="window", mend="leave it out, or name `start`.")
        effect = read_treated(read, panel, treated)
        path = np.bincount(read.units, effect * 2.0**read.times, minlength=read.count)
        design, times = Design(read, np.where(effect == 1, 0, NO_TERM), path, (treated, *covariates)), None
    else:
        starts = read_starts(read, panel, unit=unit, time=time, start=start)
        read, starts, said = comparable(read, starts, start)
        design, times = event_design(read, starts, covariates, window)
        notes += said
    return _fit(design, times, outcome, cluster, kind, notes)


def comparable(read: Panel, starts: np.ndarray, start: str) -> tuple[Panel, np.ndarray, tuple[str, ...]]:
    """The panel without units treated from its first period on, their sentences, and a refusal where nothing can be compared.

    Raises
    ------
    UnidentifiedError
        No unit is never treated in the panel, or none starts in it.
    """
    last = len(read.periods)
    starts, late = within(starts, last)
    notes = list(late)
    always = starts <= 0
    if always.any():
        notes.append(f"{counted(int(always.sum()), 'unit')} treated from the first period on: left out, because no period before treatment is known.")
        kept = ~always[read.units]
        if not kept.any():
            raise UnidentifiedError("every unit is treated from the first period on", where=f"column {start!r}", mend="add earlier periods.")
        read, starts = read.keep(kept), starts[~always]
    if not (starts < last).any():
        raise UnidentifiedError("no unit starts after the first and by the last period, so there is no effect to estimate", where=f"column {start!r}",
                                mend="check that starts and periods are numbered alike.")  # fmt: skip
    if not (read.times >= starts[read.units]).any():
        raise UnidentifiedError("no row lies at or after its unit's start, so there is no effect to estimate", where=f"column {start!r}",
                                mend="look at the step that selected the rows.")  # fmt: skip
    if (starts < last).all():
        raise UnidentifiedError("no unit is never treated in the panel, so effects by time since start cannot be told from the passing of time",
                                where=f"column {start!r}",
                                mend="add never-treated units, or end the panel before the last group starts, so that it serves as the comparison.")  # fmt: skip
    return read, starts, tuple(notes)


def within(starts: np.ndarray, last: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """Starts with those after the last period counted as never treated, and a sentence on how many."""
    late = int((starts > last).sum())
    verb = "starts after the last period: it counts" if late == 1 else "start after the last period: they count"
    return np.minimum(starts, last), (f"{counted(late, 'unit')} {verb} as never treated.",) if late else ()


def event_design(read: Panel, starts: np.ndarray, covariates: Sequence[str], window: tuple[int, int] | None) -> tuple[Design, np.ndarray]:
    """Indicators of event time, all but the reference, and their event times."""
    distance = read.times - starts[read.units]
    inside = (starts < len(read.periods))[read.units]
    if window is not None:
        first, final = window
        if not first < REFERENCE < 0 <= final:
            raise DataError(f"the window {first} to {final} does not reach from before {REFERENCE} to 0 or later", where="window",
                            mend="widen it.")  # fmt: skip
        distance = np.clip(distance, first, final)
    known = inside & (distance != REFERENCE)
    refuse_without_reference(inside & (distance == REFERENCE), inside, "no unit that starts")
    times = np.unique(distance[known])
    effect = np.full(len(distance), NO_TERM)
    effect[known] = np.searchsorted(times, distance[known])
    return Design(read, effect, starts, (*(f"event_time={time}" for time in times), *covariates)), times


def refuse_without_reference(base: np.ndarray, rows: np.ndarray, whose: str) -> None:
    """Refuse effects of some rows where none of them lies in the reference period."""
    if rows.any() and not (base & rows).any():
        raise UnidentifiedError(f"{whose} has a row at event time {REFERENCE}, which effects are measured from", where=f"event time {REFERENCE}",
                                mend="add the rows of the period before the start, or leave out and count the units that lack it.")  # fmt: skip


def row_notes(read: Panel) -> tuple[str, ...]:
    """Sentences on rows that took no part or tell nothing."""
    notes = []
    if read.zero_weight_rows:
        notes.append(f"{counted(read.zero_weight_rows, 'row')} of weight zero: left out.")
    single = int((np.diff(read.first) == 1).sum())
    if single:
        notes.append(f"{counted(single, 'unit')} with a single row: kept, but {'it tells' if single == 1 else 'they tell'} nothing of the effect.")
    return tuple(notes)


def counted(count: int, what: str) -> str:
    """A count with its noun."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def solved(design: Design, kind: str, cluster: str | None) -> Solution:
    """The solution, on as few rows as the kind of covariance allows.

    Raises
    ------
    UnidentifiedError
        There is one cluster.
    """
    if kind in UNCLUSTERED:
        return solve_two_way(design)
    present = np.unique(design.panel.clusters)
    if len(present) < 2:
        raise UnidentifiedError(f"all rows belong to one cluster ({design.panel.cluster_labels[present[0]]})", where=f"column {cluster!r}",
                                mend="cluster by a column with at least two groups; few groups give few degrees of freedom.")  # fmt: skip
    return solve_two_way(compress(design))


def _check_request(treated: str | None, start: str | None, covariates: tuple[str, ...], cluster: str | None, kind: str) -> None:
    if (treated is None) == (start is None):
        raise DataError("name either `treated` (one effect) or `start` (an event study)", where="treated, start", mend="leave the other out.")
    check_kind(kind, cluster, (*CLUSTERED, *BIAS_REDUCED, *UNCLUSTERED))
    names = [treated, *covariates]
    if len(set(names)) < len(names):
        raise DataError("a term is named more than once", where="covariates", mend="name each once.")


def check_kind(kind: str, cluster: str | None, kinds: Sequence[str]) -> None:
    """Refuse an unknown kind, and a clustered kind without a cluster."""
    if kind not in kinds:
        raise DataError(f"kind {kind!r} is not known", where="kind", mend=f"use one of {', '.join(kinds)}.")
    if cluster is None and kind not in UNCLUSTERED:
        raise DataError("no cluster column is named", where="cluster", mend="name the column of groups whose rows share shocks, as a rule the school.")


def _fit(design: Design, times: np.ndarray | None, outcome: str, cluster: str | None, kind: str, notes: tuple[str, ...]) -> TwoWayFit:
    read, names = design.panel, list(design.names)
    effects = len(names) - read.covariates.shape[1]
    average = np.zeros(len(names))
    average[: effects if times is None else 0] = 1.0
    if times is not None:
        average[:effects][times >= 0] = 1.0 / (times >= 0).sum()
    fitted = None
    if kind in BIAS_REDUCED:
        fitted = _by_linear(design, kind, outcome, cluster)
        notes += fitted.warnings
        estimates, vcov = fitted.frame["estimate"].to_numpy(), fitted.vcov.to_numpy()
        df = fitted.frame["df"].to_numpy()
        overall_df = float(df[: effects][average[:effects] > 0].min())
    else:
        solution = solved(design, kind, cluster)
        estimates = solution.estimates
        vcov, single_df = covariance(solution, read, kind)
        vcov, said = without_lone(vcov, solution, names, read.cluster_labels, required=effects)
        notes, df, overall_df = notes + said, np.full(len(names), single_df), single_df
    errors = np.sqrt(np.diag(vcov))
    refuse_zero_errors(estimates, errors, names)
    every = tidy(names, estimates, errors, df)
    frame, rest = every.iloc[:effects].reset_index(drop=True), every.iloc[effects:].reset_index(drop=True)
    if times is not None:
        frame.insert(1, "event_time", times)
    ever = np.bincount(read.units, (design.effect != NO_TERM), minlength=read.count) > 0
    clusters = None if kind in UNCLUSTERED else len(np.unique(read.clusters))
    if times is not None and bool((times[:, None] >= 0).any()) and overall_df < np.inf and kind in BIAS_REDUCED:
        notes += ("The degrees of freedom of the mean effect are the fewest of its parts.",)
    overall = Estimate(
        **figures(float(average @ estimates), float(np.sqrt(average @ vcov @ average)), overall_df),
        term=names[0] if times is None else "mean of event times 0 and later", method="two-way fixed effects", kind=kind, n=len(read.units),
        n_treated=int(ever.sum()), n_comparison=int((~ever).sum()), clusters=clusters, warnings=notes,
    )  # fmt: skip
    labels = pd.Index(names)
    return TwoWayFit(
        frame=frame, covariates=rest, vcov=pd.DataFrame(vcov, index=labels, columns=labels), overall=overall,
        reference=None if times is None else REFERENCE, n=len(read.units), units=read.count, periods=len(read.periods), clusters=clusters,
        outcome=outcome, cluster=cluster, kind=kind, conf_level=CONF_LEVEL, warnings=notes, _linear=fitted,
    )  # fmt: skip


def without_lone(
    vcov: np.ndarray, solution: Solution, names: Sequence[str], labels: Sequence, *, required: int = 0, directions: np.ndarray | None = None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """The covariance without what rests on one cluster alone, and sentences that say so.

    Parameters
    ----------
    vcov : ndarray, shape (m, m)
        Of the terms, or of the combinations of them in ``directions``, shape (k, m).
    solution : Solution
    names, labels : sequence
        Of what ``vcov`` is of; of clusters.
    required : int
        How many of the first are needed: refused if none of them has a standard error.

    Raises
    ------
    UnidentifiedError
    """
    if not len(solution.lone_clusters):
        return vcov, ()
    alone = solution.resting(np.eye(len(names)) if directions is None else directions)
    if not alone.any():
        return vcov, ()
    where = ", ".join(name for name, flag in zip(names, alone, strict=True) if flag)
    whose = ", ".join(sorted({str(labels[owner]) for owner in solution.lone_clusters}))
    if required and alone[:required].all():
        raise UnidentifiedError(f"the effect rests on one cluster alone ({whose}), so no clustered standard error can say how far it may be off",
                                where=f"term {where}", mend="use more clusters on each side.")  # fmt: skip
    vcov = vcov.copy()
    vcov[alone, :] = np.nan
    vcov[:, alone] = np.nan
    return vcov, (f"{where}: rests on one cluster alone ({whose}), so that no standard error is given.",)


def with_band(frame: pd.DataFrame, vcov: pd.DataFrame, conf_level: float, *, draws: int, seed: int) -> pd.DataFrame:
    """A table of effects with simultaneous limits; missing where the standard error is. The fewest degrees of freedom serve all."""
    known = frame["std_error"].notna()
    terms = frame.loc[known, "term"]
    band = simultaneous_band(frame.loc[known].set_index("term")["estimate"], vcov.loc[terms, terms], df=float(frame.loc[known, "df"].min()),
                             conf_level=conf_level, draws=draws, seed=seed)  # fmt: skip
    limits = band.frame[["band_low", "band_high"]].set_axis(frame.index[known])
    return frame.join(limits)


def refuse_zero_errors(estimates: np.ndarray, errors: np.ndarray, names: Sequence[str]) -> None:
    """Refuse terms whose standard error is zero: rounding, not certainty."""
    still = errors <= ROUNDING * np.abs(estimates)
    if still.any():
        listed = ", ".join(name for name, flag in zip(names, still, strict=True) if flag)
        raise UnidentifiedError("the clusters that tell this term leave no residual variation, so its standard error would be zero",
                                where=f"term {listed}", mend="use more clusters, or fewer terms.")  # fmt: skip


def _by_linear(design: Design, kind: str, outcome: str, cluster: str):
    """The same regression by :func:`evaluation.inference.linear`, which has the bias-reduced kinds; names and labels are the caller's."""
    read, names = design.panel, list(design.names)
    effects = len(names) - read.covariates.shape[1]
    labels = np.empty(len(read.cluster_labels), dtype=object)
    labels[:] = list(read.cluster_labels)
    terms = pd.DataFrame(np.column_stack([design.effect[:, None] == np.arange(effects), read.covariates]).astype(float), columns=names)
    helpers = {UNITS: read.units, PERIODS: read.times, WEIGHTS: read.weights, cluster: labels[read.clusters][read.units], outcome: read.outcome}
    table = pd.concat([terms, pd.DataFrame(helpers)], axis=1)
    return linear(table, outcome, names, weights=WEIGHTS, absorb=(UNITS, PERIODS), cluster=cluster, kind=kind)
