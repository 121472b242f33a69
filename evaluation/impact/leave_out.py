"""Leave one area and one school out: whether a single place carries the headline."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from evaluation.errors import UnidentifiedError
from evaluation.impact.change import ChangeEstimate
from evaluation.impact.judge import ended, figures_of, no_figures, try_change
from evaluation.protocol.trial import ImpactSection

AREA, SCHOOL = "area", "school"
COLUMNS = {AREA: "area_code", SCHOOL: "school_id"}
REMAINS, LOST, TURNED = "interval still says the same", "interval says something else", "estimate changes sign"


def leave_one_out(leading: Mapping[str, ChangeEstimate], *, rules: ImpactSection) -> pd.DataFrame:
    """Table ``leave_one_out``: every leading estimate without each area and without each school, matches and weights held fixed.

    Area shocks are not in the headline's interval, so that the spread over areas left out is what the design can say about them.

    Returns
    -------
    DataFrame
        ``analysis, left_out`` ("area" or "school"), ``place`` (its code), ``arm`` ("mentored", "comparison" or "both" for an area), ``estimate,
        std_error, df, conf_low, conf_high, detectable`` (points of sessions attended), ``test``, counts, ``shift`` (from the headline), ``result, text``.
    """
    lines = []
    for analysis, change in leading.items():
        own_figures = figures_of(change, rules, within_area="within_area" in analysis)
        estimate, whole = own_figures["estimate"], _says(own_figures["conf_low"], own_figures["conf_high"])
        for what, column in COLUMNS.items():
            for place in sorted(change.rows[column].unique()):
                own = change.rows[column] == place
                lines.append({"analysis": analysis, "left_out": what, "place": place, "arm": _arm(change.rows.loc[own]),
                              **_without(estimate, change.rows.loc[~own], "within_area" in analysis, whole, rules)})
    return ended(pd.DataFrame(lines))


def _without(estimate: float, rows: pd.DataFrame, within: bool, whole: int, rules: ImpactSection) -> dict:
    found = try_change(rows.drop(columns="cell", errors="ignore"), within_area=within, weight="weight")
    if isinstance(found, UnidentifiedError):
        return {**no_figures(rows), "shift": None, "result": LOST, "text": found.message}
    figures = figures_of(found, rules, within_area=within)
    turned = figures["estimate"] * estimate < 0
    result = TURNED if turned else REMAINS if _says(figures["conf_low"], figures["conf_high"]) == whole else LOST
    return {**figures, "shift": figures["estimate"] - estimate, "result": result, "text": None}


def _says(low: float, high: float) -> int:
    """1: above zero; -1: below; 0: the interval includes zero."""
    return 1 if low > 0 else -1 if high < 0 else 0


def _arm(rows: pd.DataFrame) -> str:
    arms = set(rows["treated"])
    return "both" if len(arms) == 2 else "mentored" if arms == {1} else "comparison"


def leave_out_ranges(table: pd.DataFrame) -> pd.DataFrame:
    """Smallest and largest estimate over the areas and over the schools left out.

    Returns
    -------
    DataFrame
        ``analysis, left_out, places, smallest, without_smallest, largest, without_largest, changed`` (places without which the interval says
        something else or the sign changes).
    """
    lines = []
    for (analysis, what), rows in table.groupby(["analysis", "left_out"], sort=False):
        known = rows.loc[rows["estimate"].notna()]
        ends = (known.loc[known["estimate"].idxmin()], known.loc[known["estimate"].idxmax()]) if len(known) else (None, None)
        low, high = ({"estimate": None, "place": None} if end is None else end for end in ends)
        lines.append({"analysis": analysis, "left_out": what, "places": len(rows), "smallest": low["estimate"], "without_smallest": low["place"],
                      "largest": high["estimate"], "without_largest": high["place"], "changed": int(rows["result"].ne(REMAINS).sum())})
    return pd.DataFrame(lines)


def leave_out_checks(table: pd.DataFrame) -> pd.DataFrame:
    """For the verdict: no single area, and no single school, turns the sign of the effect on referred pupils.

    Returns
    -------
    DataFrame
        ``name, passed, value, unit, text``.
    """
    lines = []
    for what in COLUMNS:
        rows = table.loc[(table["left_out"] == what) & table["analysis"].str.startswith("B")]
        turned = rows.loc[rows["result"].eq(TURNED) | rows["estimate"].isna(), "place"]
        lines.append({"name": f"no_single_{what}_carries_it", "passed": len(rows) > 0 and turned.empty, "value": float(len(turned)), "unit": f"{what}s",
                      "text": f"without {', '.join(turned)} the estimate changes sign or cannot be made" if len(turned) else f"the sign is the same without any one {what}"})
    return pd.DataFrame(lines)
