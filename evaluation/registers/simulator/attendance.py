"""How likely a pupil is to attend: log odds by pupil and half-term, patterns by day and session, closures and lost registers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from evaluation.protocol.simulation import PHASE_YEAR_GROUPS, SimulatedPhase, SimulationSection
from evaluation.registers.calendar import HALF_TERMS_A_YEAR, SESSIONS_A_DAY
from evaluation.registers.codes import CODE_CHANGE

from .people import PHASES, Pupils, Schools, academic_year_of
from .streams import stream

LAST_WEEK_DAYS = 5
HALF_TERMS_A_TERM = 2
QUADRATURE = ((2 / 3, 0.0), (1 / 6, 3**0.5), (1 / 6, -(3**0.5)))  # weights and points in standard deviations (Gauss-Hermite, three points)
LEAST_REMAINING = 0.1  # support never takes away more than nine tenths of a pupil's absence


@dataclass(frozen=True)
class Days:
    """The school days of one half-term: ``positions`` in the list of all school days, dates, weekdays (Monday 0), how far
    through the half-term (0 to 1), whether in the last week of a term, and whether codes had changed."""

    half_term: int
    positions: np.ndarray
    dates: np.ndarray
    weekday: np.ndarray
    through: np.ndarray
    last_week: np.ndarray
    changed: np.ndarray

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def year(self) -> int:
        """Position of the academic year."""
        return academic_year_of(self.half_term)


def half_term_days(days: pd.DataFrame) -> list[Days]:
    """The half-terms of a study, in order, from its school days (``date, half_term``)."""
    found = []
    for half_term, now in days.groupby("half_term"):
        length = len(now)
        ends_term = half_term % HALF_TERMS_A_TERM == 0
        found.append(Days(
            half_term=int(half_term), positions=now.index.to_numpy(), dates=now["date"].to_numpy(), weekday=now["date"].dt.day_of_week.to_numpy(),
            through=np.linspace(0, 1, length), last_week=(np.arange(length) >= length - LAST_WEEK_DAYS) & ends_term,
            changed=(now["date"] >= pd.Timestamp(CODE_CHANGE)).to_numpy()))
    return found


def pattern(design: SimulatedPhase, days: Days) -> np.ndarray:
    """Log odds of attending by day and session beside the half-term's level, days x 2 (float32)."""
    attends = design.attendance
    morning = np.array(attends.weekday)[days.weekday] + attends.through_half_term * (days.through - 0.5) + attends.last_week_of_term * days.last_week
    afternoon = morning + attends.afternoon + np.where(days.weekday == 4, attends.friday_afternoon, 0.0)
    return np.stack([morning, afternoon], axis=1).astype(np.float32)


def log_odds(section: SimulationSection, design: SimulatedPhase, schools: Schools, pupils: Pupils, rows: np.ndarray, days: Days) -> np.ndarray:
    """Log odds of attending of pupils ``rows``, all of one phase, in a half-term (float32)."""
    attends, year = design.attendance, days.year
    school = pupils.school[:, days.half_term - 1].take(rows)
    place = np.array([area.attendance_shift for area in section.areas])[schools.area] + schools.attendance
    groups = np.array(design.characteristics.year_group)[pupils.year_group[:, year].take(rows) - schools.first_group[school]]
    time = attends.level + attends.academic_year[year] + attends.half_term_of_year[(days.half_term - 1) % HALF_TERMS_A_YEAR]
    return ((time + place)[school] + groups + pupils.inclination.take(rows) + pupils.passing[:, days.half_term - 1].take(rows)).astype(np.float32)


def mean_absence(odds: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Probability of absence of each pupil, averaged over the days and sessions of a half-term (three-point quadrature)."""
    centre, spread = float(shape.mean()), float(shape.std())
    return sum(weight / (1.0 + np.exp(odds + np.float32(centre + point * spread))) for weight, point in QUADRATURE)


def kept_share(effect: np.ndarray, absence: np.ndarray) -> np.ndarray:
    """What support leaves of a pupil's absence: ``effect`` in points (pupils x days), ``absence`` as a probability (pupils)."""
    mean = np.maximum(absence, 1e-9)[:, None]
    return np.clip(1 - effect / 100 / mean, LEAST_REMAINING, 1 / mean)


def closures(section: SimulationSection, schools: Schools, days: Days, seed: int) -> np.ndarray:
    """Days on which a whole school is shut without warning, schools x days."""
    return stream(seed, "closures", days.half_term).random((len(schools), len(days))) < section.schools.closed / 100


def lost_registers(section: SimulationSection, schools: Schools, days: Days, seed: int) -> np.ndarray:
    """Registers of year groups that were not taken, schools x groups x days x 2."""
    most = max(len(groups) for groups in PHASE_YEAR_GROUPS.values())
    draws = stream(seed, "gaps", days.half_term).random((len(schools), most, len(days), SESSIONS_A_DAY), dtype=np.float32)
    return draws < lost_share(section, schools)[:, None, None, None]


def lost_share(section: SimulationSection, schools: Schools) -> np.ndarray:
    """The share of registers that each school loses."""
    by_phase = {p: section.phase(PHASES[p]).reasons.missing_register / 100 for p in np.unique(schools.phase)}
    return np.array([by_phase[p] for p in schools.phase])


def suspension_chance(design: SimulatedPhase, absence: np.ndarray, days: Days) -> np.ndarray:
    """Probability that each pupil is suspended once in a half-term: likelier where absence is."""
    shortest, longest = design.reasons.suspension_days
    return design.reasons.suspended / 100 * len(days) / ((shortest + longest) / 2) * absence / max(absence.mean(), 1e-9)


def suspended_days(design: SimulatedPhase, pupils: Pupils, rows: np.ndarray, absence: np.ndarray, days: Days,
                   seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Who of ``rows`` is suspended in a half-term, and the first and the day after the last school day of it.

    Pupils who move, or have two schools, in the half-term have none.
    """
    length = len(days)
    shortest, longest = design.reasons.suspension_days
    rng = stream(seed, "suspensions", days.half_term, int(pupils.phase[rows[0]]) if len(rows) else 0)
    who = np.flatnonzero(rng.random(len(rows)) < suspension_chance(design, absence, days))
    first = rng.integers(0, length, len(rows))[who]
    last = np.minimum(first + rng.integers(shortest, longest + 1, len(rows))[who], length)
    at_two = np.union1d(pupils.moves.moving(rows[who], days.half_term), pupils.moves.dual(rows[who], days.half_term))
    return tuple(np.delete(part, at_two) for part in (who, first, last))
