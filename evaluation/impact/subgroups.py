"""Registered subgroups: effects apart, a test of whether they differ, and a refusal where pupils are too few.

All groups of a subgroup stand in one model with effects of area, stack and group, so that each effect is that of its own pupils and
the difference between groups has a standard error of its own. p-values of these tests are adjusted for how many subgroups were
registered. Subgroups that were not registered do not exist here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from evaluation.errors import DataError, UnidentifiedError
from evaluation.impact.change import ChangeEstimate
from evaluation.impact.estimates import FRAGILE
from evaluation.inference import adjust_p_values, linear
from evaluation.protocol.trial import ImpactSection

ESTIMATED, TOO_FEW, ONE_GROUP = "estimated", "too few to say", "one group only"
SEVERE = 50.0
"""Absence in the window from which a pupil counts as severely absent (half of possible sessions); below it, persistently."""


def _severity(rows: pd.DataFrame) -> pd.Series:
    return pd.Series(np.where(rows["window_absence_rate"] >= SEVERE, "severe", "persistent"), index=rows.index)


def _yes_no(column: str, yes: str, no: str) -> Callable[[pd.DataFrame], pd.Series]:
    return lambda rows: pd.Series(np.where(rows[column].astype(bool), yes, no), index=rows.index)


SUBGROUPS: dict[str, tuple[str, str, Callable[[pd.DataFrame], pd.Series]]] = {
    "severity": ("Absence in the window", "window_absence_rate", _severity),
    "fsm": ("Free school meals", "fsm", _yes_no("fsm", "eligible", "not eligible")),
    "sen": ("Special educational needs", "sen", lambda rows: rows["sen"].astype("str").replace("ehcp", "care plan")),
    "phase": ("Phase", "phase", lambda rows: rows["phase"].astype("str")),
    "area": ("Area", "area_code", lambda rows: rows["area_code"].astype("str")),
    "sex": ("Sex", "sex", lambda rows: rows["sex"].astype("str")),
    "year_group": ("Year group", "year_group", lambda rows: "Year " + rows["year_group"].astype("str")),
}
"""By registered name: title, column of the cohort that it needs, and each row's group."""


def check_subgroups(names: list[str], columns: pd.Index) -> None:
    """Refuse registered subgroups that the panel lacks, by name.

    Raises
    ------
    DataError
    """
    lacking = [name for name in names if name not in SUBGROUPS or SUBGROUPS[name][1] not in columns]
    if lacking:
        said = ", ".join(f"`{name}`" + (f" (column `{SUBGROUPS[name][1]}`)" if name in SUBGROUPS else "") for name in lacking)
        raise DataError(f"the panel lacks what registered subgroups need: {said}", where="impact.subgroups",
                        mend="supply the column, or take the subgroup out by an amendment that says why")


def subgroup_effects(leading: Mapping[str, ChangeEstimate], schools: pd.DataFrame, *, rules: ImpactSection) -> pd.DataFrame:
    """Table ``subgroups``: the effect in every group of every registered subgroup, and whether groups differ.

    Parameters
    ----------
    leading : mapping of str to ChangeEstimate
        The leading estimates by analysis; their rows and weights are used.
    schools : DataFrame
        Table ``school_list``, for the phase and the names of areas.
    rules : ImpactSection

    Returns
    -------
    DataFrame
        ``analysis, subgroup, title, group, estimate, std_error, df, conf_low, conf_high, p_value`` (points of sessions attended; missing where the
        result is not "estimated"), ``n_treated, n_comparison, schools_treated, schools_comparison, result, p_interaction,
        p_interaction_adjusted`` (Holm, over the subgroups of an analysis; missing where fewer than two groups are estimated), ``text``.

    Raises
    ------
    DataError
        A registered subgroup that the panel lacks.
    """
    parts = []
    phase, names = schools.set_index("school_id")["phase"], schools.drop_duplicates("area_code").set_index("area_code")["area_name"]
    for analysis, change in leading.items():
        rows = change.rows.assign(phase=change.rows["school_id"].map(phase))
        if rows["phase"].isna().all():
            rows = rows.drop(columns="phase")
        check_subgroups(list(rules.subgroups), rows.columns)
        tables = [_subgroup(rows, name, within="within_area" in analysis, rules=rules) for name in rules.subgroups]
        tests = pd.Series({name: table["p_interaction"].iloc[0] for name, table in zip(rules.subgroups, tables, strict=True)}, dtype=float)
        known = tests.dropna()
        adjusted = adjust_p_values(known, method="holm").frame.set_index("term")["p_adjusted"] if len(known) else known
        table = pd.concat(tables, ignore_index=True)
        parts.append(table.assign(analysis=analysis, p_interaction_adjusted=table["subgroup"].map(adjusted)))
    table = pd.concat(parts, ignore_index=True)
    table["group"] = table["group"].where(table["subgroup"] != "area", table["group"].map(names).fillna(table["group"]))
    columns = ["analysis", "subgroup", "title", "group", "estimate", "std_error", "df", "conf_low", "conf_high", "p_value", "n_treated", "n_comparison",
               "schools_treated", "schools_comparison", "result", "p_interaction", "p_interaction_adjusted", "text"]
    return table[columns]


