"""Sessions of one half-term: who is absent, with and without support, and the code that the register shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from evaluation.protocol.simulation import SimulationSection
from evaluation.registers.calendar import SESSIONS_A_DAY
from evaluation.registers.codes import CODE_CHANGE

from .people import Pupils, Schools, academic_year_of
from .streams import stream

CODES = ("/", "\\", "L", "B", "V", "P", "W", "K", "J", "J1", "M", "E", "I", "O", "G", "C", "C2", "U", "S", "-")
NUMBER = {code: position for position, code in enumerate(CODES)}
OFF_ROLL = 255
LEAST_REMAINING = 0.1  # support never takes away more than nine tenths of a pupil's absence
SUSPENSION_DAYS = (1, 5)


@dataclass(frozen=True)
class HalfTerm:
    """One half-term of marks for the pupils ``rows`` (positions), and what would have happened without support.

    ``codes``: pupils x days x 2 (uint8, positions in ``CODES``). The four counts are by the harmonised definition:
    an interview counts as attending, a gap in the register is no possible session.
    """

    rows: np.ndarray
    codes: np.ndarray
    possible: np.ndarray
    absent: np.ndarray
    absent_untreated: np.ndarray


def draw_half_term(section: SimulationSection, schools: Schools, pupils: Pupils, half_term: int, days: pd.DataFrame,
                   support: np.ndarray | None, supported: np.ndarray, seed: int) -> HalfTerm:
    """Draw the marks of one half-term.

    Parameters
    ----------
    days : DataFrame
        School days of the half-term: ``date``.
    support : ndarray or None
        Effect of support by supported pupil and day, percentage points of sessions.
    supported : ndarray
        Positions of the pupils in ``support``, all on roll in this half-term.

    Notes
    -----
    The same uniform numbers decide a session with and without support: a session is absent when its number lies
    below the pupil's probability of absence, and support lowers the probability alone. Medical appointments,
    suspensions and interviews come first and are never changed by support.
    """
    year = academic_year_of(half_term)
    rows = np.flatnonzero((pupils.entry <= half_term) & (half_term <= pupils.exit))
    count, length = len(rows), len(days)
    propensity = _log_odds(section, schools, pupils, rows, half_term, year)
    pattern = _pattern(section, days)
    absence = 1.0 / (1.0 + np.exp(propensity)[:, None, None] * np.exp(pattern)[None, :, :].astype(np.float32))
    rng = stream(seed, "sessions", half_term)
    morning = rng.random((count, length), dtype=np.float32)
    fresh = rng.random((count, length), dtype=np.float32)
    same = np.float32(section.attendance.same_day_share)
    afternoon = np.where(fresh < same, morning, (fresh - same) / max(1 - same, np.float32(1e-6)))
    luck = np.stack([morning, afternoon], axis=2)
    untreated = luck < absence
    treated = untreated
    if support is not None and len(supported):
        treated = untreated.copy()
        at = np.searchsorted(rows, supported)
        mean = absence[at].mean(axis=(1, 2))
        kept = np.clip(1 - support / 100 / mean[:, None], LEAST_REMAINING, 1 / mean[:, None])
        treated[at] = luck[at] < absence[at] * kept[:, :, None]
    events = _events(section, pupils, rows, days, year, absence, half_term, seed)
    gaps = _gaps(section, schools, pupils, rows, length, year, half_term, seed)
    codes = _code(section, pupils.part_time[rows], propensity, days, treated, events, gaps, half_term, seed)
    always = (events == NUMBER["M"]) | (events == NUMBER["E"])
    never = (events == NUMBER["J"]) | (events == NUMBER["J1"])
    possible = (~gaps).sum(axis=(1, 2))
    return HalfTerm(rows, codes, possible, *(((a | always) & ~never & ~gaps).sum(axis=(1, 2)) for a in (treated, untreated)))


def _log_odds(section: SimulationSection, schools: Schools, pupils: Pupils, rows: np.ndarray, half_term: int, year: int) -> np.ndarray:
    """Log odds of attending of each pupil in the half-term (float32)."""
    design = section.attendance
    school = pupils.school[rows, year]
    area = np.array([place.attendance_shift for place in section.areas])[schools.area]
    groups = np.array(section.characteristics.year_group)[pupils.year_group[rows, year] - 7]
    within = (half_term - 1) % len(design.half_term_of_year)
    time = design.level + design.academic_year[year] + design.half_term_of_year[within]
    return (time + (area + schools.attendance)[school] + groups + pupils.inclination[rows] + pupils.passing[rows, half_term - 1]).astype(np.float32)


def _pattern(section: SimulationSection, days: pd.DataFrame) -> np.ndarray:
    """Log odds by day and session: days x 2."""
    design = section.attendance
    weekday = days["date"].dt.day_of_week.to_numpy()
    morning = np.array(design.weekday)[weekday]
    return np.stack([morning, morning + design.afternoon + np.where(weekday == 4, design.friday_afternoon, 0.0)], axis=1)


def _events(section: SimulationSection, pupils: Pupils, rows: np.ndarray, days: pd.DataFrame, year: int, absence: np.ndarray,
            half_term: int, seed: int) -> np.ndarray:
    """Codes that come before all others (medical appointments, suspensions, interviews); 0 where there is none."""
    design = section.reasons
    rng = stream(seed, "events", half_term)
    count, length = len(rows), len(days)
    draw = rng.random((count, length, SESSIONS_A_DAY), dtype=np.float32)
    events = np.where(draw < design.medical / 100, NUMBER["M"], 0).astype(np.uint8)
    year_11 = pupils.year_group[rows, year] == 11
    interviews = year_11[:, None, None] & (draw >= 1 - design.interview / 100)
    after = (days["date"] >= pd.Timestamp(CODE_CHANGE)).to_numpy()[None, :, None]
    events = np.where(interviews, np.where(after, NUMBER["J1"], NUMBER["J"]), events).astype(np.uint8)
    shortest, longest = SUSPENSION_DAYS
    mean = absence.mean(axis=(1, 2))
    chance = design.suspended / 100 * length / ((shortest + longest) / 2) * mean / mean.mean()
    happens = rng.random(count) < chance
    first = rng.integers(0, length, count)
    last = first + rng.integers(shortest, longest + 1, count)
    day = np.arange(length)[None, :]
    away = happens[:, None] & (day >= first[:, None]) & (day < last[:, None])
    return np.where(away[:, :, None], np.uint8(NUMBER["E"]), events)


def _gaps(section: SimulationSection, schools: Schools, pupils: Pupils, rows: np.ndarray, length: int, year: int, half_term: int,
          seed: int) -> np.ndarray:
    """Sessions for which a whole year group's register was not taken."""
    rng = stream(seed, "gaps", half_term)
    missing = rng.random((len(schools), 5, length, SESSIONS_A_DAY), dtype=np.float32) < section.reasons.missing_register / 100
    return missing[pupils.school[rows, year], pupils.year_group[rows, year] - 7]


