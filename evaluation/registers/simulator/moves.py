"""Changes of school: in September, within a year, and registration at two schools at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from evaluation.protocol.simulation import SimulatedRoll

if TYPE_CHECKING:
    from .people import Schools

@dataclass(frozen=True)
class Moves:
    """Pupils who change school within a year, and pupils with two schools at once; one element a pupil, 0 or -1 where none.

    ``half_term`` is when a pupil moves to school ``to``, after the share ``through`` of its school days.
    ``second`` is the second school of a dually registered pupil, from half-term ``begins`` to ``ends``.
    """

    half_term: np.ndarray
    to: np.ndarray
    through: np.ndarray
    second: np.ndarray
    begins: np.ndarray
    ends: np.ndarray

    def day(self, pupils: np.ndarray, length: int) -> np.ndarray:
        """School day of the half-term (counted from 0, never the first) from which pupils are at the new school."""
        return np.clip((self.through[pupils] * length).astype(int), 1, length - 1)

    def moving(self, rows: np.ndarray, half_term: int) -> np.ndarray:
        """Positions in ``rows`` of pupils who move in a half-term."""
        return np.flatnonzero(self.half_term[rows] == half_term)

    def dual(self, rows: np.ndarray, half_term: int) -> np.ndarray:
        """Positions in ``rows`` of pupils who have two schools in a half-term."""
        return np.flatnonzero((self.second[rows] >= 0) & (self.begins[rows] <= half_term) & (half_term <= self.ends[rows]))


def move_in_september(roll: SimulatedRoll, schools: Schools, school: np.ndarray, group: np.ndarray, rng: np.random.Generator,
                      half_terms: int, half_terms_a_year: int) -> tuple[np.ndarray, np.ndarray]:
    """School of each pupil at the start of each half-term, and who changes in a September."""
    years = group.shape[1]
    by_year = np.empty((len(school), years), dtype=school.dtype, order="F")
    by_year[:] = school[:, None]
    changes = np.zeros(len(school), dtype=bool)
    for year in range(1, years):
        by_year[:, year] = by_year[:, year - 1]
        moves = (rng.random(len(school)) < roll.moving_in_september) & (group[:, year] > 0) & (group[:, year - 1] > 0)
        movers = np.flatnonzero(moves)
        by_year[movers, year] = _another(schools, by_year[movers, year], rng)
        changes |= by_year[:, year] != by_year[:, year - 1]
    where = np.empty((len(school), half_terms), dtype=np.int32, order="F")
    for half_term in range(half_terms):
        where[:, half_term] = by_year[:, half_term // half_terms_a_year]
    return where, changes


def _another(schools: Schools, school: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Another school of the same area and phase for each, the same one where there is no other."""
    cell = schools.area * (schools.phase.max() + 1) + schools.phase
    found, pick = school.copy(), rng.random(len(school))
    for place in np.unique(cell[school]) if len(school) else ():
        here, mine = np.flatnonzero(cell == place), np.flatnonzero(cell[school] == place)
        if len(here) > 1:
            step = 1 + (pick[mine] * (len(here) - 1)).astype(int)
            found[mine] = here[(np.searchsorted(here, school[mine]) + step) % len(here)]
    return found


def draw_moves(roll: SimulatedRoll, schools: Schools, where: np.ndarray, entry: np.ndarray, exit: np.ndarray, changes: np.ndarray,
               rng: np.random.Generator) -> Moves:
    """Who moves within a year, when and where to; ``where`` is changed from the half-term after the move."""
    count, half_terms = where.shape
    half_term, to, through = np.zeros(count, dtype=int), np.full(count, -1), np.zeros(count)
    when = rng.integers(1, half_terms + 1, count)
    movers = np.flatnonzero((rng.random(count) < roll.moving_within_year) & ~changes & (entry <= when) & (when <= exit))
    target = _another(schools, where[movers, when[movers] - 1], rng)
    real = target != where[movers, when[movers] - 1]
    movers, target = movers[real], target[real]
    half_term[movers], to[movers], through[movers] = when[movers], target, rng.random(len(movers))
    later = np.arange(half_terms)[None, :] >= when[movers][:, None]
    where[movers] = np.where(later, target[:, None], where[movers])
    none = np.full(count, -1)
    return Moves(half_term, to, through, none, none.copy(), none.copy())


def draw_duals(roll: SimulatedRoll, schools: Schools, where: np.ndarray, entry: np.ndarray, exit: np.ndarray, moves: Moves,
               rng: np.random.Generator, half_terms_a_year: int) -> Moves:
    """Who is registered at a second school as well, for some half-terms of one year; nobody who moves."""
    count, half_terms = where.shape
    begins = rng.integers(1, half_terms + 1, count)
    ends = np.minimum(begins + rng.integers(0, roll.dual_half_terms, count), -(-begins // half_terms_a_year) * half_terms_a_year)
    stays = (where == where[:, :1]).all(axis=1) & (moves.half_term == 0)
    duals = np.flatnonzero((rng.random(count) < roll.dual_share) & stays & (entry <= begins) & (ends <= exit))
    other = _another(schools, where[duals, 0], rng)
    real = other != where[duals, 0]
    duals, other = duals[real], other[real]
    second, first, last = (np.full(count, -1) for _ in range(3))
    second[duals], first[duals], last[duals] = other, begins[duals], ends[duals]
    return replace(moves, second=second, begins=first, ends=last)
