"""The small extract tables of a simulated study: schools, enrolments, suspensions, programmes and costs."""

from __future__ import annotations

import numpy as np
import pandas as pd

from evaluation.protocol.simulation import SimulationSection
from evaluation.registers.calendar import HALF_TERMS_A_YEAR

from .people import LAST_FOR_YEAR_11, LAST_YEAR_GROUP, PHASES, SEN, YEARS, Pupils, Schools
from .streams import stream



def school_identifiers(schools: Schools) -> list[str]:
    """Identifiers of the schools in sorted order."""
    return [f"S{position + 1:03d}" for position in range(len(schools))]


def school_table(section: SimulationSection, schools: Schools, terms: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Extract table ``schools``; mentoring begins on the first school day of the half-term in which the area opens."""
    design, rng = section.schools, stream(seed, "inspection and trusts")
    first_day = terms.set_index("half_term")["first_day"]
    judgements = list(design.inspection)
    share = np.array([design.inspection[name] for name in judgements])
    in_area = pd.Series(schools.area).groupby(schools.area).cumcount().to_numpy()
    trusts = [f"Simulated trust {area + 1}.{number + 1}" for area, number in zip(schools.area, in_area // design.schools_per_trust, strict=True)]
    return pd.DataFrame({
        "school_id": school_identifiers(schools),
        "school_name": schools.names(section),
        "area_code": [section.areas[a].code for a in schools.area],
        "area_name": [section.areas[a].name for a in schools.area],
        "phase": [PHASES[p] for p in schools.phase],
        "mentor_school": schools.mentored,
        "mentoring_start": pd.Series([first_day[h] if h else pd.NaT for h in schools.opens], dtype="datetime64[us]"),
        "inspection_judgement": np.array(judgements, dtype=object)[rng.choice(len(judgements), len(schools), p=share / share.sum())],
        "trust": np.where(rng.random(len(schools)) < design.trust_share, np.array(trusts, dtype=object), None),
    })


def pupil_table(schools: Schools, pupils: Pupils, days: pd.DataFrame, terms: pd.DataFrame, names: np.ndarray) -> pd.DataFrame:
    """Extract table ``pupils``: one row per enrolment and academic year, in order of its key.

    Who moves within a year has two rows that meet; who is dually registered has a main row for the year and a subsidiary one.
    """
    dates = days["date"].to_numpy()
    opens_at = days.groupby("half_term").apply(lambda now: now.index[0], include_groups=False).to_numpy()
    length = days.groupby("half_term").size().to_numpy()
    parts = []
    for year in range(YEARS):
        rows = _year_rows(pupils, year, terms)
        moved = np.flatnonzero(pupils.moves.half_term[rows["pupil"]] == 0)
        movers = rows.loc[pupils.moves.half_term[rows["pupil"]] > 0]
        half_term = pupils.moves.half_term[movers["pupil"]]
        inside = (half_term > year * HALF_TERMS_A_YEAR) & (half_term <= np.minimum((year + 1) * HALF_TERMS_A_YEAR, pupils.exit[movers["pupil"]]))
        parts += [rows.iloc[moved], movers.loc[~inside], *_split(pupils, movers.loc[inside], opens_at, length, dates), _subsidiary(pupils, rows, year, terms)]
    table = pd.concat(parts, ignore_index=True)
    who, year = table["pupil"].to_numpy(), table["year"].to_numpy()
    dual = (pupils.moves.second[who] >= 0) & ((pupils.moves.begins[who] - 1) // HALF_TERMS_A_YEAR == year) & (pupils.moves.begins[who] <= pupils.exit[who])
    years = terms.groupby("half_term")["academic_year"].first().to_numpy()
    frame = pd.DataFrame({
        "pupil_id": names[who], "academic_year": years[year * HALF_TERMS_A_YEAR], "school_id": np.array(school_identifiers(schools), dtype=object)[table["school"]],
        "enrolment_status": np.where(table["subsidiary"], "subsidiary", np.where(dual, "main", "single")),
        "year_group": pupils.year_group[who, year].astype(int), "sex": np.where(pupils.female[who], "female", "male"),
        "fsm": pupils.fsm[who], "sen_provision": np.array(SEN, dtype=object)[pupils.sen[who]], "idaci": pupils.idaci[who],
        "month_of_birth": _month_of_birth(pupils, who, year, years),
        "enrolment_start": table["start"].to_numpy(), "enrolment_end": table["end"].to_numpy(), "leaving_reason": table["reason"].to_numpy(),
    })
    return frame.sort_values(["pupil_id", "academic_year", "school_id", "enrolment_start"], ignore_index=True)


def _month_of_birth(pupils: Pupils, who: np.ndarray, year: np.ndarray, years: np.ndarray) -> np.ndarray:
    """Month and year of birth that fit the year group: a school year runs from September to August."""
    turns = np.array([int(name[:4]) for name in years[::HALF_TERMS_A_YEAR]])[year] - pupils.year_group[who, year] - 5  # September's year of birth
    month = 8 + (who * 5) % 12  # counted from January of that year; spread evenly, no draw
    return np.array([f"{t + m // 12}-{m % 12 + 1:02d}" for t, m in zip(turns, month, strict=True)], dtype=object)


def _year_rows(pupils: Pupils, year: int, terms: pd.DataFrame) -> pd.DataFrame:
    """Enrolments of one year as if nobody moved within it: pupil, year, school (positions), start, end, reason, subsidiary."""
    first_day, last_day = terms["first_day"].to_numpy(), terms["last_day"].to_numpy()
    opens, closes = year * HALF_TERMS_A_YEAR + 1, (year + 1) * HALF_TERMS_A_YEAR
    here = np.flatnonzero((pupils.entry <= closes) & (pupils.exit >= opens))
    first = np.maximum(pupils.entry[here], opens)
    last = np.minimum(pupils.exit[here], closes)
    finishes = (pupils.year_group[here, year] == LAST_YEAR_GROUP) & (last == opens + LAST_FOR_YEAR_11 - 1)
    moves = np.zeros(len(here), dtype=bool)
    if year + 1 < YEARS:
        at_end = pupils.school[here, closes - 1].copy()
        late = pupils.moves.half_term[here] == closes
        at_end[late] = pupils.moves.to[here[late]]
        moves = (pupils.exit[here] > closes) & (at_end != pupils.school[here, closes])
    gone = (last < closes) | (pupils.exit[here] == closes) & (year + 1 < YEARS)
    reason = np.where(finishes, "end of Year 11", np.where(moves, "moved to another school of the area", np.where(
        gone & pupils.excluded[here] & (last == pupils.exit[here]), "permanently excluded", np.where(gone, "left the area's schools", None))))
    return pd.DataFrame({"pupil": here, "year": year, "school": pupils.school[here, first - 1], "start": first_day[first - 1],
                         "end": pd.Series(last_day[last - 1]).where(gone | moves), "reason": reason, "subsidiary": False})


def _split(pupils: Pupils, rows: pd.DataFrame, opens_at: np.ndarray, length: np.ndarray, dates: np.ndarray) -> list[pd.DataFrame]:
    """Two enrolments for each pupil who moves within the year, before and from the day of the move."""
    who = rows["pupil"].to_numpy()
    at = pupils.moves.half_term[who] - 1
    day = opens_at[at] + pupils.moves.day(who, length[at])
    before = rows.assign(end=pd.Series(dates[day - 1], index=rows.index), reason="moved to another school of the area")
    return [before, rows.assign(school=pupils.moves.to[who], start=pd.Series(dates[day], index=rows.index))]


def _subsidiary(pupils: Pupils, rows: pd.DataFrame, year: int, terms: pd.DataFrame) -> pd.DataFrame:
    """The second enrolments of pupils who are dually registered in the year."""
    moves, who = pupils.moves, rows["pupil"].to_numpy()
    mine = (moves.second[who] >= 0) & ((moves.begins[who] - 1) // HALF_TERMS_A_YEAR == year) & (moves.begins[who] <= pupils.exit[who])
    rows, who = rows.loc[mine], who[mine]
    last = np.minimum(moves.ends[who], pupils.exit[who])
    return rows.assign(school=moves.second[who], start=terms["first_day"].to_numpy()[moves.begins[who] - 1],
                       end=pd.Series(terms["last_day"].to_numpy()[last - 1], index=rows.index), reason="end of dual registration", subsidiary=True)


def suspension_table(section: SimulationSection, pupils: Pupils, found: list[tuple], days: pd.DataFrame, names: np.ndarray, school_ids: list[str], seed: int) -> pd.DataFrame:
    """Extract table ``suspensions``: one row for each run of code E, and the permanent exclusions.

    Parameters
    ----------
    found : list of tuple
        For each half-term and phase: pupils, schools, first school day (position among all), sessions coded E.
    """
    rng = stream(seed, "reasons of suspensions")
    who, school, first, sessions = (np.concatenate([np.asarray(part[i], dtype=int) for part in found]) if found else np.zeros(0, dtype=int) for i in range(4))
    real = sessions > 0
    who, school, first, sessions = who[real], school[real], first[real], sessions[real]
    out = np.flatnonzero(pupils.excluded)
    last_day = days.groupby("half_term").apply(lambda now: now.index[-1], include_groups=False).to_numpy()
    at = pupils.school[out, pupils.exit[out] - 1].copy()
    late = pupils.moves.half_term[out] == pupils.exit[out]
    at[late] = pupils.moves.to[out[late]]
    who, school = np.concatenate([who, out]), np.concatenate([school, at])
    first, sessions = np.concatenate([first, last_day[pupils.exit[out] - 1]]), np.concatenate([sessions, np.zeros(len(out), dtype=int)])
    order = np.lexsort((sessions, first, who))
    reasons = section.reasons.suspension_reasons
    share = np.array(list(reasons.values()))
    why = rng.choice(len(reasons), len(order), p=share / share.sum())
    return pd.DataFrame({
        "suspension_id": [f"X{position + 1:06d}" for position in range(len(order))], "pupil_id": names[who[order]],
        "school_id": np.array(school_ids, dtype=object)[school[order]], "start_date": days["date"].to_numpy()[first[order]],
        "sessions": sessions[order], "kind": np.where(sessions[order] > 0, "suspension", "permanent exclusion"),
        "reason": np.array(list(reasons), dtype=object)[why],
    })


def programme_table(section: SimulationSection) -> pd.DataFrame:
    """Extract table ``programmes``."""
    rows = [(p.programme, area, p.start, p.end) for p in section.programmes for area in p.areas]
    none = pd.Series([None] * len(rows), dtype="str")
    return pd.DataFrame({
        "programme_id": [f"G{position + 1:02d}" for position in range(len(rows))],
        "programme": [row[0] for row in rows], "area_code": [row[1] for row in rows], "school_id": none,
        "start_date": pd.to_datetime([row[2] for row in rows]), "end_date": pd.to_datetime([row[3] for row in rows]),
    })
