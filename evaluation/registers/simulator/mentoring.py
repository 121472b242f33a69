"""Referral to mentors, their caseloads, and the true effect of support."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from evaluation.protocol.simulation import SimulationSection
from evaluation.registers.calendar import HALF_TERMS_A_YEAR

from .attendance import Days
from .people import Pupils, Schools, academic_year_of
from .streams import stream, top_choices

SEVERITY_EDGES = (20.0, 50.0)  # % of possible sessions absent in the window
DAYS_A_HALF_LIFE_UNIT = 42     # a half-term of six weeks
LEAST_HALF_LIFE = 0.07          # days; shorter ones leave as little of the effect on the next day, and would overflow
REFERRAL_DAYS = 8              # referrals are made within the first school days of the half-term after the window
FIRST_MEETING_DAYS = (5, 15)   # school days between referral and the start of support
LEAST_SESSIONS = 20            # possible sessions in the window below which nobody is referred
LEVEL_MIDPOINT, WINDOW_MIDPOINT = 0.0, 0.20


# Columns of a referral, with the type of each; days are positions in the list of school days (-1: none).
COLUMNS = {"pupil": np.int64, "school": np.int64, "half_term": np.int64, "window_absence": np.float64, "referral_day": np.int64, "consent": np.bool_,
           "started": np.bool_, "start_day": np.int64, "weeks": np.int64}


@dataclass
class Referred:
    """Pupils referred so far, in the order in which they were.

    ``columns`` holds an array for each of ``COLUMNS``; ``places`` holds, by mentor, the days (since 1970) on which supports that
    were given out end.
    """

    columns: dict[str, np.ndarray] = field(default_factory=lambda: {name: np.zeros(0, dtype=kind) for name, kind in COLUMNS.items()})
    places: dict[int, list[int]] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.columns["pupil"])

    def __getitem__(self, name: str) -> np.ndarray:
        return self.columns[name]

    def add(self, **columns: np.ndarray) -> None:
        """Add referrals, a column each."""
        self.columns = {name: np.concatenate([known, columns[name]]).astype(COLUMNS[name], copy=False) for name, known in self.columns.items()}

    def frame(self) -> pd.DataFrame:
        """All referrals as a frame."""
        return pd.DataFrame(self.columns)


@dataclass(frozen=True)
class Lots:
    """Random numbers of the referrals of one window: ``keys`` (Gumbel) one a candidate; ``consents``, ``starts`` (uniform), ``referral``
    (school day of the half-term), ``wait`` (school days until support) and ``weeks`` (of support) one a pupil referred; school by school."""

    keys: np.ndarray
    consents: np.ndarray
    starts: np.ndarray
    referral: np.ndarray
    wait: np.ndarray
    weeks: np.ndarray


# Draws the numbers of a window: called with the window, the schools, their candidates, the pupils each refers, and the days in which referrals are made.
DrawLots = Callable[[int, np.ndarray, np.ndarray, np.ndarray, int], Lots]


def lots_by_school(section: SimulationSection, seed: int) -> DrawLots:
    """A stream of random numbers for each school and window, so that changing one school leaves the others."""
    def draw(window: int, schools: np.ndarray, candidates: np.ndarray, referred: np.ndarray, days: int) -> Lots:
        parts = [_lots(section, stream(seed, "referral", window, int(school)), *numbers, days)
                 for school, *numbers in zip(schools, candidates, referred, strict=True)]
        return Lots(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    return draw


def lots_by_window(section: SimulationSection, seed: int) -> DrawLots:
    """One stream of random numbers for each window: the same distribution, in less time."""
    def draw(window: int, schools: np.ndarray, candidates: np.ndarray, referred: np.ndarray, days: int) -> Lots:
        return Lots(*_lots(section, stream(seed, "referral", window), int(candidates.sum()), int(referred.sum()), days))

    return draw


def _lots(section: SimulationSection, rng: np.random.Generator, candidates: int, referred: int, days: int) -> tuple[np.ndarray, ...]:
    shortest, longest = section.support.weeks
    return (rng.gumbel(size=candidates), rng.random(referred), rng.random(referred), rng.integers(0, days, referred),
            rng.integers(*FIRST_MEETING_DAYS, referred), rng.integers(shortest, longest + 1, referred))


def refer(section: SimulationSection, schools: Schools, pupils: Pupils, window: int, possible: np.ndarray, absent: np.ndarray,
          met_before: np.ndarray, done: Referred, now: Days, dates: np.ndarray, draw_lots: DrawLots) -> None:
    """Refer pupils at the start of the half-term after ``window``, adding to ``done``.

    Parameters
    ----------
    possible, absent : ndarray
        Sessions of every pupil in the window, without support (nobody here has had any).
    met_before : ndarray of bool
        Who had met the rule since the school's area opened.
    now : Days
        The half-term after the window.
    dates : ndarray of datetime64
        All school days of the study.
    draw_lots : callable
        :func:`lots_by_school` or :func:`lots_by_window`.
    """
    design = section.referral
    if not schools.mentored.any():
        return
    able, school, rate = _candidates(section, schools, pupils, window, possible, absent, done)
    weights = _inclination_to_refer(section, pupils, able, window, rate) + np.log(np.where(met_before[able], max(design.again_weight, 1e-12), 1.0))
    numbers = np.flatnonzero(schools.mentored)
    have = np.bincount(school, minlength=len(schools))[numbers]
    refers = np.minimum(have, design.per_school)
    lots = draw_lots(window, numbers, have, refers, min(REFERRAL_DAYS, len(now)))
    picked = top_choices(weights, lots.keys, school, design.per_school)
    chosen, at = able[picked], school[picked]
    consent = lots.consents < design.consent_share
    started = consent & (lots.starts < design.start_share)
    referral = now.positions[lots.referral]
    dates = dates.astype("datetime64[D]").astype(int)
    begin = np.minimum(referral + lots.wait, len(dates) - 1)
    begin = _give_places(section, done, schools.mentor[at], np.where(started, begin, -1), lots.weeks, dates, int(dates[now.positions[0]]), at)
    done.add(pupil=chosen, school=at, half_term=np.full(len(chosen), window + 1), window_absence=100 * rate[picked], referral_day=referral,
             consent=consent, started=begin >= 0, start_day=begin, weeks=lots.weeks)


def _candidates(section: SimulationSection, schools: Schools, pupils: Pupils, window: int, possible: np.ndarray, absent: np.ndarray,
                done: Referred) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pupils who may be referred after a window, their schools, and the share of sessions they were absent."""
    start = window + 1
    able = np.flatnonzero((possible >= LEAST_SESSIONS) & (100 * absent >= section.referral.eligible_absence * possible))
    school = pupils.school[able, start - 1]
    keep = (pupils.entry[able] <= window) & (pupils.exit[able] >= start) & (pupils.year_group[able, academic_year_of(start)] > 0)
    keep &= schools.mentored[school] & (start >= schools.opens[school]) & (pupils.school[able, window - 1] == school)
    known = np.zeros(len(pupils), dtype=bool)
    known[done["pupil"]] = True
    keep &= (pupils.moves.half_term[able] != start) & ~known[able]
    able, school = able[keep], school[keep]
    return able, school, absent[able] / possible[able]