def _code(section: SimulationSection, part_time: np.ndarray, propensity: np.ndarray, days: pd.DataFrame, absent: np.ndarray,
          events: np.ndarray, gaps: np.ndarray, half_term: int, seed: int) -> np.ndarray:
    """The code of every session."""
    design = section.reasons
    rng = stream(seed, "codes", half_term)
    count, length = len(propensity), len(days)
    present = rng.random((count, length, SESSIONS_A_DAY), dtype=np.float32)
    reason = rng.random((count, length), dtype=np.float32)
    after = (days["date"] >= pd.Timestamp(CODE_CHANGE)).to_numpy()
    codes = np.empty((count, length, SESSIONS_A_DAY), dtype=np.uint8)
    codes[:, :, 0], codes[:, :, 1] = NUMBER["/"], NUMBER["\\"]
    morning = 2 * design.late * design.late_morning_share / 100
    for session, rate in ((0, morning), (1, 2 * design.late / 100 - morning)):
        codes[:, :, session][present[:, :, session] < rate] = NUMBER["L"]
    top = 1.0
    for code, rate in design.approved.items():
        dated = after if code == "K" else np.ones(length, dtype=bool)
        chosen = (present < top) & (present >= top - rate / 100) & dated[None, :, None]
        codes[chosen] = NUMBER[code]
        top -= rate / 100
    who, day, session = np.nonzero(absent)
    codes[who, day, session] = _reasons(section, part_time, propensity, who, reason[who, day], after[day])
    codes = np.where(events > 0, events, codes)
    codes[gaps] = NUMBER["-"]
    return codes


def _reasons(section: SimulationSection, part_time: np.ndarray, propensity: np.ndarray, who: np.ndarray, draw: np.ndarray,
             after: np.ndarray) -> np.ndarray:
    """Code of each absent session: illness leads where attendance is good, absence without leave where it is poor."""
    design = section.reasons
    names = list(design.absence)
    rates = np.array([design.absence[name] for name in names])
    without_leave = np.isin(names, ["O", "G", "U"])
    tilt = design.unauthorised_tilt * (design.unauthorised_reference - propensity)
    weights = rates[None, :] * np.exp(np.where(without_leave[None, :], tilt[:, None], 0.0))
    edges = (np.cumsum(weights, axis=1) / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    chosen = (draw[:, None] >= edges[who, :-1]).sum(axis=1)
    codes = np.array([NUMBER[name] for name in names], dtype=np.uint8)[chosen]
    codes[(codes == NUMBER["C"]) & part_time[who] & after] = NUMBER["C2"]
    return codes
