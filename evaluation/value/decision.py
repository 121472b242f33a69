"""The decision between usual support and the programme: acceptability by value of a day, and what knowing more is worth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .curves import acceptability
from .discounting import decision_population
from .information import value_of_information, why_no_information_value
from .plane import draw_shares
from .terms import BASE_CASE, DaysEffect, Valuation

if TYPE_CHECKING:
    import pandas as pd

    from evaluation.protocol.value import Decision

USUAL, PROGRAMME = "usual support", "mentoring"
PARAMETERS = {"extra_days": "extra days", "extra_cost": "cost per pupil", "causal_share": "causal share"}

DAYS_AND_SHARE = "extra days and causal share"


def strategy_draws(plane: pd.DataFrame, worth: object = 1.0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Cost and effect by strategy from draws of the plane; usual support costs and gains nothing extra.

    Parameters
    ----------
    plane : DataFrame
        Table ``plane_draws``.
    worth : float or array
        Multiplies the extra days: one number, or one a draw.
    """
    import pandas as pd

    return (pd.DataFrame({USUAL: 0.0, PROGRAMME: plane["extra_cost"]}), pd.DataFrame({USUAL: 0.0, PROGRAMME: worth * plane["extra_days"]}))


def acceptability_table(plane: pd.DataFrame, effect: DaysEffect, decision: Decision, schedule: Sequence[tuple[int, float]]) -> pd.DataFrame:
    """Probability of being the most cost-effective and the value of knowing for certain, by value of a day.

    Parameters
    ----------
    plane : DataFrame
        Table ``plane_draws``.
    effect : DaysEffect
        Whose draws they are; says whether a value of information may be given.
    decision : Decision
        Values of a day, and the pupils whom the decision covers.
    schedule : sequence
        Discount rates, for pupils of later years.

    Returns
    -------
    DataFrame
        Table ``acceptability``. Where the value of information is withheld, expected losses are too: the least of them is it.
    """
    import numpy as np

    thresholds = np.linspace(0.0, decision.highest_threshold, decision.thresholds)
    cost, gain = strategy_draws(plane)
    found = acceptability(cost, gain, thresholds).frame
    why = why_no_information_value(df=effect.df, test=effect.test)
    if why is not None:
        return found.assign(expected_loss=float("nan"), evpi=float("nan"), evpi_population=float("nan"), withheld=why)
    population = decision_population(decision.pupils_a_year.value, decision.years, schedule)
    known = value_of_information(cost, gain, thresholds, population=population).frame
    return found.merge(known[["threshold", "evpi", "evpi_population"]], on="threshold", how="left", validate="many_to_one").assign(withheld=None)


def information_table(plane: pd.DataFrame, effect: DaysEffect, values: Sequence[Valuation], decision: Decision, schedule: Sequence[tuple[int, float]],
                      *, seed: int) -> pd.DataFrame:
    """What it would be worth to know each uncertain input, in each scenario of the value of a day.

    Returns
    -------
    DataFrame
        Table ``information_value``: ``scenario, parameter, evppi, std_error, evppi_population, evpi, evpi_population, withheld``.
        One row a scenario without numbers, and the reason, where it is withheld.
    """
    import pandas as pd

    why = why_no_information_value(df=effect.df, test=effect.test)
    population = decision_population(decision.pupils_a_year.value, decision.years, schedule)
    columns = ["evppi", "std_error", "evppi_population", "evpi", "evpi_population"]
    parts = []
    for value in values:
        if value.association_per_day is not None and value.share_range is None:
            continue   # with the share held fixed it is no uncertain input, and the whole association is only a bound
        if why is not None:
            parts.append(pd.DataFrame([{"scenario": value.scenario, "parameter": "everything", **dict.fromkeys(columns, float("nan")), "withheld": why}]))
            continue
        shares = None if value.share_range is None else draw_shares(value.share_range, draws=len(plane), seed=seed)
        inputs = plane[["extra_days", "extra_cost"]].assign(**({} if shares is None else {"causal_share": shares}))
        worth = value.value_per_day if shares is None else value.association_per_day * shares
        together = None if shares is None else {DAYS_AND_SHARE: ["extra_days", "causal_share"]}
        found = value_of_information(*strategy_draws(plane, worth), [1.0], parameters=inputs, groups=together, population=population).frame
        parts.append(found.rename(columns={"evppi_std_error": "std_error"})[["parameter", *columns]].assign(
            scenario=value.scenario, parameter=found["parameter"].replace(PARAMETERS), withheld=None))
    order = ["scenario", "parameter", *columns, "withheld"]
    return pd.concat(parts, ignore_index=True)[order].sort_values(["scenario", "evppi"], ascending=[True, False], ignore_index=True, kind="stable")


