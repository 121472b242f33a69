"""The small extract tables of a simulated study: schools, pupils, programmes and costs."""

from __future__ import annotations

import numpy as np
import pandas as pd

from evaluation.protocol.simulation import SimulationSection
from evaluation.registers.calendar import HALF_TERMS_A_YEAR

from .people import LAST_FOR_YEAR_11, SEN, YEARS, Pupils, Schools

COST_COLUMNS = ["item", "category", "kind", "payer", "area_code", "delivery_model", "period", "amount", "vat", "credit", "price_year",
                "quantity", "unit", "basis", "source"]


def school_identifiers(schools: Schools) -> list[str]:
    """Identifiers of the schools in sorted order."""
    return [f"S{position + 1:03d}" for position in range(len(schools))]


def school_table(section: SimulationSection, schools: Schools, terms: pd.DataFrame) -> pd.DataFrame:
    """Extract table ``schools``; mentoring begins on the first school day of the half-term in which the area opens."""
    first_day = terms.set_index("half_term")["first_day"]
    return pd.DataFrame({
        "school_id": school_identifiers(schools),
        "school_name": schools.names(section),
        "area_code": [section.areas[a].code for a in schools.area],
        "area_name": [section.areas[a].name for a in schools.area],
        "phase": "secondary",
        "mentor_school": schools.mentored,
        "mentoring_start": pd.Series([first_day[h] if h else pd.NaT for h in schools.opens], dtype="datetime64[us]"),
    })


def pupil_table(schools: Schools, pupils: Pupils, terms: pd.DataFrame, names: np.ndarray) -> pd.DataFrame:
    """Extract table ``pupils``: one row per pupil and academic year on roll, in order of pupil and year."""
    first_day = terms["first_day"].to_numpy()
    last_day = terms["last_day"].to_numpy()
    years = terms.groupby("half_term")["academic_year"].first().to_numpy()
    school_ids = np.array(school_identifiers(schools), dtype=object)
    parts = []
    for year in range(YEARS):
        opens, closes = year * HALF_TERMS_A_YEAR + 1, (year + 1) * HALF_TERMS_A_YEAR
        here = np.flatnonzero((pupils.entry <= closes) & (pupils.exit >= opens))
        first = np.maximum(pupils.entry[here], opens)
        last = np.minimum(pupils.exit[here], closes)
        finishes = (pupils.year_group[here, year] == 11) & (last == opens + LAST_FOR_YEAR_11 - 1)
        moves = np.zeros(len(here), dtype=bool)
        if year + 1 < YEARS:
            moves = (pupils.exit[here] > closes) & (pupils.school[here, year] != pupils.school[here, year + 1])
        gone = (last < closes) | (pupils.exit[here] == closes) & (year + 1 < YEARS)
        reason = np.where(finishes, "end of Year 11", np.where(moves, "moved to another school of the area", np.where(gone, "left the area's schools", None)))
        parts.append(pd.DataFrame({
            "pupil_id": names[here], "academic_year": years[opens - 1], "school_id": school_ids[pupils.school[here, year]],
            "year_group": pupils.year_group[here, year], "sex": np.where(pupils.female[here], "female", "male"),
            "fsm": pupils.fsm[here], "sen_provision": np.array(SEN, dtype=object)[pupils.sen[here]], "idaci": pupils.idaci[here],
            "enrolment_start": first_day[first - 1],
            "enrolment_end": pd.Series(last_day[last - 1]).where(gone | moves),
            "leaving_reason": reason,
        }))
    return pd.concat(parts, ignore_index=True).sort_values(["pupil_id", "academic_year"], ignore_index=True)


def programme_table(section: SimulationSection) -> pd.DataFrame:
    """Extract table ``programmes``."""
    rows = [(p.programme, area, p.start, p.end) for p in section.programmes for area in p.areas]
    none = pd.Series([None] * len(rows), dtype="str")
    return pd.DataFrame({
        "programme_id": [f"G{position + 1:02d}" for position in range(len(rows))],
        "programme": [row[0] for row in rows], "area_code": [row[1] for row in rows], "school_id": none,
        "start_date": pd.to_datetime([row[2] for row in rows]), "end_date": pd.to_datetime([row[3] for row in rows]),
    })


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
