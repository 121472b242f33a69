"""Referral to mentors, support and its true effect, and the meetings that mentors plan."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from evaluation.protocol.simulation import SimulationSection
from evaluation.registers.calendar import HALF_TERMS_A_YEAR

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
    """Pupils referred so far, one list element each; days are positions in the list of school days (-1: none)."""

    pupil: list[int] = field(default_factory=list)
    school: list[int] = field(default_factory=list)
    half_term: list[int] = field(default_factory=list)
    window_absence: list[float] = field(default_factory=list)
    referral_day: list[int] = field(default_factory=list)
    consent: list[bool] = field(default_factory=list)
    started: list[bool] = field(default_factory=list)
    start_day: list[int] = field(default_factory=list)
    weeks: list[int] = field(default_factory=list)

    def frame(self) -> pd.DataFrame:
        """All referrals as a frame, in the order in which they were made."""
        return pd.DataFrame(self.__dict__).astype({"consent": bool, "started": bool, "window_absence": float} | {
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
    school = pupils.school[:, year]
    rate = np.where(possible > 0, absent / np.maximum(possible, 1), 0.0)
    able = (possible >= LEAST_SESSIONS) & (100 * absent >= design.eligible_absence * possible)
    able &= (pupils.entry <= window) & (pupils.exit >= start) & (pupils.year_group[:, year] > 0)
    able &= schools.mentored[school] & (start >= schools.opens[school]) & (pupils.school[:, academic_year_of(window)] == school)
    able[done.pupil] = False
    weights = _inclination_to_refer(section, pupils, window, rate)
    weights = np.where(met_before, weights + np.log(max(design.again_weight, 1e-12)), weights)
    open_days = days.index[days["half_term"] == start].to_numpy()
    for number in np.flatnonzero(schools.mentored):
        candidates = np.flatnonzero(able & (school == number))
        rng = stream(seed, "referral", window, int(number))
        chosen = candidates[top_choice(weights[candidates], design.per_school, rng)]
        consent = rng.random(len(chosen)) < design.consent_share
        started = consent & (rng.random(len(chosen)) < design.start_share)
        referral = open_days[rng.integers(0, min(REFERRAL_DAYS, len(open_days)), len(chosen))]
        begin = np.minimum(referral + rng.integers(*FIRST_MEETING_DAYS, len(chosen)), len(days) - 1)
        weeks = rng.integers(section.support.weeks[0], section.support.weeks[1] + 1, len(chosen))
        done.pupil += chosen.tolist()
        done.school += [int(number)] * len(chosen)
        done.half_term += [start] * len(chosen)
        done.window_absence += (100 * rate[chosen]).tolist()
        done.referral_day += referral.tolist()
        done.consent += consent.tolist()
        done.started += started.tolist()
        done.start_day += np.where(started, begin, -1).tolist()
        done.weeks += weeks.tolist()


def _inclination_to_refer(section: SimulationSection, pupils: Pupils, window: int, rate: np.ndarray) -> np.ndarray:
    """Log odds weight of referring each pupil under the registered rule.

    ``level`` follows the lasting part, ``window`` the absence just seen; the two private rules follow what no register
    shows, the passing part three half-terms on: ``private_decline`` prefers pupils about to decline,
    ``private_engagement`` those about to improve.
    """
    design = section.referral
    if design.rule == "level":
        index = design.slope * (LEVEL_MIDPOINT - pupils.inclination)
    elif design.rule == "window":
        index = design.slope * (rate - WINDOW_MIDPOINT)
    else:
        ahead = min(window + 3, pupils.passing.shape[1]) - 1
        change = pupils.passing[:, ahead] - pupils.passing[:, window - 1]
        index = design.slope * (change if design.rule == "private_engagement" else -change)
    return -np.logaddexp(0.0, -index)


def effect_by_day(section: SimulationSection, schools: Schools, referred: pd.DataFrame, days: pd.DataFrame, half_term: int) -> np.ndarray:
    """Effect of support on each started pupil and school day of a half-term, percentage points of sessions attended.

    Full during support, halving after it in every half-life; by severity in the window, delivery model and year.
    """
    design = section.support
    now = days.loc[days["half_term"] == half_term]
    dates = days["date"].to_numpy()
    begun = dates[referred["start_day"].to_numpy()]
    since_start = (now["date"].to_numpy()[None, :] - begun[:, None]) / np.timedelta64(1, "D")
    after_end = np.maximum(since_start - 7.0 * referred["weeks"].to_numpy()[:, None], 0.0)
    decay = 0.5 ** (after_end / (design.half_life * DAYS_A_HALF_LIFE_UNIT))
    severity = np.array(design.severity_factors)[np.searchsorted(SEVERITY_EDGES, referred["window_absence"].to_numpy(), side="right")]
    factors = np.array([model.effect_factor for model in design.delivery_models])
    model = factors[schools.model[referred["school"].to_numpy()]]
    year = np.where(referred["half_term"].to_numpy() <= HALF_TERMS_A_YEAR, design.first_year_factor, 1.0)
    return np.where(since_start >= 0, decay, 0.0) * (design.effect * severity * model * year)[:, None]


def referral_table(section: SimulationSection, schools: Schools, pupils: Pupils, referred: pd.DataFrame, days: pd.DataFrame,
                   names: np.ndarray, school_ids: list[str]) -> pd.DataFrame:
    """Referrals in the form of extract table ``referrals``; support ends when the pupil leaves or the study's calendar does."""
    dates = days["date"]
    last_day = days.groupby("half_term")["date"].max()
    leaves = last_day.loc[pupils.exit[referred["pupil"]]].to_numpy()
    begun = dates.to_numpy()[referred["start_day"]]
    end = np.minimum(begun + (7 * referred["weeks"].to_numpy()).astype("timedelta64[D]"), leaves)
    started = referred["started"].to_numpy()
    models = np.array([model.name for model in section.support.delivery_models], dtype=object)
    school = referred["school"].to_numpy()
    mentors = np.array([f"M{number + 1:03d}" for number in range(schools.mentor.max() + 1)] or [""], dtype=object)
    return pd.DataFrame({
        "referral_id": [f"R{position + 1:05d}" for position in range(len(referred))],
        "pupil_id": names[referred["pupil"]],
        "school_id": np.array(school_ids, dtype=object)[school],
        "referral_date": dates.to_numpy()[referred["referral_day"]],
        "consent": referred["consent"].to_numpy(),
        "start_date": pd.Series(begun).where(started),
        "end_date": pd.Series(end).where(started),
        "delivery_model": np.where(started, models[schools.model[school]], None),
        "mentor_id": np.where(started, mentors[schools.mentor[school]], None),
    })


