"""Sessions of one half-term: who is absent, with and without support, and the code that the register shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evaluation.protocol.simulation import SimulatedPhase, SimulatedReasons, SimulationSection
from evaluation.registers.codes import attendance_codes

from .attendance import Days, closures, kept_share, log_odds, lost_registers, mean_absence, pattern, suspended_days
from .people import LAST_YEAR_GROUP, PHASES, Pupils, Schools
from .streams import stream

CODES = ("/", "\\", "L", "B", "V", "P", "W", "K", "J", "J1", "M", "E", "I", "O", "G", "C", "C2", "U", "N", "R", "S", "Y", "Y4", "D", "-")
NUMBER = {code: position for position, code in enumerate(CODES)}
OFF_ROLL = 255
PRESENT = np.isin(CODES, ["/", "\\", "L", "B", "V", "P", "W", "K"])
REASONS = ("I", "O", "G", "C", "C2", "U", "N", "R", "S")
WITHOUT_LEAVE = ("O", "G", "U", "N")
AUTHORISED, UNAUTHORISED, POSSIBLE = 1, 1 << 8, 1 << 16  # packed sums: no half-term has 256 sessions


@dataclass(frozen=True)
class HalfTerm:
    """One half-term of marks for the pupils ``rows`` (positions), and what would have happened without support.

    ``codes``: pupils x days x 2 (uint8, positions in ``CODES``). ``possible``, ``absent`` and ``absent_untreated`` are by
    the harmonised definition: an interview counts as attending, gaps and closures are no possible sessions.
    ``authorised`` and ``unauthorised`` are by the definition in force. ``suspended``: positions in ``rows``, first
    school day, sessions coded E.
    """

    rows: np.ndarray
    codes: np.ndarray
    possible: np.ndarray
    absent: np.ndarray
    absent_untreated: np.ndarray
    authorised: np.ndarray
    unauthorised: np.ndarray
    suspended: tuple[np.ndarray, np.ndarray, np.ndarray]


def draw_half_term(section: SimulationSection, schools: Schools, pupils: Pupils, phase: int, days: Days, support: np.ndarray | None,
                   supported: np.ndarray, seed: int) -> HalfTerm:
    """Draw the marks of one half-term for the pupils of one phase.

    Parameters
    ----------
    support : ndarray or None
        Effect of support by supported pupil and day, percentage points of sessions.
    supported : ndarray
        Positions of the pupils in ``support``, in ascending order, all of this phase and on roll in this half-term.

    Notes
    -----
    The same uniform numbers decide a session with and without support: a session is absent when its number lies
    below the pupil's probability of absence, and support lowers the probability alone. Medical appointments,
    suspensions and interviews come first and are never changed by support.
    """
    design = section.phase(PHASES[phase])
    rows = pupils.on_roll(days.half_term)
    rows = rows[pupils.phase[rows] == phase]
    odds, shape = log_odds(section, design, schools, pupils, rows, days), pattern(design, days)
    mean = mean_absence(odds, shape)
    rng = stream(seed, "sessions", days.half_term, phase)
    luck = _luck(rng, len(rows), len(days), design.attendance.same_day_share)
    tilted = luck * (1.0 + np.exp(odds)[:, None, None] * np.exp(shape)[None, :, :])  # below 1 where luck is below the probability of absence
    absent = tilted < 1.0
    spared = lost = np.zeros((0, 2), dtype=int)
    if support is not None and len(supported):
        at = np.searchsorted(rows, supported)
        treated = tilted[at] < kept_share(support, mean[at])[:, :, None].astype(np.float32)
        spared, lost = (_cells(at, absent[at] & ~treated, absent.shape), _cells(at, treated & ~absent[at], absent.shape))
        absent[at] = treated
    codes = _present(design.reasons, days, len(rows), stream(seed, "present", days.half_term, phase))
    reason = stream(seed, "reasons", days.half_term, phase).random((len(rows), len(days)), dtype=np.float32)
    who, day, session = np.nonzero(absent)
    codes[who, day, session] = reason_codes(design.reasons, pupils.part_time[rows], odds, who, reason[who, day], days.changed[day])
    _events(design.reasons, pupils.year_group[rows, days.year] == LAST_YEAR_GROUP, days, codes, stream(seed, "events", days.half_term, phase))
    who, first, last = suspended_days(design, pupils, rows, mean, days, seed)
    for pupil, begin, end in zip(who, first, last, strict=True):
        codes[pupil, begin:end] = NUMBER["E"]
    _shut(section, schools, pupils, rows, days, codes, seed)
    sessions = np.array([(codes[p, a:b] == NUMBER["E"]).sum() for p, a, b in zip(who, first, last, strict=True)], dtype=int)
    possible, authorised, unauthorised = tallies(codes, days)
    interviews = _where(codes, NUMBER["J1"]) if days.changed.any() else np.zeros(len(rows), dtype=int)
    here = authorised + unauthorised - interviews
    flat = codes.reshape(len(rows), -1)
    back = np.bincount(spared[:, 0], weights=PRESENT[flat[spared[:, 0], spared[:, 1]]], minlength=len(rows)).astype(int)
    gone = np.bincount(lost[:, 0], weights=np.isin(flat[lost[:, 0], lost[:, 1]], [NUMBER[c] for c in REASONS]), minlength=len(rows)).astype(int)
    return HalfTerm(rows, codes, possible, here, here + back - gone, authorised, unauthorised, (who, first, sessions))


def tallies(codes: np.ndarray, days: Days) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Possible, authorised and unauthorised sessions of each pupil by the definition in force, from codes pupils x days x 2.

    A code change always falls between half-terms, so that one class holds for all of its days.
    """
    day = days.dates[0].astype("datetime64[D]").item()
    weights = np.zeros(256, dtype=np.uint32)
    for code, number in NUMBER.items():
        kind = attendance_codes()[code].class_on(day)
        weights[number] = {"authorised_absence": POSSIBLE + AUTHORISED, "unauthorised_absence": POSSIBLE + UNAUTHORISED, "attending": POSSIBLE,
                           "approved_educational_activity": POSSIBLE}.get(kind or "", 0)
    packed = weights[codes].reshape(len(codes), -1).sum(axis=1, dtype=np.int64)
    return packed >> 16, packed & 0xFF, (packed >> 8) & 0xFF


