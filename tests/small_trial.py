"""Small tables of a trial, written out by hand or drawn, for the tests of design and impact."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from evaluation.protocol.trial import CohortSection, ImpactSection, MatchingSection

PARAMS = Path(__file__).parents[1] / "params" / "attendance_mentors_trial.yaml"
POSSIBLE = 60
SECTIONS = {"cohort": CohortSection, "matching": MatchingSection, "impact": ImpactSection}


def section(name: str, **changes):
    """A section of the default study with some of its choices changed."""
    values = yaml.safe_load(PARAMS.read_text(encoding="utf-8"))[name]
    return SECTIONS[name].model_validate_json(json.dumps({**values, **changes}))


def year_of(half_term: int) -> str:
    first = 2022 + (half_term - 1) // 6
    return f"{first}/{(first + 1) % 100:02d}"


def school_list(**mentored: dict[str, int | None]) -> pd.DataFrame:
    """Schools by area: ``X={"M1": 6, "C1": None}`` is a school with mentors from half-term 6 and one without."""
    rows = [(name, f"School {name}", area, f"Area {area}", "secondary", opens is not None, opens)
            for area, schools in mentored.items() for name, opens in schools.items()]
    frame = pd.DataFrame(rows, columns=["school_id", "school_name", "area_code", "area_name", "phase", "mentor_school", "first_mentor_half_term"])
    return frame.astype({"first_mentor_half_term": "Int64"})


def panel_of(pupils: dict[str, dict], schools: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Panel and enrolments from ``{pupil: {"school", "year_group" (in the first year), "absent": [...]}}``.

    ``absent`` has one entry a half-term from 1: sessions absent of 60, or a pair (absent, possible), or None where not on roll.
    ``school`` may be a dict of half-term to school for movers.
    """
    area = schools.set_index("school_id")["area_code"]
    rows = []
    for pupil, said in pupils.items():
        for half_term, entry in enumerate(said["absent"], start=1):
            if entry is None:
                continue
            absent, possible = entry if isinstance(entry, tuple) else (entry, POSSIBLE)
            school = said["school"] if isinstance(said["school"], str) else said["school"][max(h for h in said["school"] if h <= half_term)]
            rows.append((pupil, half_term, year_of(half_term), school, area[school], said.get("year_group", 7) + (half_term - 1) // 6, absent, possible))
    columns = ["pupil_id", "half_term", "academic_year", "school_id", "area_code", "year_group", "harmonised_absent", "harmonised_possible"]
    panel = pd.DataFrame(rows, columns=columns)
    enrolments = panel.drop_duplicates(["pupil_id", "academic_year"])[["pupil_id", "academic_year", "school_id", "year_group"]]
    number = enrolments["pupil_id"].map({p: i for i, p in enumerate(pupils)})
    enrolments = enrolments.assign(sex=np.where(number % 2 == 0, "female", "male"), fsm=number % 3 == 0, sen=np.where(number % 5 == 0, "support", "none"), idaci=0.1 + (number % 7) / 20)
    return panel, enrolments


def referrals_of(*rows: tuple) -> pd.DataFrame:
    """Referrals from (pupil, school, half-term, started)."""
    return pd.DataFrame({
        "referral_id": [f"R{i:04d}" for i in range(len(rows))], "pupil_id": [r[0] for r in rows], "school_id": [r[1] for r in rows],
        "referral_date": pd.to_datetime([f"{2000 + r[2]}-01-01" for r in rows]), "referral_half_term": [r[2] for r in rows],
        "consented": [bool(r[3]) for r in rows], "started": [bool(r[3]) for r in rows]})


def drawn_trial(seed: int, *, pupils_per_school: int = 60, effect: float = 0.0, areas: int = 2, schools_per_arm: int = 3, pool_area: bool = True,
                referral: str = "random", referred_later: float = 0.0) -> dict[str, pd.DataFrame]:
    """A whole drawn trial: lasting and passing parts, referral of some who first meet the rule, an effect on those who start.

    ``effect`` is in percentage points of sessions attended. ``referral`` is "random", or "level" where pupils whose absence lasts are the
    likelier to be referred. ``referred_later`` is the share of those passed over who are referred two half-terms after their window.
    """
    draw, later_draw = np.random.default_rng(seed), np.random.default_rng([seed, 1])
    layout = {f"A{a}": {**{f"A{a}M{s}": 7 for s in range(schools_per_arm)}, **{f"A{a}C{s}": None for s in range(schools_per_arm)}} for a in range(areas)}
    if pool_area:
        layout["P"] = {f"PC{s}": None for s in range(2 * schools_per_arm)}
    schools = school_list(**layout)
    ids = np.repeat(schools["school_id"].to_numpy(), pupils_per_school)
    n = len(ids)
    lasting, passing = draw.normal(0, 0.9, n), np.empty((n, 18))
    passing[:, 0] = draw.normal(0, 0.8, n)
    for h in range(1, 18):
        passing[:, h] = 0.6 * passing[:, h - 1] + 0.8 * draw.normal(0, 0.8, n)
    chance = 1.0 / (1.0 + np.exp(-(2.9 + lasting[:, None] + passing)))
    absent = draw.binomial(POSSIBLE, 1.0 - chance)
    untreated = absent.copy()
    names = [f"P{i:05d}" for i in range(n)]
    mentor = schools.set_index("school_id").loc[ids, "mentor_school"].to_numpy()
    likely = np.full(n, 0.35) if referral == "random" else 1.0 / (1.0 + np.exp(0.5 + lasting))
    met, referrals = np.zeros(n, dtype=bool), []
    for t in range(6, 15):
        qualifies = 10 * untreated[:, t - 1] >= POSSIBLE
        first = mentor & qualifies & ~met
        chosen = np.flatnonzero(first & (draw.random(n) < likely))
        met |= qualifies
        for i in np.setdiff1d(np.flatnonzero(first & (later_draw.random(n) < referred_later)), chosen):
            referrals.append((names[i], ids[i], t + 2, True))
            absent[i, t + 1:] = np.maximum(untreated[i, t + 1:] - later_draw.binomial(POSSIBLE, effect / 100.0, 17 - t), 0)
        for i in chosen:
            started = bool(draw.random() < 0.7)
            referrals.append((names[i], ids[i], t + 1, started))
            if started:
                saved = draw.binomial(POSSIBLE, effect / 100.0, 18 - t)
                absent[i, t:] = np.maximum(untreated[i, t:] - saved, 0)
    pupils = {name: {"school": school, "year_group": 7 + i % 3, "absent": absent[i].tolist()} for i, (name, school) in enumerate(zip(names, ids, strict=True))}
    panel, enrolments = panel_of(pupils, schools)
    truth = pd.DataFrame({"pupil_id": np.repeat(names, 18), "half_term": np.tile(np.arange(1, 19), n), "possible": POSSIBLE, "absent": absent.ravel(),
                          "possible_untreated": POSSIBLE, "absent_untreated": untreated.ravel()})
    return {"panel": panel, "enrolments": enrolments, "schools": schools, "referrals": referrals_of(*referrals), "truth": truth}
