"""What group-time effects are handed back as: a table, its uncertainty, and whatever averages or clusters are asked for later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from html import escape

import numpy as np
import pandas as pd

from evaluation.errors import DataError, ParameterError
from evaluation.impact.estimate import tidy
from evaluation.impact.group_time_aggregate import AggregatedEffects, aggregate
from evaluation.impact.group_time_errors import Errors, make_errors
from evaluation.impact.group_time_estimate import Estimated
from evaluation.impact.group_time_periods import NEVER
from evaluation.impact.group_time_pretest import PreTest, pre_test


@dataclass(frozen=True, eq=False, repr=False)
class GroupTimeEffects:
    """Effects by cohort and period; see :func:`evaluation.impact.group_time_effects`.

    Attributes
    ----------
    frame : DataFrame
        One row per cohort and period: start, time, event_time (periods since the start), base_time (the period that changes are taken
        from), term, estimate (units of the outcome), std_error, df, statistic, p_value, conf_low, conf_high (pointwise), band_low,
        band_high (all rows at once), n_treated, n_comparison (units in the cell; rows where units are not followed), trimmed (comparison
        units without weight), reason (why the estimate is missing). A reference period has estimate 0 and no standard error.
    vcov : DataFrame
        Analytic covariance of the estimates, labelled by start and time; zero for reference periods, missing where refused.
    pre_test : PreTest
    outcome, method, comparison, base_period : str
    n : int
        Units analysed.
    clusters : int or None
    kind : str
        Form of the standard errors.
    conf_level, critical_value : float
        Level of the intervals, and standard errors from an estimate to its band.
    warnings : tuple of str
        Who was left out, with counts, and what makes the numbers fragile.
    """

    frame: pd.DataFrame
    vcov: pd.DataFrame
    pre_test: PreTest
    outcome: str
    method: str
    comparison: str
    base_period: str
    n: int
    clusters: int | None
    kind: str
    conf_level: float
    critical_value: float
    warnings: tuple[str, ...]
    _notes: tuple[str, ...] = field(repr=False)
    _found: Estimated = field(repr=False)
    _labels: pd.Index = field(repr=False)
    _units: pd.Index = field(repr=False)
    _sizes: dict[int, float] = field(repr=False)
    _counts: tuple[int, int] = field(repr=False)
    _errors: Errors = field(repr=False)

    def aggregate(self, kind: str = "simple", *, balance: int | None = None, min_event: int | None = None, max_event: int | None = None,
                  missing: str = "refuse") -> AggregatedEffects:  # fmt: skip
        """Average the effects, without a refit.

        Parameters
        ----------
        kind : {"simple", "group", "event", "calendar"}
            One average over all cells from the start on; by cohort; by periods since the start; by calendar period. Cohorts are weighted
            by their size (sum of weights), whose sampling variation is in the standard errors.
        balance : int, optional
            For "event": only cohorts observed for this many periods after the start, up to that event time, so that the same cohorts are
            averaged from the start on.
        min_event, max_event : int, optional
            For "event": first and last event time shown, and averaged over. ``max_event`` also limits the cells of the other kinds.
        missing : {"refuse", "leave_out"}
            What an average does that needs a refused cell: is missing itself, with the reason; or averages the other cells, and says so.

        Raises
        ------
        ParameterError, DataError, UnidentifiedError
            A kind or limit that does not exist or does not apply; no cell enters.
        """
        context = {"method": self.method, "n": self.n, "n_treated": self._counts[0], "n_comparison": self._counts[1], "clusters": self.clusters,
                   "warnings": self.warnings}  # fmt: skip
        return aggregate(self._found, self._labels, self._sizes, self._errors, kind, balance=balance, min_event=min_event, max_event=max_event,
                         missing=missing, context=context)  # fmt: skip

    def with_clusters(self, clusters: pd.Series | None, *, draws: int = 0, seed: int = 0) -> GroupTimeEffects:
        """The same estimates with errors clustered otherwise, without a refit.

        Parameters
        ----------
        clusters : Series or None
            Cluster of every unit, indexed by unit; None for independent units.
        draws, seed : int
            As in :func:`evaluation.impact.group_time_effects`.

        Raises
        ------
        DataError
            A unit has no cluster, or the index repeats.
        """
        codes, name = None, None
        if clusters is not None:
            if not isinstance(clusters, pd.Series) or not clusters.index.is_unique:
                raise DataError("clusters are not a Series with one entry a unit", where="clusters", mend="index a Series by unit.")
            codes = pd.factorize(clusters.reindex(self._units), use_na_sentinel=True)[0]
            if (codes < 0).any():
                raise DataError(f"{int((codes < 0).sum()):,} units have no cluster, the first {self._units[codes < 0][0]}", where="clusters",
                                mend="give every unit its cluster.")  # fmt: skip
            name = str(clusters.name or "the clusters given")
        errors = make_errors(self._found.influence, codes, name, draws=draws, seed=seed, conf_level=self.conf_level)
        return replace(self, _errors=errors, warnings=(*self._notes, *errors.warnings), **_tables(self._found, self._labels, errors))

    def test_before_start(self, *, anticipation: str = "exclude") -> PreTest:
        """The joint test of the effects before the start, with or without the periods in which anticipation is allowed.

        Parameters
        ----------
        anticipation : {"exclude", "include"}
            "exclude" is :attr:`pre_test`; "include" is the test that the R package did 2.5.1 prints. They differ only with anticipation.
        """
        if anticipation not in ("exclude", "include"):
            raise ParameterError(f"anticipation={anticipation!r} does not exist", where="anticipation", mend="choose from exclude, include.")
        return pre_test(self._found.cells, self._found.estimate, self._errors.testable, self._errors.clusters, window=anticipation == "include")

    def influence_functions(self) -> pd.DataFrame:
        """Influence of every unit on every estimate, units by (start, time): independent units make the variance of an estimate the sum of
        its column's squares. The R package did reports these times the number of units."""
        return pd.DataFrame(self._found.influence.dense(), index=self._units, columns=_names(self._found, self._labels))

    @property
    def _heading(self) -> str:
        return (f"{self.outcome}: {len(self.frame)} effects by start and period, {self.n:,} units, method {self.method}, comparison {self.comparison}, "
                f"base period {self.base_period}, {self.kind}, {self.conf_level:.0%} intervals")  # fmt: skip

    def __repr__(self) -> str:
        return "\n".join([self._heading, self.frame.to_string(index=False), repr(self.pre_test), *self.warnings])

    def _repr_html_(self) -> str:
        notes = "".join(f"<p>{escape(sentence)}</p>" for sentence in (repr(self.pre_test), *self.warnings))
        return f"<p>{escape(self._heading)}</p>{self.frame.to_html(index=False, border=0)}{notes}"


