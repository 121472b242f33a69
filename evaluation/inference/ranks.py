"""The place of one effect among placebo effects, for a study with a single treated unit."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

import numpy as np
import pandas as pd

from evaluation.errors import DataError

# Placebos that differ from the effect by rounding only count as ties, so as being at least as extreme.
TIE = 1e-12
USUAL_LEVEL = 0.05


@dataclass(frozen=True, repr=False)
class PlaceboRankTest:
    """The place of an effect among placebo effects.

    Attributes
    ----------
    effect : float
    n : int
        Placebo effects, the effect itself not counted.
    rank : int
        Place of the effect's size among all n + 1; 1 is the largest, ties count against the effect.
    p_two_sided, p_greater, p_less : float
        (1 + placebos at least as extreme) / (1 + n): in size; upwards; downwards.
    floor : float
        1 / (n + 1), the smallest p-value that this many placebos allow.
    warnings : tuple of str
    """

    effect: float
    n: int
    rank: int
    p_two_sided: float
    p_greater: float
    p_less: float
    floor: float
    warnings: tuple[str, ...]

    @property
    def frame(self) -> pd.DataFrame:
        """One row per alternative: alternative, effect, rank, n, p_value, floor."""
        values = [("two_sided", self.p_two_sided), ("greater", self.p_greater), ("less", self.p_less)]
        rows = [(name, self.effect, round(p * (self.n + 1)), self.n, p, self.floor) for name, p in values]
        return pd.DataFrame(rows, columns=["alternative", "effect", "rank", "n", "p_value", "floor"])

    def __repr__(self) -> str:
        return "\n".join([self.frame.to_string(index=False), *self.warnings])

    def _repr_html_(self) -> str:
        notes = "".join(f"<p>{escape(sentence)}</p>" for sentence in self.warnings)
        return self.frame.to_html(index=False, border=0) + notes


def placebo_rank_test(effect: float, placebo_effects: Iterable[float]) -> PlaceboRankTest:
    """Rank p-values of an effect among the effects found where nothing was done [1]_.

    Parameters
    ----------
    effect : float
        Effect estimated for the treated unit.
    placebo_effects : iterable of float, length n
        The same estimate with each untreated unit put in the treated unit's place, in the same units.

    Returns
    -------
    PlaceboRankTest

    Raises
    ------
    DataError
        The effect or a placebo is missing, infinite or not a number, or there is no placebo.

    References
    ----------
    .. [1] Abadie, A., Diamond, A. & Hainmueller, J. (2010). Synthetic control methods for comparative case studies.
       Journal of the American Statistical Association 105(490), 493-505.
    """
    placebos = placebo_effects if isinstance(placebo_effects, pd.Series) else pd.Series(list(placebo_effects), dtype=object)
    try:
        effect, values = float(effect), placebos.to_numpy(dtype=float, na_value=np.nan)
    except (TypeError, ValueError) as error:
        raise DataError("the effect and the placebo effects must be numbers", mend="pass estimates only.") from error
    if not math.isfinite(effect):
        raise DataError("the effect is missing or infinite", where="effect", mend="look at the fit that gave it.")
    if not len(values):
        raise DataError("there is no placebo effect to compare with", where="placebo_effects",
                        mend="widen the pool of untreated units.")  # fmt: skip
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        number = "1 placebo effect is" if len(bad) == 1 else f"{len(bad)} placebo effects are"
        raise DataError(f"{number} missing or infinite", where=f"placebo {placebos.index[bad[0]]}",
                        mend="leave the unit out of the pool, by a rule made before effects are seen, and count it.")  # fmt: skip
    n = len(values)
    slack = TIE * abs(effect)
    sizes = np.abs(values) >= abs(effect) - slack
    floor = 1 / (n + 1)
    rank = 1 + int(sizes.sum())
    warnings = ()
    if floor > USUAL_LEVEL:
        warnings = (f"With {n} placebos no effect, however large, can have a p-value below {floor:.2f}.",)
    return PlaceboRankTest(
        effect=effect,
        n=n,
        rank=rank,
        p_two_sided=rank / (n + 1),
        p_greater=(1 + int((values >= effect - slack).sum())) / (n + 1),
        p_less=(1 + int((values <= effect + slack).sum())) / (n + 1),
        floor=floor,
        warnings=warnings,
    )