def acceptability_sentence(table: pd.DataFrame, plane: pd.DataFrame, values: Sequence[Valuation]) -> str:
    """What the curve says at the registered values, its limit, and how many draws only look cheap."""
    import numpy as np

    from .wording import chance_in_words, pounds

    curve = table.loc[table["strategy"].eq(PROGRAMME)].set_index("threshold")["probability"]
    said = [
        f"{chance_in_words(float(np.interp(value.value_per_day, curve.index, curve.to_numpy())))} at {pounds(value.value_per_day)} ({value.scenario})"
        for value in values if value.share_range is None and value.value_per_day <= curve.index.max()
    ]
    more = float((plane["extra_days"] > 0).mean())
    below = plane["extra_days"] <= 0
    cheap = float((below & (plane["extra_cost"] <= 0)).mean())
    harm = f"{chance_in_words(float(below.mean()))} of draws have fewer days" if below.any() else "No draw has fewer days"
    saved = f", {chance_in_words(cheap)} of draws with fewer days that cost less" if cheap else ", none of them cheaper than usual support"
    harm = harm[:1].upper() + harm[1:]
    return (f"The probability that mentoring is the most cost-effective choice is {'; '.join(said)}. However much a day is worth, it cannot exceed the "
            f"probability that days are gained at all, {chance_in_words(more)}. {harm}{saved if below.any() else ''}: those are counted against the "
            "programme, whatever they cost.")


def frontier_sentence(costs: pd.DataFrame, models: pd.DataFrame) -> str:
    """Whether delivery models can be set on one frontier of cost over days, and if not, why.

    A frontier needs, for each model, a cost of its own and an effect against usual support. Comparisons of models with
    each other, in areas that run several, give no effect against usual support.

    Parameters
    ----------
    costs, models : DataFrame
        Tables ``costs_by_perspective`` and ``delivery_model_effects``.
    """
    from .costs import SHARED

    recorded = set(costs.loc[costs["breakdown"].eq("delivery_model"), "group"]) - {SHARED}
    names = sorted(models["delivery_model"])
    if len(names) < 2:
        return "There is only one delivery model, so there is no choice between models to be made."
    without = [name for name in names if name not in recorded]
    cost = f"no cost is recorded for {' or '.join(without)} alone" if without else "each model has costs of its own"
    compared = models["result"].str.startswith("compared").any()
    effect = ("models were compared with each other, where several ran side by side, and not with usual support; they were not allocated at random" if compared
              else "no model could be compared with another")
    return f"Delivery models are not set on one frontier of cost over days: {cost}, and {effect}."


def information_sentence(table: pd.DataFrame, decision: Decision) -> str:
    """What knowing more would be worth in each scenario, and which input matters most; or why it is not said."""
    from .wording import pounds

    withheld = table["withheld"].dropna()
    if len(withheld):
        return f"No value of information is given. {withheld.iloc[0]}."
    said = []
    for scenario, rows in table.groupby("scenario", sort=False):
        known, alone = rows["evpi"].iloc[0], rows.loc[rows["parameter"].ne(DAYS_AND_SHARE)]
        first = alone.loc[alone["evppi"].idxmax()]
        lead = "In the base case" if scenario == BASE_CASE else f"Under \u201c{scenario}\u201d"
        if known < 0.5:
            said.append(f"{lead}, knowing everything would be worth less than a pound per pupil: hardly any draw would change the choice.")
            continue
        most = (f"knowing the {first['parameter']} alone {pounds(first['evppi'])} per pupil, the most of any input" if first["evppi"] >= 0.5
                else "no input known by itself would be worth a pound per pupil, because none alone would change the choice")
        said.append(f"{lead}, knowing everything before deciding would be worth {pounds(known)} per pupil and {pounds(rows['evpi_population'].iloc[0])} "
                    f"for the pupils of {decision.years} years; {most}.")
    return " ".join(said)