def make_result(found: Estimated, labels: pd.Index, units: pd.Index, blocks: dict, errors: Errors, *, outcome: str, method: str, comparison: str,
                base_period: str, notes: Sequence[str]) -> GroupTimeEffects:  # fmt: skip
    """Put estimates and errors into a result. Parameters as the attributes of :class:`GroupTimeEffects`; ``notes`` do not depend on clusters."""
    sizes, counts = {}, [0, 0]
    for cohort, begin, end in blocks.values():
        counts[cohort == NEVER] += end - begin
        if cohort != NEVER:
            sizes[cohort] = sizes.get(cohort, 0.0) + float(found.influence.mass[begin:end].sum())
    return GroupTimeEffects(
        outcome=outcome, method=method, comparison=comparison, base_period=base_period, n=len(units), warnings=(*notes, *errors.warnings),
        _notes=tuple(notes), _found=found,
        _labels=labels, _units=units, _sizes=dict(sorted(sizes.items())), _counts=tuple(counts), _errors=errors,
        conf_level=errors.conf_level, **_tables(found, labels, errors),
    )  # fmt: skip




def _names(found: Estimated, labels: pd.Index) -> pd.MultiIndex:
    return pd.MultiIndex.from_tuples([(labels[cell.start], labels[cell.time]) for cell in found.cells], names=["start", "time"])


def _tables(found: Estimated, labels: pd.Index, errors: Errors) -> dict:
    """Everything in a result that depends on the errors."""
    count = len(found.cells)
    loadings = np.eye(count, errors.moments.shape[0])
    fixed = np.array([cell.reference for cell in found.cells])
    ready = np.isfinite(found.estimate) & ~fixed
    std_error = np.full(count, np.nan)
    std_error[ready] = errors.std_error(loadings[ready])
    band = errors.band(found.estimate[ready], loadings[ready])
    starts, times = [labels[cell.start] for cell in found.cells], [labels[cell.time] for cell in found.cells]
    terms = [f"start={start}, time={time}" for start, time in zip(starts, times, strict=True)]
    figures = tidy(terms, found.estimate, std_error, conf_level=errors.conf_level)
    frame = pd.DataFrame({"start": starts, "time": times, "event_time": [cell.event for cell in found.cells],
                          "base_time": [labels[cell.base] for cell in found.cells]})  # fmt: skip
    frame = pd.concat([frame, figures], axis=1)
    frame["band_low"], frame["band_high"] = found.estimate - band * std_error, found.estimate + band * std_error
    for name in ("n_treated", "n_comparison", "trimmed"):
        frame[name] = getattr(found, name)
    frame["reason"] = list(found.reason)
    moments = errors.moments[:count, :count].copy()
    refused = np.isnan(found.estimate) | errors.lone(loadings)
    moments[refused], moments[:, refused] = np.nan, np.nan
    names = _names(found, labels)
    return {"frame": frame, "vcov": pd.DataFrame(moments, index=names, columns=names), "critical_value": band, "clusters": errors.clusters,
            "kind": errors.kind, "pre_test": pre_test(found.cells, found.estimate, errors.testable, errors.clusters)}  # fmt: skip
