"""The programme's tables of a simulated study: referrals, meetings, barriers and surveys."""

from __future__ import annotations

import numpy as np
import pandas as pd

from evaluation.protocol.simulation import SimulatedScale, SimulationSection

from .people import Pupils, Schools
from .streams import stream



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


def started_only(referrals: pd.DataFrame) -> pd.DataFrame:
    """The referrals whose support began."""
    return referrals.loc[referrals["start_date"].notna()].reset_index(drop=True)


def meeting_table(section: SimulationSection, referrals: pd.DataFrame, days: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Weekly meetings of everyone in support, in the form of extract table ``meetings``; none falls in a holiday."""
    design = section.support
    rng = stream(seed, "meetings")
    started = started_only(referrals)
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
    mode = np.where(near, "in person", np.where(rng.random(count) < design.telephone_share, "telephone", "video"))
    kept = rng.random(count) < design.kept_share
    minutes = 5 * np.rint(rng.integers(design.meeting_minutes[0], design.meeting_minutes[1] + 1, count) / 5).astype(int)
    return pd.DataFrame({
        "meeting_id": [f"T{position + 1:06d}" for position in range(count)],
        "pupil_id": started["pupil_id"].to_numpy()[who],
        "mentor_id": started["mentor_id"].to_numpy()[who],
        "meeting_date": planned,
        "with_whom": whom, "mode": mode, "minutes": np.where(kept, minutes, 0), "kept": kept,
    })


def barrier_table(section: SimulationSection, referrals: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Barriers found for everyone in support, each kind once, in the form of extract table ``barriers``."""
    design, rng = section.barriers, stream(seed, "barriers")
    started = started_only(referrals)
    kinds = np.array(list(design.share), dtype=object)
    share = np.array(list(design.share.values()))
    keys = np.log(np.maximum(share, 1e-12))[None, :] + rng.gumbel(size=(len(started), len(kinds)))  # draws without replacement
    ranked = np.argsort(-keys, axis=1)
    number = rng.integers(1, min(design.most, len(kinds)) + 1, len(started))
    who, place = np.nonzero(np.arange(len(kinds))[None, :] < number[:, None])
    length = (started["end_date"] - started["start_date"]).dt.days.to_numpy(dtype=int)[who]
    assessed = started["start_date"].to_numpy()[who] + np.minimum(rng.integers(0, section.support.settling_days, len(who)), length).astype("timedelta64[D]")
    ends = started["end_date"].to_numpy()[who]
    span = ((ends - assessed) / np.timedelta64(1, "D")).astype(int)
    resolved = assessed + (rng.random(len(who)) * (span + 1)).astype("timedelta64[D]")
    return pd.DataFrame({
        "barrier_id": [f"B{position + 1:06d}" for position in range(len(who))],
        "pupil_id": started["pupil_id"].to_numpy()[who],
        "barrier_type": kinds[ranked[who, place]],
        "assessed_on": assessed,
        "resolved_on": pd.Series(resolved).where(rng.random(len(who)) < design.resolved_share),
    })


def scale_table(section: SimulationSection) -> pd.DataFrame:
    """The items of every scale, in the form of extract table ``survey_scales``."""
    return pd.DataFrame([{
        "scale": scale.scale, "item": item.item, "wording": item.wording, "reverse": item.reverse, "lowest": scale.lowest,
        "highest": scale.highest, "minimum_items": scale.minimum_items,
    } for scale in section.survey.scales for item in scale.items]).sort_values(["scale", "item"], ignore_index=True)


def survey_table(section: SimulationSection, referrals: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Answers of pupils in support, in the form of extract table ``survey_items``: before support, and after it by some of these."""
    design, within = section.survey, section.support.settling_days
    rng = stream(seed, "survey")
    started = started_only(referrals)
    before = rng.random(len(started)) < design.answers_before
    after = before & (rng.random(len(started)) < design.answers_after)
    early = started["start_date"].to_numpy() + rng.integers(0, within, len(started)).astype("timedelta64[D]")
    late = started["end_date"].to_numpy() - rng.integers(0, within, len(started)).astype("timedelta64[D]")
    after &= late > early
    parts = []
    for scale in design.scales:
        level = scale.mean + scale.pupil_spread * rng.standard_normal(len(started))
        for wave, answered, day, change in (("baseline", before, early, 0.0), ("follow-up", after, late, scale.change)):
            parts += _answers(scale, level + change, answered, started["pupil_id"].to_numpy(), wave, day, design.item_left_out, rng)
    table = pd.concat(parts, ignore_index=True)
    return table.sort_values(["pupil_id", "wave", "scale", "item"], ignore_index=True)


def _answers(scale: SimulatedScale, level: np.ndarray, answered: np.ndarray, pupils: np.ndarray, wave: str, day: np.ndarray, left_out: float,
             rng: np.random.Generator) -> list[pd.DataFrame]:
    """One frame an item."""
    parts = []
    for item in scale.items:
        said = np.clip(np.rint(level + scale.item_spread * rng.standard_normal(len(level))), scale.lowest, scale.highest)
        said = scale.lowest + scale.highest - said if item.reverse else said
        given = pd.Series(said).where(rng.random(len(level)) >= left_out)[answered]
        parts.append(pd.DataFrame({"pupil_id": pupils[answered], "wave": wave, "answered_on": day[answered], "scale": scale.scale,
                                   "item": item.item, "response": given.astype("Int64").to_numpy()}))
    return parts
