"""Scores of survey scales from single answers: reverse scoring, and a minimum of items answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluation.errors import DataError

if TYPE_CHECKING:
    import pandas as pd


def survey_scores(items: pd.DataFrame, scales: pd.DataFrame) -> pd.DataFrame:
    """Score every scale of every pupil and wave.

    Parameters
    ----------
    items, scales : DataFrame
        Accepted rows of extract tables ``survey_items`` and ``survey_scales``.

    Returns
    -------
    DataFrame
        Table ``survey_scores``: ``pupil_id, wave, scale, answered_on`` (last day), ``items_answered, items`` (of the scale),
        ``minimum_items, score``. The score is the mean of the answers, those of items scored in reverse counted from the
        other end (lowest + highest - answer); it is missing where fewer than the minimum were answered. A mean of the items
        answered stands in for those left out, as publishers of scales with a minimum do.

    Raises
    ------
    DataError
        Items of one scale differ in their range of answers or in the minimum, so that a mean of them says nothing.
    """
    import pandas as pd

    rules = scales.groupby("scale").agg(lows=("lowest", "nunique"), highs=("highest", "nunique"), minima=("minimum_items", "nunique"),
                                        items=("item", "nunique"), minimum_items=("minimum_items", "first"))
    mixed = rules.index[(rules[["lows", "highs", "minima"]] > 1).any(axis=1)]
    if len(mixed):
        raise DataError(f"items of scale `{mixed[0]}` differ in lowest, highest or minimum_items", where="survey_scales",
                        mend="give all items of a scale one range and one minimum, or name two scales")
    table = items.merge(scales[["scale", "item", "reverse", "lowest", "highest"]], on=["scale", "item"], how="left", validate="many_to_one")
    response = table["response"].astype("Float64")
    turned = (table["lowest"] + table["highest"]).astype("Float64") - response
    table["points"] = response.where(~table["reverse"].astype(bool), turned)
    keys = ["pupil_id", "wave", "scale"]
    result = table.groupby(keys, as_index=False).agg(answered_on=("answered_on", "max"), items_answered=("points", "count"), total=("points", "sum"))
    result = result.merge(rules[["items", "minimum_items"]], left_on="scale", right_index=True, how="left", validate="many_to_one")
    enough = (result["items_answered"] >= result["minimum_items"]) & (result["items_answered"] > 0)
    result["score"] = (result["total"].astype("Float64") / result["items_answered"].where(result["items_answered"] > 0)).where(enough).astype("Float64")
    result["score"] = pd.to_numeric(result["score"]).astype("Float64").astype("float64")
    return result[[*keys, "answered_on", "items_answered", "items", "minimum_items", "score"]].astype({"items_answered": "int64"})


def survey_reliability(items: pd.DataFrame, scales: pd.DataFrame) -> pd.DataFrame:
    """Internal consistency of every scale, by wave.

    Parameters
    ----------
    items, scales : DataFrame
        Accepted rows of extract tables ``survey_items`` and ``survey_scales``.

    Returns
    -------
    DataFrame
        Table ``survey_reliability``: ``scale, wave, items, pupils`` (who answered every item: only they count), ``alpha``
        [Cronbach 1951], items scored in reverse turned round first; missing for one item, for fewer than two pupils, or where totals do not vary.
        A low alpha says that items do not hang together as one scale; it may fall below zero.
    """
    import pandas as pd

    table = items.merge(scales[["scale", "item", "reverse", "lowest", "highest"]], on=["scale", "item"], how="inner", validate="many_to_one")
    response = table["response"].astype("Float64")
    table["points"] = response.where(~table["reverse"].astype(bool), (table["lowest"] + table["highest"]).astype("Float64") - response).astype("float64")
    lines = []
    for (scale, wave), own in table.groupby(["scale", "wave"]):
        names = sorted(scales.loc[scales["scale"] == scale, "item"].unique())
        answers = own.pivot(index="pupil_id", columns="item", values="points").reindex(columns=names).dropna()
        lines.append({"scale": scale, "wave": wave, "items": len(names), "pupils": len(answers), "alpha": _alpha(answers)})
    return pd.DataFrame(lines, columns=["scale", "wave", "items", "pupils", "alpha"])


def _alpha(answers: pd.DataFrame) -> float | None:
    k = answers.shape[1]
    total = answers.sum(axis=1).var(ddof=1) if len(answers) > 1 else 0.0
    return float(k / (k - 1) * (1.0 - answers.var(ddof=1).sum() / total)) if k > 1 and total > 0 else None