def meeting_table(section: SimulationSection, referrals: pd.DataFrame, days: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Weekly meetings of everyone in support, in the form of extract table ``meetings``; none falls in a holiday."""
    design = section.support
    rng = stream(seed, "meetings")
    started = referrals.loc[referrals["start_date"].notna()].reset_index(drop=True)
    weeks = ((started["end_date"] - started["start_date"]).dt.days // 7 + 1).to_numpy(dtype=int)
    who = np.repeat(np.arange(len(started)), weeks)
    week = np.arange(len(who)) - np.repeat(np.cumsum(weeks) - weeks, weeks)
    planned = started["start_date"].to_numpy()[who] + (7 * week).astype("timedelta64[D]")
    open_day = np.isin(planned, days["date"].to_numpy())
    who, planned = who[open_day], planned[open_day]
    count = len(who)
    people = list(design.with_whom)
    share = np.array([design.with_whom[name] for name in people])
    whom = np.array(people, dtype=object)[rng.choice(len(people), size=count, p=share / share.sum())]
    in_person = {model.name: model.in_person_share for model in design.delivery_models}
    near = rng.random(count) < started["delivery_model"].map(in_person).to_numpy(dtype=float)[who]
    mode = np.where(near, "in person", np.where(rng.random(count) < 0.7, "telephone", "video"))
    kept = rng.random(count) < design.kept_share
    minutes = 5 * np.rint(rng.integers(design.meeting_minutes[0], design.meeting_minutes[1] + 1, count) / 5).astype(int)
    return pd.DataFrame({
        "meeting_id": [f"T{position + 1:06d}" for position in range(count)],
        "pupil_id": started["pupil_id"].to_numpy()[who],
        "mentor_id": started["mentor_id"].to_numpy()[who],
        "meeting_date": planned,
        "with_whom": whom, "mode": mode, "minutes": np.where(kept, minutes, 0), "kept": kept,
    })
