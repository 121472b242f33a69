"""Engagement by surveys: who answered, and how answers changed among those who answered twice.

Surveys are as a rule given to pupils who start with a mentor. Without answers from comparison pupils a change is what it is: a change
among respondents, and no effect.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from evaluation.errors import DataError, UnidentifiedError
from evaluation.impact.change import ChangeEstimate
from evaluation.inference import linear
from evaluation.protocol.trial import ImpactSection

BEFORE, AFTER = "baseline", "follow-up"
MENTORED, COMPARISON = "pupils who started with a mentor", "matched comparison pupils"
NOT_AN_EFFECT = "change among respondents, not an effect"
DIFFERENCE = "difference between respondents of either arm"
RESPONSE_COLUMNS = ["arm", "scale", "wave", "pupils", "answered", "scored", "share", "mean", "standard_deviation"]
CHANGE_COLUMNS = ["scale", "what", "pupils", "schools", "mean_before", "mean_after", "estimate", "std_error", "df", "conf_low", "conf_high", "is_effect", "text"]


def check_key(scores: pd.DataFrame) -> None:
    """Refuse survey waves that no key says how to score.

    Raises
    ------
    DataError
        A scale without items or minimum (no key was supplied), a wave that is neither before nor after, or two scores of one pupil, wave and scale.
    """
    keyless = scores[["items", "minimum_items"]].isna().any(axis=1)
    if keyless.any():
        row = scores.loc[keyless].iloc[0]
        raise DataError(f"wave `{row['wave']}` of scale `{row['scale']}` has no key: its items, their direction and how many are needed are unknown",
                        where="table `survey_scores`", mend="supply the scale in survey_scales")
    strange = ~scores["wave"].isin([BEFORE, AFTER])
    if strange.any():
        raise DataError(f"wave `{scores.loc[strange, 'wave'].iloc[0]}` is neither `{BEFORE}` nor `{AFTER}`", where="table `survey_scores`, column `wave`",
                        mend="name the waves so")
    if scores.duplicated(["pupil_id", "wave", "scale"]).any():
        raise DataError("a pupil has two scores of one wave and scale", where="table `survey_scores`", mend="keep one answer a pupil, wave and item")


def survey_pupils(cohort: pd.DataFrame, referrals: pd.DataFrame, change: ChangeEstimate) -> pd.DataFrame:
    """Who could have answered: everyone who started with a mentor, and the comparison pupils of the leading estimate.

    Parameters
    ----------
    cohort, referrals : DataFrame
        Tables ``cohort`` and ``referral_list``.
    change : ChangeEstimate
        The leading estimate on referred pupils.

    Returns
    -------
    DataFrame
        ``pupil_id, school_id, arm``, a row a pupil.
    """
    started = referrals.loc[referrals["started"].astype("boolean").fillna(False)].sort_values("referral_date", kind="stable").drop_duplicates("pupil_id")
    own = change.rows.loc[change.rows["treated"] == 0, ["pupil_id", "school_id"]].drop_duplicates("pupil_id")
    own = own.loc[~own["pupil_id"].isin(started["pupil_id"])]
    parts = [started[["pupil_id", "school_id"]].assign(arm=MENTORED), own.assign(arm=COMPARISON)]
    return pd.concat(parts, ignore_index=True)


def survey_response(scores: pd.DataFrame, pupils: pd.DataFrame) -> pd.DataFrame:
    """Table ``survey_response``: who answered, by arm, scale and wave.

    Parameters
    ----------
    scores : DataFrame
        Table ``survey_scores``.
    pupils : DataFrame
        From :func:`survey_pupils`.

    Returns
    -------
    DataFrame
        ``arm, scale, wave, pupils`` (who could have answered), ``answered`` (any item), ``scored`` (enough items), ``share`` (scored, % of pupils),
        ``mean, standard_deviation`` (points of the scale, of those scored).
    """
    check_key(scores)
    joined = scores.merge(pupils, on="pupil_id", how="inner", validate="many_to_one")
    totals = pupils.groupby("arm").size()
    lines = []
    for arm in (MENTORED, COMPARISON):
        for scale in sorted(scores["scale"].unique()):
            for wave in (BEFORE, AFTER):
                own = joined.loc[(joined["arm"] == arm) & (joined["scale"] == scale) & (joined["wave"] == wave)]
                of, known = int(totals.get(arm, 0)), own["score"].dropna().astype(float)
                lines.append({"arm": arm, "scale": scale, "wave": wave, "pupils": of, "answered": int((own["items_answered"] > 0).sum()), "scored": len(known),
                              "share": 100.0 * len(known) / of if of else None, "mean": float(known.mean()) if len(known) else None,
                              "standard_deviation": float(known.std(ddof=1)) if len(known) > 1 else None})
    return pd.DataFrame(lines, columns=RESPONSE_COLUMNS)


def survey_changes(scores: pd.DataFrame, pupils: pd.DataFrame, *, rules: ImpactSection) -> pd.DataFrame:
    """Table ``survey_changes``: change from before to after among pupils scored at both, with standard errors by school.

    Parameters
    ----------
    scores, pupils : DataFrame
        As in :func:`survey_response`.
    rules : ImpactSection

    Returns
    -------
    DataFrame
        ``scale, what`` (an arm, or the difference of the two), ``pupils, schools, mean_before, mean_after, estimate, std_error, df, conf_low,
        conf_high`` (points of the scale; missing where fewer pupils or schools answered twice than the protocol asks for), ``is_effect``,
        ``text``. Even a difference between arms is about those who answered, who need not be like the others.
    """
    check_key(scores)
    wide = scores.dropna(subset=["score"]).pivot(index=["pupil_id", "scale"], columns="wave", values="score").reindex(columns=[BEFORE, AFTER]).dropna()
    both = wide.reset_index().merge(pupils, on="pupil_id", how="inner", validate="many_to_one")
    both = both.assign(change=both[AFTER].astype(float) - both[BEFORE].astype(float), treated=(both["arm"] == MENTORED).astype("int64"))
    lines = []
    for scale in sorted(scores["scale"].unique()):
        own = both.loc[both["scale"] == scale]
        for arm in (MENTORED, COMPARISON):
            rows = own.loc[own["arm"] == arm]
            lines.append({"scale": scale, "what": arm, **_mean_change(rows, rules), "is_effect": False, "text": NOT_AN_EFFECT})
        enough = all(_enough(own.loc[own["arm"] == arm], rules) for arm in (MENTORED, COMPARISON))
        figures = _figures(own, ["treated"], "treated", rules) if enough else _nothing(own)
        known = figures["estimate"] is not None
        said = ("about pupils who answered twice; who answers is not left to chance" if known
                else "comparison pupils did not answer, or too few did, so no effect can be told from the survey")
        lines.append({"scale": scale, "what": DIFFERENCE, **figures, "is_effect": known, "text": said})
    return pd.DataFrame(lines, columns=CHANGE_COLUMNS)


def _mean_change(rows: pd.DataFrame, rules: ImpactSection) -> dict:
    return _figures(rows, [], "(Intercept)", rules) if _enough(rows, rules) else _nothing(rows)


def _figures(rows: pd.DataFrame, terms: list[str], term: str, rules: ImpactSection) -> dict:
    from scipy.stats import t

    try:
        frame = linear(rows, "change", terms, cluster="school_id", kind="CR2").frame.set_index("term")
    except UnidentifiedError:
        return _nothing(rows)
    found = frame.loc[term] if term in frame.index else frame.iloc[-1]
    reach = float(t.ppf(0.5 + rules.confidence_level / 2.0, found["df"]) * found["std_error"])
    return {**_counts(rows), "estimate": float(found["estimate"]), "std_error": float(found["std_error"]), "df": float(found["df"]),
            "conf_low": float(found["estimate"]) - reach, "conf_high": float(found["estimate"]) + reach}


def _nothing(rows: pd.DataFrame) -> dict:
    return {**_counts(rows), **dict.fromkeys(("estimate", "std_error", "df", "conf_low", "conf_high"))}


def _counts(rows: pd.DataFrame) -> dict:
    known = len(rows) > 0
    return {"pupils": len(rows), "schools": int(rows["school_id"].nunique()), "mean_before": float(rows[BEFORE].mean()) if known else np.nan,
            "mean_after": float(rows[AFTER].mean()) if known else np.nan}


def _enough(rows: pd.DataFrame, rules: ImpactSection) -> bool:
    return len(rows) >= rules.subgroup_minimum_pupils and rows["school_id"].nunique() >= rules.subgroup_minimum_schools
