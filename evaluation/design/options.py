"""What a matching can be asked for, which options a method knows, and the refusals of everything else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from evaluation.design.distance import COVARIATE_DISTANCES
from evaluation.errors import ParameterError

SCORES = ("propensity", "logit")
CHOICES = {
    "method": ("nearest", "optimal", "full", "subclass", "cem", "exact", "entropy"),
    "distance": (*SCORES, *COVARIATE_DISTANCES),
    "order": ("largest", "smallest", "data", "closest"),
    "ties": ("random", "order"),
    "estimand": ("ATT", "ATC", "ATE"),
    "caliper_unit": ("sd", "absolute"),
    "common_support": ("treated", "comparison", "both"),
}

_PAIRED = ("exact", "distance", "distance_on", "caliper", "caliper_unit", "common_support", "ties", "seed")
KNOWN = {
    "nearest": (*_PAIRED, "ratio", "replace", "reuse_cap", "order", "prefer", "estimand"),
    "optimal": (*_PAIRED, "ratio", "estimand"),
    "full": (*_PAIRED, "estimand"),
    "subclass": ("distance", "subclasses", "estimand", "common_support"),
    "cem": ("coarsen", "estimand"),
    "exact": ("estimand",),
    "entropy": (),
}
"""Options that a method uses; any other one that is given is refused rather than ignored."""


@dataclass(frozen=True)
class Options:
    """Options of :func:`evaluation.design.matching.match`, with its defaults.

    Attributes
    ----------
    method, exact
        See there.
    distance : {"logit", "propensity", "mahalanobis", "robust_mahalanobis", "scaled_euclidean"}
        Linear predictor, probability, or a distance over covariates (:func:`evaluation.design.distance.distance_columns`). The order
        "largest" is the same on the first two; a caliper is not.
    distance_on : sequence of str
        Columns of a distance over covariates, where they are not all of ``on``.
    caliper : float or dict, optional
        Largest distance in a pair, in standard deviations of the score over all rows (as MatchIt); or a dict of calipers by column,
        the score by its name: ``{"logit": 0.2, "prior_absence": 0.5}``. With ``distance="mahalanobis"`` and a caliper on "logit" or
        "propensity", units match on the Mahalanobis distance within the score's caliper.
    caliper_unit : {"sd", "absolute"}
        Whether calipers count standard deviations or are in units of their columns.
    ratio : int
        Comparison units for each treated unit; fewer are taken where no more can be had.
    replace : bool
        Whether a comparison unit may serve several treated units.
    reuse_cap : int, optional
        With ``replace``: how many sets a comparison unit may be in.
    order : {"largest", "smallest", "data", "closest"}, optional
        Which treated unit chooses first: by the score, by row, or the closest pair of all first. By default "largest", and "data" where
        there is no score.
    ties : {"random", "order"}
        Between equally near units: a seeded draw that does not depend on the order of rows when labels can be sorted; or MatchIt's
        rule, which follows the order of rows.
    seed : int
        Seed of the draw for ties.
    prefer : sequence of str
        Columns on which partners should be equal if there is one that is: units choose within these first; who found nobody then
        chooses among all that are left, and is listed in ``outside_preferred``.
    common_support : {"treated", "comparison", "both"}, optional
        Drop units of that arm (or both) whose score is outside the range that both arms share.
    estimand : {"ATT", "ATC", "ATE"}
        Whose effect: the treated's, the comparison units', all units' (sets only).
    subclasses : int
        Classes of the score.
    coarsen : dict, optional
        Coarsening by column: :func:`evaluation.design.subclass.classes_of_covariates`.
    """

    method: str = "nearest"
    exact: Sequence[str] = ()
    distance: str = "logit"
    distance_on: Sequence[str] = ()
    caliper: float | Mapping[str, float] | None = None
    caliper_unit: str = "sd"
    ratio: int = 1
    replace: bool = False
    reuse_cap: int | None = None
    order: str | None = None
    ties: str = "random"
    seed: int = 0
    prefer: Sequence[str] = ()
    common_support: str | None = None
    estimand: str = "ATT"
    subclasses: int = 6
    coarsen: Mapping[str, Any] | None = None

    @property
    def by_covariates(self) -> bool:
        """Whether nearness is over several covariates rather than on one score."""
        return self.distance in COVARIATE_DISTANCES

    @property
    def score_name(self) -> str | None:
        """The propensity score's scale, where the matching uses one at all."""
        if not self.by_covariates:
            return self.distance
        named = [name for name in SCORES if isinstance(self.caliper, Mapping) and name in self.caliper]
        return named[0] if named else None

    @property
    def queue(self) -> str:
        """The order in which units choose."""
        if self.order is not None:
            return self.order
        return "data" if self.score_name is None else "largest"

    @property
    def capacity(self) -> int | None:
        """How many sets a partner may be in; None: any number."""
        return self.reuse_cap if self.replace else 1

    def checked(self) -> Options:
        """The options themselves.

        Raises
        ------
        ParameterError
            An option that does not exist, that the method does not use, or that contradicts another.
        """
        for name, known in CHOICES.items():
            given = getattr(self, name)
            if given not in known and not (given is None and name in ("order", "common_support")):
                raise ParameterError(f"{name} {given!r} does not exist", where=name, mend=f"choose from {', '.join(known)}")
        for field in fields(self):
            given = getattr(self, field.name)
            if field.name != "method" and field.name not in KNOWN[self.method] and not _same(given, field.default):
                raise ParameterError(f'method="{self.method}" does not use `{field.name}`', where=field.name,
                                     mend=f"leave it out; this method takes {', '.join(KNOWN[self.method]) or 'no option'}")
        self._check_caliper()
        self._check_numbers()
        if self.method != "subclass" and self.estimand == "ATE" and self.method in ("nearest", "optimal"):
            raise ParameterError("pairs seek partners for one arm, so they have no effect on all", where="estimand",
                                 mend='choose "ATT" or "ATC", or method "full", "subclass", "cem" or weights')
        return self

    def _check_numbers(self) -> None:
        for name, given in (("ratio", self.ratio), ("subclasses", self.subclasses), ("reuse_cap", self.reuse_cap)):
            if given is not None and (isinstance(given, bool) or not isinstance(given, (int, np.integer)) or given < 1):
                raise ParameterError(f"{name} of {given!r} makes no sense", where=name, mend="give a whole number of at least 1")
        if self.reuse_cap is not None and not self.replace:
            raise ParameterError("a cap on reuse without reuse", where="reuse_cap", mend="set replace=True, or leave the cap out")
        if self.by_covariates and self.method == "subclass":
            raise ParameterError("classes are of a score", where="distance", mend=f"choose from {', '.join(SCORES)}")
        if self.distance_on and not self.by_covariates:
            raise ParameterError("`distance_on` names the columns of a distance over covariates", where="distance_on",
                                 mend=f"choose a distance from {', '.join(COVARIATE_DISTANCES)}")
        if self.queue in ("largest", "smallest") and self.score_name is None:
            raise ParameterError(f'order "{self.queue}" needs a propensity score', where="order",
                                 mend='choose "data" or "closest", or set a caliper on "propensity" or "logit"')
        if self.common_support is not None and self.score_name is None:
            raise ParameterError("common support is a range of a propensity score", where="common_support",
                                 mend='set a caliper on "propensity" or "logit", or leave it out')

    def _check_caliper(self) -> None:
        if self.caliper is None:
            return
        widths = self.caliper if isinstance(self.caliper, Mapping) else {self.distance: self.caliper}
        for name, width in widths.items():
            if isinstance(width, bool) or not isinstance(width, (int, float, np.number)) or not np.isfinite(width) or width <= 0:
                raise ParameterError(f"a caliper of {width!r} makes no sense", where="caliper",
                                     mend="give a positive number of standard deviations of the distance, a dict of them by column, or None")
            if name in COVARIATE_DISTANCES or (name in SCORES and name != self.score_name):
                raise ParameterError(f"a caliper on {name!r} cannot be kept with the distance {self.distance!r}", where="caliper",
                                     mend='give a dict with "propensity" or "logit" (one of them) and columns; a score that is the distance by its own name')


def _same(given: object, default: object) -> bool:
    if isinstance(given, Sequence) and not isinstance(given, str):
        return not len(given)
    return given is default or given == default
