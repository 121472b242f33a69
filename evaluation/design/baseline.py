"""Who the pupils and the schools of both arms were before anything began."""

from __future__ import annotations

import numpy as np
import pandas as pd

from evaluation.design.balance import balance, pupils_with
from evaluation.design.cohort import Cohort
from evaluation.design.grid import ELIGIBILITY_RULES

PUPIL_COLUMNS = ["year_group", "sex", "fsm", "sen", "idaci", "window_absence_rate", "baseline_rate"]
RATES = {"idaci": "hundredths of the index", "window_absence_rate": "% of possible sessions", "baseline_rate": "% of possible sessions"}
"""Characteristics that are measures, with their units; all others are shares of pupils."""
SCHOOL_MEASURES = {"pupils": "pupils", "absence_rate": "% of possible sessions", "persistent_share": "% of pupils", "severe_share": "% of pupils"}


def baseline_table(cohort: pd.DataFrame) -> pd.DataFrame:
    """Pupils of both arms before they entered: eligible in either arm, and referred.

    Parameters
    ----------
    cohort : DataFrame
        Table ``cohort``; analysed rows at the first window are described.

    Returns
    -------
    DataFrame
        Table ``baseline_table``: ``position, characteristic, unit`` ("% of pupils", or the measure's own), ``referred, mentored, comparison`` (means),
        ``referred_difference, mentored_difference`` (against comparison pupils, in standard deviations of the group compared with them, before
        any matching or weighting), the groups' sizes ``referred_pupils, mentored_pupils, comparison_pupils`` and, for a characteristic that a
        pupil has or has not, how many have it: ``referred_with, mentored_with, comparison_with`` (``trait``: what it is a level of). No tests:
        the arms are samples of different schools, not of one population.
    """
    rows = cohort.loc[(cohort["entry"] == "first") & cohort["analysed"]].reset_index(drop=True)
    rows = rows.assign(year_group=rows["year_group"].astype("category"), persistent_before=_meets(rows, "persistent_absence"),
                       severe_before=_meets(rows, "severe_absence"))
    names = [*PUPIL_COLUMNS, "persistent_before", "severe_before"]
    comparison, groups = ~rows["mentor_school"], {"referred": rows["referred"], "mentored": rows["mentor_school"]}
    parts = {}
    for group, inside in groups.items():
        part = rows.loc[inside | comparison].assign(treated=inside.astype(int))
        if inside.any() and comparison.any():
            parts[group] = balance(part, "treated", names).frame.set_index("covariate")
    whole = parts["mentored"]
    shares = [name not in RATES for name in whole.index]
    factor = np.where([name not in RATES or name == "idaci" for name in whole.index], 100.0, 1.0)
    table = pd.DataFrame({"characteristic": whole.index, "unit": np.where(shares, "% of pupils", [RATES.get(name, "") for name in whole.index])})
    for group in groups:
        own = parts[group].reindex(whole.index) if group in parts else whole * np.nan
        table[group], table[f"{group}_difference"] = own["mean_treated"].to_numpy() * factor, own["smd_before"].to_numpy()
    table["comparison"] = whole["mean_comparison"].to_numpy() * factor
    sizes = {"referred_pupils": int(rows["referred"].sum()), "mentored_pupils": int(rows["mentor_school"].sum()), "comparison_pupils": int(comparison.sum())}
    table.insert(0, "position", np.arange(1, len(table) + 1))
    counts = pupils_with(rows, names, {**{group: inside.to_numpy() for group, inside in groups.items()}, "comparison": comparison.to_numpy()})
    table = table.assign(**sizes).merge(counts, left_on="characteristic", right_index=True, how="left", validate="one_to_one")
    columns = ["position", "trait", "characteristic", "unit", "referred", "mentored", "comparison", "referred_difference", "mentored_difference", *sizes]
    return table[[*columns, "referred_with", "mentored_with", "comparison_with"]]


def _meets(rows: pd.DataFrame, rule: str) -> pd.Series:
    return ELIGIBILITY_RULES[rule] * rows["baseline_absent"] >= rows["baseline_possible"]


def school_selection(cohort: Cohort, schools: pd.DataFrame) -> pd.DataFrame:
    """Schools with mentors beside comparison schools of each design, in the half-terms before their area opened.

    Parameters
    ----------
    cohort : Cohort
    schools : DataFrame
        Table ``school_list``.

    Returns
    -------
    DataFrame
        Table ``school_selection``: ``design, position, characteristic, unit, mentored, comparison`` (means over schools, each counting once),
        ``difference`` (in standard deviations of the schools with mentors; missing where they do not differ), ``mentored_schools,
        comparison_schools``. Schools chose, or were chosen for, mentoring: a difference here is a reason why their absence may go
        another way.
    """
    table = pd.concat([schools.reset_index(drop=True), cohort.places.drop(columns="mentor_school"), _before_opening(cohort)], axis=1)
    categories = [column for column in ("phase", "inspection_judgement", "trust") if column in table]
    lines = []
    for design, belongs in (("within_area", "within_area"), ("between_areas", "between_pool")):
        own = table.loc[table[belongs]]
        measures = [*((name, own[name], unit) for name, unit in SCHOOL_MEASURES.items()), *_shares(own, categories)]
        arms = own["mentor_school"].to_numpy()
        for position, (name, values, unit) in enumerate(measures, start=1):
            known = values.notna().to_numpy()
            one, other = values[arms & known].astype(float), values[~arms & known].astype(float)
            spread = one.std(ddof=1) if len(one) > 1 else np.nan
            gap = one.mean() - other.mean()
            lines.append((design, position, name, unit, one.mean(), other.mean(), gap / spread if spread > 0 else np.nan, len(one), len(other)))
    return pd.DataFrame(lines, columns=["design", "position", "characteristic", "unit", "mentored", "comparison", "difference", "mentored_schools",
                                        "comparison_schools"])


def _shares(own: pd.DataFrame, categories: list[str]) -> list[tuple]:
    """A 0/1 column, in per cent, for every level of a category; a trust counts as having one."""
    found = []
    for column in categories:
        values = own[column].notna().map({True: "in a trust", False: "in no trust"}) if column == "trust" else own[column].fillna("not known")
        levels = ["in a trust"] if column == "trust" else sorted(values.unique())
        found += [(f"{column.replace('_', ' ')}: {level}", 100.0 * (values == level), "% of schools") for level in levels]
    return found


def _before_opening(cohort: Cohort) -> pd.DataFrame:
    """Size and absence of each school over the half-terms before its area opened for entry."""
    grid, lines = cohort.grid, []
    for number, opens in enumerate(cohort.places["area_open"]):
        here = (grid.school == number) & (np.arange(grid.last_half_term + 1) < opens)
        own, of = np.where(here, grid.absent, 0).sum(axis=1), np.where(here, grid.possible, 0).sum(axis=1)
        own, of = own[of > 0], of[of > 0]
        shares = {f"{word}_share": 100.0 * float(np.mean(ELIGIBILITY_RULES[rule] * own >= of)) if len(of) else np.nan
                  for word, rule in (("persistent", "persistent_absence"), ("severe", "severe_absence"))}
        most = int((here & (grid.possible > 0)).sum(axis=0).max())
        lines.append({"pupils": most or np.nan, "absence_rate": 100.0 * own.sum() / of.sum() if len(of) else np.nan, **shares})
    return pd.DataFrame(lines).astype("float64")