def _luck(rng: np.random.Generator, count: int, length: int, same: float) -> np.ndarray:
    """Uniform numbers, pupils x days x 2; the afternoon repeats the morning's on the share ``same`` of days."""
    luck = np.empty((count, length, 2), dtype=np.float32)
    morning, fresh = rng.random((count, length), dtype=np.float32), rng.random((count, length), dtype=np.float32)
    luck[:, :, 0] = morning
    luck[:, :, 1] = np.where(fresh < np.float32(same), morning, (fresh - np.float32(same)) / np.float32(max(1 - same, 1e-6)))
    return luck


def _cells(at: np.ndarray, chosen: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Row and position within the row of chosen sessions of the rows ``at``."""
    who, day, session = np.nonzero(chosen)
    return np.stack([at[who], day * shape[2] + session], axis=1)


def _some(rng: np.random.Generator, size: int, rate: float) -> np.ndarray:
    """Positions below ``size``, each chosen independently with probability ``rate``; a position may be there twice.

    A Poisson number of uniform positions hits each cell at least once with probability ``1 - exp(-number / size)``.
    """
    return rng.integers(0, max(size, 1), rng.poisson(-size * np.log1p(-rate))) if size and rate else np.zeros(0, dtype=int)


def _present(reasons: SimulatedReasons, days: Days, count: int, rng: np.random.Generator) -> np.ndarray:
    """Codes of pupils who are all there: present, late, or on an approved activity."""
    length = len(days)
    codes = np.empty((count, length, 2), dtype=np.uint8)
    codes[:, :, 0], codes[:, :, 1] = NUMBER["/"], NUMBER["\\"]
    morning = 2 * reasons.late * reasons.late_morning_share / 100
    flat = codes.reshape(-1)
    for session, rate in ((0, morning), (1, 2 * reasons.late / 100 - morning)):
        flat[2 * _some(rng, count * length, rate) + session] = NUMBER["L"]
    for code, rate in reasons.approved.items():
        chosen = _some(rng, flat.size, rate / 100)
        if code == "K":
            chosen = chosen[days.changed[chosen // 2 % length]]
        flat[chosen] = NUMBER[code]
    return codes


def _events(reasons: SimulatedReasons, year_11: np.ndarray, days: Days, codes: np.ndarray, rng: np.random.Generator) -> None:
    """Write medical appointments over ``codes``, and interviews of Year 11."""
    flat, a_pupil = codes.reshape(-1), 2 * len(days)
    flat[_some(rng, flat.size, reasons.medical / 100)] = NUMBER["M"]
    older = np.flatnonzero(year_11)
    chosen = _some(rng, len(older) * a_pupil, reasons.interview / 100)
    within = chosen % a_pupil
    flat[older[chosen // a_pupil] * a_pupil + within] = np.where(days.changed[within // 2], NUMBER["J1"], NUMBER["J"])


def _shut(section: SimulationSection, schools: Schools, pupils: Pupils, rows: np.ndarray, days: Days, codes: np.ndarray, seed: int) -> None:
    """Write closures of whole schools and registers that were not taken over ``codes``."""
    school = pupils.school[rows, days.half_term - 1]
    group = pupils.year_group[rows, days.year] - schools.first_group[school]
    order = np.argsort(school, kind="stable")
    edges = np.searchsorted(school[order], np.arange(len(schools) + 1))
    for place, register, day, session in np.argwhere(lost_registers(section, schools, days, seed)):
        here = order[edges[place] : edges[place + 1]]
        codes[here[group[here] == register], day, session] = NUMBER["-"]
    for place, day in np.argwhere(closures(section, schools, days, seed)):
        codes[order[edges[place] : edges[place + 1]], day] = NUMBER["Y4"] if days.changed[day] else NUMBER["Y"]


def _where(codes: np.ndarray, number: int) -> np.ndarray:
    """How many sessions of each pupil have one code."""
    return np.bincount(np.flatnonzero(codes.reshape(-1) == number) // codes[0].size, minlength=len(codes)) if len(codes) else np.zeros(0, dtype=int)


def reason_codes(reasons: SimulatedReasons, part_time: np.ndarray, odds: np.ndarray, who: np.ndarray, draw: np.ndarray,
                 changed: np.ndarray) -> np.ndarray:
    """Code of each absent session: illness leads where attendance is good, absence without leave where it is poor.

    Parameters
    ----------
    part_time, odds : ndarray
        By pupil: whether circumstances (C) are a part-time timetable (C2 once codes have changed), and log odds of attending.
    who, draw, changed : ndarray
        By absent session: the pupil, a uniform number, and whether codes had changed.
    """
    names = list(reasons.absence)
    rates = np.array([reasons.absence[name] for name in names])
    tilt = reasons.unauthorised_tilt * (reasons.unauthorised_reference - odds)
    weights = rates[None, :] * np.exp(np.where(np.isin(names, WITHOUT_LEAVE)[None, :], tilt[:, None], 0.0))
    edges = (np.cumsum(weights, axis=1) / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    chosen = np.zeros(len(who), dtype=np.uint8)
    for column in range(len(names) - 1):
        chosen += draw >= edges[who, column]
    codes = np.array([NUMBER[name] for name in names], dtype=np.uint8)[chosen]
    codes[(codes == NUMBER["C"]) & part_time[who] & changed] = NUMBER["C2"]
    return codes
