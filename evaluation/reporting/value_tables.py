"""Tables of value for money as a reader sees them, put together from result tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evaluation.reporting.text import is_missing, money_text, number_text
from evaluation.reporting.words import STANDINGS, unit_words
from evaluation.value.wording import chance_in_words

if TYPE_CHECKING:
    import pandas as pd

INPUT_WORDS = {
    "extra_days": "Extra days per pupil", "cost_per_pupil": "Cost per pupil", "cost_relative_error": "Uncertainty of cost",
    "cost_effect_correlation": "Correlation of cost and effect", "value_per_day": "Value of a day, base case",
    "lifetime earnings: per_day": "Lifetime earnings associated with a day", "lifetime earnings: causal_share": "Causal share of that association",
    "distribution.income_ratio": "Income ratio", "distribution.elasticity": "Elasticity of the value of income",
    "persistence.support_half_terms": "Length of support", "persistence.half_life": "Half-life after support", "take_up": "Take-up",
    "scale": "Scale", "decision.pupils_a_year": "Pupils whom the decision covers", "planning.mentor_cost": "Cost of a mentor",
    "planning.caseload": "Caseload of a mentor", "planning.courses_a_year": "Courses of support a year", "distributional weight": "Distributional weight",
    "discounting": "Discount rates", "cost_bands": "Cost bands", "deflators": "Price index",
}
GROUPS = {"base": "Base case", "persistence": "How long it lasts", "take-up": "How many start", "scale": "Scale", "correlation": "Cost and effect together",
          "bias": "Bias seen in placebos", "causal share": "Causal share"}


def inputs_for_reading(table: pd.DataFrame) -> pd.DataFrame:
    """Inputs with value, range, source, date and standing in words, and where each would turn the answer round.

    Parameters
    ----------
    table : DataFrame
        Table ``value_inputs``.
    """
    import pandas as pd

    words = {"estimate": "estimated in this run", "planned": "planned cost", "outturn": "outturn cost", "mixed": "partly planned cost", "none": "no cost"}
    rows = []
    for row in table.itertuples():
        turns = row.switching_text if is_missing(row.switching_value) else f"{_plain(row.switching_value)}: {row.switching_text}"
        spread = "" if is_missing(row.low) or is_missing(row.high) else f" ({_plain(row.low)} to {_plain(row.high)})"
        rows.append({"input": INPUT_WORDS.get(row.input, row.input.replace("_", " ")),
                     "value": row.note if is_missing(row.value) else f"{_plain(row.value)}{spread} {unit_words(row.unit)}",
                     "source": row.source.replace("_", " ") if row.standing == "estimate" else row.source,
                     "standing": f"{STANDINGS.get(row.standing, words.get(row.standing, row.standing))}; {row.dated}", "turns": turns})
    return pd.DataFrame(rows)


def _plain(value: float) -> str:
    return number_text(value, 0 if float(value).is_integer() or abs(value) >= 100 else 2)


def present_for_reading(appraisal: pd.DataFrame) -> pd.DataFrame:
    """A row for each value of a day: net present social value in total, per pupil and weighted, and benefits over costs, with intervals.

    Parameters
    ----------
    appraisal : DataFrame
        Headline rows of table ``appraisal``.
    """
    import pandas as pd

    rows = []
    for scenario, own in appraisal.groupby("scenario", sort=False):
        measures = own.set_index("measure")
        row = {"scenario": scenario}
        for column, measure in (("total", "npsv"), ("per_pupil", "npsv_per_pupil"), ("weighted", "npsv_weighted_per_pupil"), ("ratio", "benefit_cost_ratio")):
            if measure in measures.index:
                write = (lambda value: number_text(value, 2)) if column == "ratio" else money_text
                found = measures.loc[measure]
                row[column] = f"{write(found['value'])} ({write(found['conf_low'])} to {write(found['conf_high'])})"
        if len(row) > 1:
            rows.append(row)
    return pd.DataFrame(rows)


def information_for_reading(table: pd.DataFrame) -> pd.DataFrame:
    """What each input is worth knowing, in pounds, with everything at once last; or why it is withheld.

    Parameters
    ----------
    table : DataFrame
        Table ``information_value``.
    """
    import pandas as pd

    rows = []
    for scenario, own in table.groupby("scenario", sort=False):
        if own["withheld"].notna().any():
            rows.append({"scenario": scenario, "parameter": "everything", "worth_per_pupil": own["withheld"].iloc[0], "worth_for_all_pupils": "withheld"})
            continue
        for row in own.itertuples():
            rows.append({"scenario": scenario, "parameter": row.parameter, "worth_per_pupil": f"{money_text(row.evppi, 2)} (Monte Carlo error {money_text(row.std_error, 2)})",
                         "worth_for_all_pupils": money_text(row.evppi_population)})
        first = own.iloc[0]
        rows.append({"scenario": scenario, "parameter": "everything", "worth_per_pupil": money_text(first["evpi"], 2),
                     "worth_for_all_pupils": money_text(first["evpi_population"])})
    return pd.DataFrame(rows)


def scenarios_for_reading(table: pd.DataFrame) -> pd.DataFrame:
    """Scenarios with their assumption in words, net benefit with its interval."""
    import pandas as pd

    return pd.DataFrame({
        "group": table["group"].map(GROUPS), "scenario": table["scenario"], "valuation": table["valuation"], "extra_days": table["extra_days"],
        "cost_per_pupil": table["cost_per_pupil"], "net_benefit": table["net_benefit"],
        "interval": [f"{money_text(low)} to {money_text(high)}" for low, high in zip(table["conf_low"], table["conf_high"], strict=True)],
        "probability_breaking_even": table["probability_breaking_even"],
    })


def places_for_reading(table: pd.DataFrame) -> pd.DataFrame:
    """A column a place: pupils, mentors, cost, days with their interval, and the probability of breaking even under each value of a day.

    Parameters
    ----------
    table : DataFrame
        Table ``planning_table``.
    """
    import pandas as pd

    columns = {}
    for place, own in table.sort_values("roll", kind="stable").groupby("place", sort=False):
        row = own.iloc[0]
        said = {
            "Pupils on roll": f"{row['roll']:,}", "Persistently absent": f"{row['persistent_absentees']:,}", "Severely absent": f"{row['severe_absentees']:,}",
            "Referred in a year": f"{row['referred']:,}", "Start in a year": number_text(row["starts"], 0), "Full-time mentors": number_text(row["mentors"], 1),
            "Cost": money_text(row["cost"]), "Cost per pupil referred": money_text(row["cost_per_referred"]),
            "Extra days in all": f"{number_text(row['extra_days'], 0)} ({number_text(row['days_low'], 0)} to {number_text(row['days_high'], 0)})",
        }
        for value in own.sort_values("value_per_day", kind="stable").itertuples():
            worth = f"if a day is worth {money_text(value.value_per_day)}"
            said[f"Days per pupil referred that repay it, {worth}"] = number_text(value.break_even_days, 1)
            said[f"Probability of that, {worth}"] = chance_in_words(value.probability_breaking_even)
        columns[place.capitalize()] = said
    return pd.DataFrame(columns).rename_axis("item").reset_index()