def _give_places(section: SimulationSection, done: Referred, mentors: np.ndarray, begin: np.ndarray, weeks: np.ndarray, dates: np.ndarray, since: int,
                 schools: np.ndarray) -> np.ndarray:
    """When support begins, given that a mentor has so many places: at once, when one falls free, or (-1) never.

    Schools ask one after another, each in order of the days on which support is wanted. ``begin``: positions in ``dates`` (days since
    1970); places that fell free before the day ``since`` are forgotten.
    """
    design, given = section.support, begin.tolist()
    order = np.lexsort((begin, schools))
    order, day = order[begin[order] >= 0].tolist(), dates.tolist()
    mentor, lasts = mentors.tolist(), (7 * weeks).tolist()
    for one in set(mentor):
        done.places[one] = sorted(end for end in done.places.get(one, []) if end > since)
    for one in order:
        ends, wanted = done.places[mentor[one]], day[given[one]]
        if len(ends) - bisect_right(ends, wanted) >= design.caseload:
            given[one] = bisect_left(day, ends[-design.caseload])
            if given[one] >= len(day) or day[given[one]] - wanted > 7 * design.longest_wait:
                given[one] = -1
                continue
        insort(ends, day[given[one]] + lasts[one])
    return np.array(given, dtype=np.int64)


def _inclination_to_refer(section: SimulationSection, pupils: Pupils, who: np.ndarray, window: int, rate: np.ndarray) -> np.ndarray:
    """Log odds weight of referring each pupil of ``who`` (absence in the window ``rate``) under the registered rule.

    ``level`` follows the lasting part, ``window`` the absence just seen; the two private rules follow what no register
    shows, the passing part three half-terms on: ``private_decline`` prefers pupils about to decline,
    ``private_engagement`` those about to improve.
    """
    design = section.referral
    if design.rule == "level":
        index = design.slope * (LEVEL_MIDPOINT - pupils.inclination[who])
    elif design.rule == "window":
        index = design.slope * (rate - WINDOW_MIDPOINT)
    else:
        ahead = min(window + 3, pupils.passing.shape[1]) - 1
        change = pupils.passing[who, ahead] - pupils.passing[who, window - 1]
        index = design.slope * (change if design.rule == "private_engagement" else -change)
    return -np.logaddexp(0.0, -index)


def effect_by_day(section: SimulationSection, schools: Schools, done: Referred, here: np.ndarray, dates: np.ndarray, now: Days) -> np.ndarray:
    """Effect of support on the started pupils at places ``here`` of ``done`` and each school day of a half-term, percentage
    points of sessions attended.

    Full during support, halving after it in every half-life; by severity in the window, delivery model and year.
    """
    design = section.support
    first = now.dates[0].astype("datetime64[D]")
    day = (now.dates.astype("datetime64[D]") - first).astype(np.float64)  # days since the half-term began
    begun = (dates[done["start_day"][here]].astype("datetime64[D]") - first).astype(np.float64)
    half_life = max(design.half_life * DAYS_A_HALF_LIFE_UNIT, LEAST_HALF_LIFE)
    ends = np.minimum(begun + 7.0 * done["weeks"][here], day[-1] + 1)  # later ends are all alike here, and would overflow
    decay = np.minimum(np.exp2(ends / half_life)[:, None] * np.exp2(-day / half_life)[None, :], 1.0)
    severity = np.array(design.severity_factors)[np.searchsorted(SEVERITY_EDGES, done["window_absence"][here], side="right")]
    factors = np.array([model.effect_factor for model in design.delivery_models])
    model = factors[schools.model[done["school"][here]]]
    year = np.where(done["half_term"][here] <= HALF_TERMS_A_YEAR, design.first_year_factor, 1.0)
    return np.where(day[None, :] >= begun[:, None], decay, 0.0) * (design.effect * severity * model * year)[:, None]
