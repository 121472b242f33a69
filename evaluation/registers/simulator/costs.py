"""What simulated support costs."""

from __future__ import annotations

import numpy as np
import pandas as pd

from evaluation.protocol.simulation import SimulationSection

from .people import Schools

COST_COLUMNS = ["item", "category", "kind", "payer", "area_code", "delivery_model", "period", "amount", "vat", "credit", "price_year",
                "quantity", "unit", "basis", "source"]


def cost_table(section: SimulationSection, schools: Schools, terms: pd.DataFrame) -> pd.DataFrame:
    """Extract table ``costs``: planned costs, spread over areas and years by planned starts.

    Each mentor school plans the same number of starts after every window in which it is open, so costs follow the
    windows; set-up costs fall in an area's first year alone.
    """
    design = section.costs
    year_of = terms.set_index("half_term")["academic_year"]
    places = [(int(a), year_of[window + 1]) for window in section.referral.windows for a, opens in zip(schools.area, schools.opens, strict=True)
              if opens and window + 1 >= opens and window + 1 in year_of.index]
    weights = pd.DataFrame(places, columns=["area", "period"]).groupby(["area", "period"], as_index=False).size().rename(columns={"size": "windows"})
    weights["running"] = weights["windows"] / weights["windows"].sum()
    first = weights["period"] == weights.groupby("area")["period"].transform("min")
    by_area = weights.groupby("area")["windows"].transform("sum") / weights["windows"].sum()
    weights["set-up"] = np.where(first, by_area, 0.0)
    rows = []
    for item in design.items:
        hours = None if item.hours is None else item.hours * design.planned_starts
        total = hours * item.hourly if hours is not None else item.share * design.unit_cost.value * design.planned_starts
        for _, place in weights.loc[weights[item.kind] > 0].iterrows():
            share = place[item.kind]
            rows.append({
                "item": item.item, "category": item.category, "kind": item.kind, "payer": item.payer,
                "area_code": section.areas[place["area"]].code, "delivery_model": None, "period": place["period"],
                "amount": round(total * share, 2), "vat": None, "credit": False, "price_year": design.price_year,
                "quantity": None if hours is None else round(hours * share, 2), "unit": None if hours is None else "hours",
                "basis": "planned", "source": design.unit_cost.source if hours is None else "planning assumption, not measured",
            })
    table = pd.DataFrame(rows, columns=COST_COLUMNS).astype({"vat": "float64"})
    table.insert(0, "cost_id", [f"K{position + 1:04d}" for position in range(len(table))])
    return table
