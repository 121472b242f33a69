"""Delivery models compared where that is possible, and dose beside change: both observational.

No comparison pupil is in these figures: everyone has a mentor. Models were given to schools and pupils for reasons, and pupils who meet
their mentor more often differ from those who do not, so that neither table shows an effect.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from evaluation.errors import UnidentifiedError
from evaluation.impact.change import estimate_change
from evaluation.impact.delivery import NO_MODEL, identification
from evaluation.inference import linear
from evaluation.protocol.trial import DeliverySection

COMPARED, TOO_FEW, REFUSED = "compared, not allocated at random", "too few to say", "refused"
OBSERVATIONAL = "observational: pupils who meet their mentor more often differ from others, and a pupil at school can meet a mentor; no effect of more meetings"
FIGURES = ("estimate", "std_error", "df", "conf_low", "conf_high")
MEASURES = {"meetings_kept": "meetings kept", "weeks": "weeks of support"}
THIRDS = ("lowest third", "middle third", "highest third")

MODEL_COLUMNS = ["delivery_model", "pupils", "schools", "areas", "mean_change", *FIGURES, "pupils_beside", "schools_beside", "result", "text"]
DOSE_COLUMNS = ["measure", "group", "pupils", "least", "most", "mean_change", *FIGURES, "text"]


def supported_rows(cohort: pd.DataFrame, delivery: pd.DataFrame, match_weights: pd.DataFrame, *, estimates: pd.DataFrame) -> pd.DataFrame:
    """Analysed pupils who were referred and started, with the model and dose of the first referral that started.

    Parameters
    ----------
    cohort : DataFrame
        Table ``cohort``.
    delivery : DataFrame
        From :func:`evaluation.impact.delivery.referral_delivery`.
    match_weights : DataFrame
        Table of that name, for the registered entries.
    estimates : DataFrame
        Table ``estimates``: of no rows in a formative report, which looks at no outcome beside delivery; then there are no rows here either.
    """
    first_only = match_weights["entries"].eq("first").all()
    own = cohort.loc[cohort["analysed"] & cohort["referred"] & cohort["started"] & ((cohort["entry"] == "first") | (not first_only))]
    first = delivery.loc[delivery["started"]].sort_values("referral_id", kind="stable").drop_duplicates("pupil_id")
    rows = own.merge(first[["pupil_id", "delivery_model", "meetings_kept", "weeks"]], on="pupil_id", how="inner", validate="many_to_one")
    return rows if len(estimates) else rows.head(0)


def model_comparison(rows: pd.DataFrame, delivery: pd.DataFrame, *, rules: DeliverySection, confidence_level: float) -> pd.DataFrame:
    """Table ``delivery_model_effects``: the change of pupils in each model against those in other models of the same areas and stacks.

    Parameters
    ----------
    rows : DataFrame
        From :func:`supported_rows`.
    delivery : DataFrame
        All referrals, for what is identified.
    rules : DeliverySection
    confidence_level : float

    Returns
    -------
    DataFrame
        ``delivery_model, pupils, schools, areas`` (analysed), ``mean_change`` (points of sessions attended, not an effect), ``estimate, std_error, df,
        conf_low, conf_high`` (difference from other models side by side, inside areas and stacks, pupils weighted equally, so that of two models one
        row mirrors the other; missing unless compared), ``pupils_beside, schools_beside`` (of the other models),
        ``result`` ("compared, not allocated at random", "too few to say", "refused"), ``text``. A model of one area or one school, or never
        beside another one in its area, is refused: it cannot be told apart from its place.
    """
    if rows.empty:
        return pd.DataFrame(columns=MODEL_COLUMNS)
    said = identification(delivery, minimum_models=rules.within_area_minimum_models)
    return pd.DataFrame([_model(rows, model, said[model], rules, confidence_level) for model in said.index if model != NO_MODEL], columns=MODEL_COLUMNS)


def _model(rows: pd.DataFrame, model: str, said: str, rules: DeliverySection, level: float) -> dict:
    own = rows.loc[rows["delivery_model"] == model]
    line = {"delivery_model": model, "pupils": len(own), "schools": own["school_id"].nunique(), "areas": own["area_code"].nunique(),
            "mean_change": -float(own["change"].mean()) if len(own) >= rules.model_minimum_pupils else None, **dict.fromkeys(FIGURES),
            "pupils_beside": 0, "schools_beside": 0, "result": REFUSED, "text": said}
    if said.startswith("not identified"):
        return line
    beside = rows.loc[rows["area_code"].isin(own["area_code"])].assign(treated=lambda f: (f["delivery_model"] == model).astype("int64"))
    beside = beside.loc[beside["delivery_model"] != NO_MODEL]
    arms = beside.groupby(["area_code", "stack"])["treated"]
    shared = beside.loc[(arms.transform("max") == 1) & (arms.transform("min") == 0)]
    inside = shared["treated"] == 1
    counts = {"pupils_beside": int((~inside).sum()), "schools_beside": shared.loc[~inside, "school_id"].nunique()}
    smallest = min(int(inside.sum()), counts["pupils_beside"]), min(shared.loc[inside, "school_id"].nunique(), counts["schools_beside"])
    if smallest[0] < rules.model_minimum_pupils or smallest[1] < rules.model_minimum_schools:
        text = (f"{int(inside.sum())} pupils of {shared.loc[inside, 'school_id'].nunique()} schools beside {counts['pupils_beside']} of "
                f"{counts['schools_beside']} in other models; at least {rules.model_minimum_pupils} pupils and {rules.model_minimum_schools} schools "
                "on either side are needed")
        return {**line, **counts, "result": TOO_FEW, "text": text}
    try:
        change = estimate_change(shared.assign(one=1.0), within_area=True, weight="one")
    except UnidentifiedError as error:
        return {**line, **counts, "text": error.message}
    return {**line, **counts, **_figures(change.estimate, change.std_error, change.df, level), "result": COMPARED, "text": said}


def dose_response(rows: pd.DataFrame, *, rules: DeliverySection, confidence_level: float) -> pd.DataFrame:
    """Table ``dose_response``: change in attendance beside how much support there was. Observational.

    Parameters
    ----------
    rows : DataFrame
        From :func:`supported_rows`.
    rules : DeliverySection
    confidence_level : float

    Returns
    -------
    DataFrame
        ``measure`` ("meetings kept", "weeks of support"), ``group`` (a third of pupils by the measure, ties kept together, or "slope"), ``pupils, least, most``
        (of the measure), ``mean_change`` (points of sessions attended), and of the slope, for one more meeting or week inside areas and stacks,
        ``estimate, std_error, df, conf_low, conf_high``; ``text``. A third with fewer pupils than the registered minimum shows no mean.
    """
    if rows.empty:
        return pd.DataFrame(columns=DOSE_COLUMNS)
    lines = []
    for column, measure in MEASURES.items():
        own = rows.loc[rows[column].notna()].assign(dose=lambda f, c=column: f[c].astype(float))
        ends = own["dose"].quantile([1 / 3, 2 / 3]).to_numpy() if len(own) else [np.nan, np.nan]
        third = np.searchsorted(ends, own["dose"].to_numpy(), side="left")
        for place, name in enumerate(THIRDS):
            part = own.loc[third == place]
            enough = len(part) >= rules.model_minimum_pupils
            lines.append({"measure": measure, "group": name, "pupils": len(part), "least": float(part["dose"].min()) if enough else None,
                          "most": float(part["dose"].max()) if enough else None, "mean_change": -float(part["change"].mean()) if enough else None,
                          **dict.fromkeys(FIGURES), "text": OBSERVATIONAL if enough else TOO_FEW})
        lines.append({"measure": measure, "group": "slope", "pupils": len(own), "least": None, "most": None, "mean_change": None,
                      **_slope(own, rules, confidence_level)})
    return pd.DataFrame(lines, columns=DOSE_COLUMNS)


def _slope(own: pd.DataFrame, rules: DeliverySection, level: float) -> dict:
    empty = dict.fromkeys(FIGURES)
    if len(own) < rules.model_minimum_pupils or own["school_id"].nunique() < rules.model_minimum_schools:
        return {**empty, "text": TOO_FEW}
    data = own.assign(cell=own["area_code"].astype(str) + "|" + own["stack"].astype(str), attended_change=-own["change"].astype(float))
    try:
        found = linear(data, "attended_change", ["dose"], absorb=["cell"], cluster="school_id", kind="CR2").frame.iloc[0]
    except UnidentifiedError as error:
        return {**empty, "text": error.message}
    return {**_figures(float(found["estimate"]), float(found["std_error"]), float(found["df"]), level), "text": OBSERVATIONAL}


def _figures(estimate: float, std_error: float, df: float, level: float) -> dict[str, float]:
    from scipy.stats import t

    reach = float(t.ppf(0.5 + level / 2.0, df)) * std_error
    return {"estimate": estimate, "std_error": std_error, "df": df, "conf_low": estimate - reach, "conf_high": estimate + reach}
