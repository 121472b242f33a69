"""Referral to mentors, their caseloads, and the true effect of support."""

from __future__ import annotations

from bisect import bisect_right, insort
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from evaluation.protocol.simulation import SimulationSection
from evaluation.registers.calendar import HALF_TERMS_A_YEAR

from .attendance import Days
from .people import Pupils, Schools, academic_year_of
from .streams import stream, top_choice

SEVERITY_EDGES = (20.0, 50.0)  # % of possible sessions absent in the window
DAYS_A_HALF_LIFE_UNIT = 42     # a half-term of six weeks
REFERRAL_DAYS = 8              # referrals are made within the first school days of the half-term after the window
FIRST_MEETING_DAYS = (5, 15)   # school days between referral and the start of support
LEAST_SESSIONS = 20            # possible sessions in the window below which nobody is referred
LEVEL_MIDPOINT, WINDOW_MIDPOINT = 0.0, 0.20


@dataclass
class Referred:
    """Pupils referred so far, one list element each; days are positions in the list of school days (-1: none).

    ``places`` holds, by mentor, the days (since 1970) on which supports that were given out end.
    """

    pupil: list[int] = field(default_factory=list)
    school: list[int] = field(default_factory=list)
    half_term: list[int] = field(default_factory=list)
    window_absence: list[float] = field(default_factory=list)
    referral_day: list[int] = field(default_factory=list)
    consent: list[bool] = field(default_factory=list)
    started: list[bool] = field(default_factory=list)
    start_day: list[int] = field(default_factory=list)
    weeks: list[int] = field(default_factory=list)
    places: dict[int, list[int]] = field(default_factory=dict, repr=False)

    def frame(self) -> pd.DataFrame:
        """All referrals as a frame, in the order in which they were made."""
        return pd.DataFrame({name: values for name, values in self.__dict__.items() if name != "places"}).astype({"consent": bool, "started": bool, "window_absence": float} | {
            name: "int64" for name in ("pupil", "school", "half_term", "referral_day", "start_day", "weeks")})


def refer(section: SimulationSection, schools: Schools, pupils: Pupils, window: int, possible: np.ndarray, absent: np.ndarray,
          met_before: np.ndarray, done: Referred, days: pd.DataFrame, seed: int) -> None:
    """Refer pupils at the start of the half-term after ``window``, adding to ``done``.

    Parameters
    ----------
    possible, absent : ndarray
        Sessions of every pupil in the window, without support (nobody here has had any).
    met_before : ndarray of bool
        Who had met the rule since the school's area opened.
    days : DataFrame
        All school days of the study with ``half_term``.
    """
    design = section.referral
    start = window + 1
    year = academic_year_of(start)
    able = np.flatnonzero((possible >= LEAST_SESSIONS) & (100 * absent >= design.eligible_absence * possible))
    school = pupils.school[able, start - 1]
    keep = (pupils.entry[able] <= window) & (pupils.exit[able] >= start) & (pupils.year_group[able, year] > 0)
    keep &= schools.mentored[school] & (start >= schools.opens[school]) & (pupils.school[able, window - 1] == school)
    keep &= (pupils.moves.half_term[able] != start) & ~np.isin(able, done.pupil)
    able, school = able[keep], school[keep]
    rate = absent[able] / possible[able]
    weights = _inclination_to_refer(section, pupils, able, window, rate) + np.log(np.where(met_before[able], max(design.again_weight, 1e-12), 1.0))
    order = np.argsort(school, kind="stable")
    edges = np.searchsorted(school[order], np.arange(len(schools) + 1))
    dates = days["date"].to_numpy().astype("datetime64[D]").astype(int)
    open_days = np.flatnonzero(days["half_term"].to_numpy() == start)
    for number in np.flatnonzero(schools.mentored):
        candidates = order[edges[number] : edges[number + 1]]
        rng = stream(seed, "referral", window, int(number))
        picked = candidates[top_choice(weights[candidates], design.per_school, rng)]
        chosen = able[picked]
        consent = rng.random(len(chosen)) < design.consent_share
        started = consent & (rng.random(len(chosen)) < design.start_share)
        referral = open_days[rng.integers(0, min(REFERRAL_DAYS, len(open_days)), len(chosen))]
        begin = np.minimum(referral + rng.integers(*FIRST_MEETING_DAYS, len(chosen)), len(days) - 1)
        weeks = rng.integers(section.support.weeks[0], section.support.weeks[1] + 1, len(chosen))
        begin = _give_places(section, done, int(schools.mentor[number]), np.where(started, begin, -1), weeks, dates, int(dates[open_days[0]]))
        done.pupil += chosen.tolist()
        done.school += [int(number)] * len(chosen)
        done.half_term += [start] * len(chosen)
        done.window_absence += (100 * rate[picked]).tolist()
        done.referral_day += referral.tolist()
        done.consent += consent.tolist()
        done.started += (begin >= 0).tolist()
        done.start_day += begin.tolist()
        done.weeks += weeks.tolist()


def _give_places(section: SimulationSection, done: Referred, mentor: int, begin: np.ndarray, weeks: np.ndarray, dates: np.ndarray, since: int) -> np.ndarray:
    """When support begins, given that a mentor has so many places: at once, when one falls free, or (-1) never.

    ``begin``: positions in ``dates`` (days since 1970); places that fell free before the day ``since`` are forgotten.
    """
    design, given = section.support, begin.copy()
    ends = done.places[mentor] = sorted(end for end in done.places.get(mentor, []) if end > since)
    for one in np.argsort(begin, kind="stable"):
        if begin[one] < 0:
            continue
        if len(ends) - bisect_right(ends, dates[begin[one]]) >= design.caseload:
            given[one] = np.searchsorted(dates, ends[-design.caseload])
            if given[one] >= len(dates) or dates[given[one]] - dates[begin[one]] > 7 * design.longest_wait:
                given[one] = -1
                continue
        insort(ends, int(dates[given[one]] + 7 * weeks[one]))
    return given


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
    begun = dates[np.array(done.start_day)[here]]
    since_start = (now.dates[None, :] - begun[:, None]) / np.timedelta64(1, "D")
    after_end = np.maximum(since_start - 7.0 * np.array(done.weeks)[here, None], 0.0)
    decay = np.exp2(-after_end / (design.half_life * DAYS_A_HALF_LIFE_UNIT))
    severity = np.array(design.severity_factors)[np.searchsorted(SEVERITY_EDGES, np.array(done.window_absence)[here], side="right")]
    factors = np.array([model.effect_factor for model in design.delivery_models])
    model = factors[schools.model[np.array(done.school)[here]]]
    year = np.where(np.array(done.half_term)[here] <= HALF_TERMS_A_YEAR, design.first_year_factor, 1.0)
    return np.where(since_start >= 0, decay, 0.0) * (design.effect * severity * model * year)[:, None]
