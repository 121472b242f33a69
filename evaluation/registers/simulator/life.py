"""The course of a simulated study, half-term by half-term: sessions, referral at the end of a window, leaving at the end of a term."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from evaluation.protocol.simulation import SimulationSection

from .attendance import HALF_TERMS_A_TERM, Days
from .mentoring import DrawLots, Referred, effect_by_day, refer
from .people import HALF_TERMS, Pupils, Schools
from .streams import stream

# What draws the sessions of a half-term: called with the phase, the days, the effect by supported pupil and day (or None) and the
# supported pupils; gives rows, possible sessions, sessions absent, and sessions absent without support (harmonised definition).
Draw = Callable[[int, Days, np.ndarray | None, np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Outcomes:
    """Sessions of every pupil and half-term (pupils x half-terms; -1 off roll), and the pupils referred."""

    possible: np.ndarray
    absent: np.ndarray
    untreated: np.ndarray
    referred: pd.DataFrame


def live(section: SimulationSection, schools: Schools, pupils: Pupils, days: pd.DataFrame, half_terms: list[Days], draw: Draw, draw_lots: DrawLots,
         seed: int) -> Outcomes:
    """Go through the half-terms; leavers are taken off the roll of ``pupils``.

    Parameters
    ----------
    days : DataFrame
        The school days of the study: ``date, half_term``.
    half_terms : list of Days
        The same by half-term (:func:`~evaluation.registers.simulator.attendance.half_term_days`).
    draw : callable
        Draws the sessions of one phase and half-term.
    draw_lots : callable
        Draws the random numbers of the referrals of a window.
    """
    shape = (len(pupils), HALF_TERMS)
    possible, absent, untreated = (np.full(shape, -1, dtype=np.int16, order="F") for _ in range(3))
    met = np.zeros(len(pupils), dtype=bool)
    done, dates = Referred(), days["date"].to_numpy()
    for now in half_terms:
        column = now.half_term - 1
        effect, supported = _support(section, schools, pupils, dates, now, done)
        for rows, *counts in _draw_phases(schools, pupils, draw, now, effect, supported):
            for into, count in zip((possible, absent, untreated), counts, strict=True):
                into[:, column][rows] = count
        window = np.maximum(possible[:, column], 0), np.maximum(untreated[:, column], 0)
        if now.half_term % HALF_TERMS_A_TERM == 0:
            _leave(section, pupils, now.half_term, possible, untreated, seed)
        if now.half_term in section.referral.windows and now.half_term < HALF_TERMS:
            refer(section, schools, pupils, now.half_term, *window, met, done, half_terms[now.half_term], dates, draw_lots)
        met[_meet_rule(section, schools, pupils, now.half_term, *window)] = True
    return Outcomes(possible, absent, untreated, _still_on_roll(pupils, half_terms, dates, done.frame()))


def _support(section: SimulationSection, schools: Schools, pupils: Pupils, dates: np.ndarray, now: Days,
             done: Referred) -> tuple[np.ndarray | None, np.ndarray]:
    """Effect by supported pupil and day of a half-term, and the supported pupils in ascending order."""
    if not len(done):
        return None, np.array([], dtype=int)
    pupil = done["pupil"]
    here = np.flatnonzero(done["started"] & (pupils.exit[pupil] >= now.half_term))
    here = here[np.argsort(pupil[here], kind="stable")]
    return effect_by_day(section, schools, done, here, dates, now), pupil[here]


def _draw_phases(schools: Schools, pupils: Pupils, draw: Draw, now: Days, effect: np.ndarray | None, supported: np.ndarray) -> Iterable[tuple]:
    for phase in np.unique(schools.phase):
        mine = pupils.phase[supported] == phase
        yield draw(int(phase), now, None if effect is None else effect[mine], supported[mine])


def _still_on_roll(pupils: Pupils, half_terms: list[Days], dates: np.ndarray, referred: pd.DataFrame) -> pd.DataFrame:
    """Nobody starts who has left by the day on which support would have begun."""
    last = np.array([now.dates[-1] for now in half_terms])
    started, begins = referred["started"].to_numpy(), referred["start_day"].to_numpy()
    gone = started & (dates[begins] > last[pupils.exit[referred["pupil"].to_numpy()] - 1])
    return referred.assign(started=started & ~gone, start_day=np.where(gone, -1, begins))


def _meet_rule(section: SimulationSection, schools: Schools, pupils: Pupils, half_term: int, possible: np.ndarray,
               absent: np.ndarray) -> np.ndarray:
    """Positions of those who meet the eligibility rule in a half-term from the window before the school's area opened onwards."""
    met = np.flatnonzero((possible > 0) & (100 * absent >= section.referral.eligible_absence * possible))
    school = pupils.school[met, half_term - 1]
    return met[schools.mentored[school] & (half_term + 1 >= schools.opens[school])]


def _leave(section: SimulationSection, pupils: Pupils, half_term: int, possible: np.ndarray, untreated: np.ndarray, seed: int) -> None:
    """Pupils who are off roll from the next term on: more of those persistently absent in the term that ends."""
    term = range(half_term - HALF_TERMS_A_TERM, half_term)
    sessions, missed = (sum(np.maximum(counts[:, column], 0) for column in term) for counts in (possible, untreated))
    persistent = (sessions > 0) & (10 * missed >= sessions)
    chance = np.where(persistent, section.roll.leaving_persistent, section.roll.leaving_other)
    rng = stream(seed, "leavers", half_term)
    leaves = np.flatnonzero((rng.random(len(pupils)) < chance) & (pupils.entry <= half_term) & (pupils.exit > half_term))
    pupils.excluded[leaves] |= persistent[leaves] & (rng.random(len(pupils))[leaves] < section.roll.excluded_share)
    pupils.exit[leaves] = half_term