def _subgroup(rows: pd.DataFrame, name: str, *, within: bool, rules: ImpactSection) -> pd.DataFrame:
    title, _, group_of = SUBGROUPS[name]
    rows = rows.assign(group=group_of(rows).to_numpy())
    cells = rows["stack"].astype(str) + ("|" + rows["area_code"].astype(str) if within else "")
    rows["cell"] = cells + "|" + rows["group"]
    arms = rows.groupby("cell")["treated"]
    rows = rows.assign(both=(arms.transform("max") == 1) & (arms.transform("min") == 0))
    counts = _counts(rows)
    counts["result"] = np.where(_enough(counts, rules), ESTIMATED, TOO_FEW)
    counts["text"] = [_why_few(row, rules) if row["result"] == TOO_FEW else None for row in counts.to_dict("records")]
    used = rows.loc[rows["both"] & rows["group"].isin(counts.index[counts["result"] == ESTIMATED])]
    effects, p_interaction = _effects(used, rules) if len(used) else (pd.DataFrame(), None)
    table = counts.join(effects) if len(effects) else counts.assign(**dict.fromkeys(("estimate", "std_error", "df", "conf_low", "conf_high", "p_value")))
    if len(table) == 1:
        table["text"] = f"every pupil is in this group, so there is nothing to compare: {table.index[0]}"
        table["result"] = ONE_GROUP
        table[["estimate", "std_error", "df", "conf_low", "conf_high", "p_value"]] = None
    fragile = (table["result"] == ESTIMATED) & ((table["df"].astype(float) < rules.minimum_df) | (table["schools_treated"] < rules.minimum_treated_schools))
    table["text"] = table["text"].where(~fragile, f"{FRAGILE}: few schools or few degrees of freedom")
    return table.rename_axis("group").reset_index().assign(subgroup=name, title=title, p_interaction=p_interaction)


def _counts(rows: pd.DataFrame) -> pd.DataFrame:
    """Pupils and schools of each group in cells that hold both arms, of every group that has a pupil at all."""
    lines = {}
    for group, own in rows.groupby("group"):
        inside = own.loc[own["both"]]
        treated = inside["treated"] == 1
        lines[group] = {"n_treated": int(treated.sum()), "n_comparison": int((~treated).sum()),
                        "schools_treated": inside.loc[treated, "school_id"].nunique(), "schools_comparison": inside.loc[~treated, "school_id"].nunique()}
    return pd.DataFrame.from_dict(lines, orient="index")


def _enough(counts: pd.DataFrame, rules: ImpactSection) -> pd.Series:
    pupils, schools = counts[["n_treated", "n_comparison"]].min(axis=1), counts[["schools_treated", "schools_comparison"]].min(axis=1)
    return (pupils >= rules.subgroup_minimum_pupils) & (schools >= rules.subgroup_minimum_schools)


def _why_few(row: dict, rules: ImpactSection) -> str:
    return (f"{row['n_treated']} pupils of {row['schools_treated']} schools with mentors and {row['n_comparison']} of {row['schools_comparison']} comparison "
            f"schools; at least {rules.subgroup_minimum_pupils} pupils and {rules.subgroup_minimum_schools} schools of either kind are needed")


def _effects(rows: pd.DataFrame, rules: ImpactSection) -> tuple[pd.DataFrame, float | None]:
    """Effects by group from one model, and the test that they are all equal."""
    from scipy.stats import t

    groups = sorted(rows["group"].unique())
    terms = {group: f"treated in group {place}" for place, group in enumerate(groups)}
    data = rows.assign(**{term: rows["treated"] * (rows["group"] == group) for group, term in terms.items()})
    how = {"weights": "weight", "absorb": ["cell"], "cluster": "school_id", "kind": "CR2"}
    fit = linear(data, "change", list(terms.values()), **how)
    table = fit.frame.set_index("term").loc[list(terms.values())].set_axis(groups)
    reach = t.ppf(0.5 + rules.confidence_level / 2.0, table["df"]) * table["std_error"]
    effects = pd.DataFrame({"estimate": -table["estimate"], "std_error": table["std_error"], "df": table["df"], "conf_low": -table["estimate"] - reach,
                            "conf_high": -table["estimate"] + reach, "p_value": table["p_value"]})
    if len(groups) < 2:
        return effects, None
    differences = list(terms.values())[1:]
    apart = linear(data, "change", ["treated", *differences], **how)
    try:
        return effects, float(apart.wald(differences).p_value)
    except UnidentifiedError:
        return effects, None
