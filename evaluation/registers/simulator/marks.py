"""The marks of a simulated study as they are drawn: by pupil and day, with the second register of pupils who have two schools."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from evaluation.protocol.simulation import SimulatedRoll

from .attendance import Days
from .people import HALF_TERMS, Pupils
from .sessions import CODES, NUMBER, OFF_ROLL, HalfTerm, tallies

ROW_GROUP = 1 << 20


class MarksFile:
    """Collects half-terms of codes, counts sessions by school, and writes the marks in order of pupil, date, session and school.

    ``codes`` are those of the pupil's school, pupils x school days x 2; ``second`` those of the second school of the
    dually registered pupils ``duals``. ``counts`` holds possible, authorised and unauthorised sessions of pupils by
    half-term at the school where they began it; ``apart`` those of pupils with two schools in it.
    """

    def __init__(self, pupils: Pupils, days: pd.DataFrame, roll: SimulatedRoll):
        self.pupils, self.roll = pupils, roll
        self.dates = days["date"].to_numpy().astype("datetime64[D]")
        self.length = days.groupby("half_term").size().to_numpy()
        self.codes = np.full((len(pupils), len(days), 2), OFF_ROLL, dtype=np.uint8)
        self.duals = np.flatnonzero(pupils.moves.second >= 0)
        self.second = np.full((len(self.duals), len(days), 2), OFF_ROLL, dtype=np.uint8)
        self.counts = np.full((3, len(pupils), HALF_TERMS), -1, dtype=np.int16)
        self.apart: list[tuple[np.ndarray, ...]] = []
        self.suspended: list[tuple[np.ndarray, ...]] = []

    def add(self, drawn: HalfTerm, days: Days) -> None:
        """Add one half-term of one phase."""
        rows, first, column = drawn.rows, days.positions[0], days.half_term - 1
        self.counts[:, rows, column] = drawn.possible, drawn.authorised, drawn.unauthorised
        who, began, sessions = drawn.suspended
        self.suspended.append((rows[who], self.pupils.school[rows[who], column], first + began, sessions))
        moves = self.pupils.moves
        dual = moves.dual(rows, days.half_term)
        if len(dual):
            self._share_out(drawn, days, dual)
        moving = moves.moving(rows, days.half_term)
        if len(moving):
            self._count_apart(drawn, days, moving)
        self.codes[rows, first : days.positions[-1] + 1] = drawn.codes

    def _share_out(self, drawn: HalfTerm, days: Days, dual: np.ndarray) -> None:
        """Give the sessions of dually registered pupils to the school where they were; the other one marks D."""
        pupils = drawn.rows[dual]
        away = (days.weekday[None, :] + pupils[:, None]) % 5 < self.roll.dual_days
        here = drawn.codes[dual]
        there = np.where(away[:, :, None], here, np.uint8(NUMBER["D"]))
        drawn.codes[dual] = np.where(away[:, :, None], np.uint8(NUMBER["D"]), here)
        span = slice(days.positions[0], days.positions[-1] + 1)
        self.second[np.searchsorted(self.duals, pupils), span] = there
        at_home = self.pupils.school[pupils, days.half_term - 1]
        for school, codes in ((at_home, drawn.codes[dual]), (self.pupils.moves.second[pupils], there)):
            self.apart.append((pupils, school, np.full(len(pupils), days.half_term), *tallies(codes, days)))
        self.counts[:, pupils, days.half_term - 1] = -1

    def _count_apart(self, drawn: HalfTerm, days: Days, moving: np.ndarray) -> None:
        """Count the sessions of pupils who move before and from the day of the move."""
        pupils = drawn.rows[moving]
        later = np.arange(len(days))[None, :] >= self.pupils.moves.day(pupils, len(days))[:, None]
        schools = self.pupils.school[pupils, days.half_term - 1], self.pupils.moves.to[pupils]
        for school, keep in zip(schools, (~later, later), strict=True):
            codes = np.where(keep[:, :, None], drawn.codes[moving], np.uint8(OFF_ROLL))
            self.apart.append((pupils, school, np.full(len(pupils), days.half_term), *tallies(codes, days)))
        self.counts[:, pupils, days.half_term - 1] = -1

    def by_period(self) -> tuple[np.ndarray, ...]:
        """Pupil, school, half-term, possible, authorised and unauthorised sessions of every pupil, school and half-term, in that order."""
        who, column = np.nonzero(self.counts[0] >= 0)
        whole = (who, self.pupils.school[who, column], column + 1, *self.counts[:, who, column])
        parts = [np.concatenate([np.asarray(part[i], dtype=np.int64) for part in (whole, *self.apart)]) for i in range(6)]
        order = np.lexsort((parts[2], parts[1], parts[0]))
        return tuple(part[order] for part in parts)

    def write(self, path: Path, names: np.ndarray, school_ids: list[str]) -> int:
        """Write the file; returns the number of marks."""
        words = [pa.array(values, pa.string()) for values in (names.astype(object), school_ids, ["AM", "PM"], CODES)]
        kind = pa.dictionary(pa.int32(), pa.string())
        schema = pa.schema([("pupil_id", kind), ("school_id", kind), ("date", pa.date32()), ("session", kind), ("code", kind)])
        slots = 2 * len(self.dates)
        step, written = max(1, ROW_GROUP // slots), 0
        day, session = np.repeat(self.dates, 2), np.tile(np.array([0, 1], dtype=np.int32), len(self.dates))
        with pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=True, write_statistics=["pupil_id", "date"], store_schema=False) as writer:
            for first in range(0, len(self.codes), step):
                who, slot, school, code = self._block(first, min(first + step, len(self.codes)), slots)
                columns = [pa.DictionaryArray.from_arrays(pa.array(who), words[0]), pa.DictionaryArray.from_arrays(pa.array(school), words[1]), pa.array(day[slot]),
                           pa.DictionaryArray.from_arrays(pa.array(session[slot]), words[2]), pa.DictionaryArray.from_arrays(pa.array(code), words[3])]
                writer.write_table(pa.Table.from_arrays(columns, schema=schema), row_group_size=ROW_GROUP)
                written += len(who)
        return written

    def _block(self, first: int, last: int, slots: int) -> tuple[np.ndarray, ...]:
        """Pupil, session (position among all), school and code of the marks of some pupils (int32, int64, int32, int32)."""
        codes = self.codes[first:last].reshape(-1)
        at = np.flatnonzero(codes != OFF_ROLL)
        where = np.repeat(self.pupils.school[first:last], 2 * self.length, axis=1)
        moves = self.pupils.moves
        for pupil in first + np.flatnonzero(moves.half_term[first:last] > 0):
            half_term = moves.half_term[pupil] - 1
            begins = 2 * (self.length[:half_term].sum() + moves.day(np.array([pupil]), self.length[half_term])[0])
            where[pupil - first, begins : 2 * self.length[: half_term + 1].sum()] = moves.to[pupil]
        who, slot = np.divmod(at, slots)
        school, code = where.reshape(-1)[at], codes[at]
        mine = np.flatnonzero((self.duals >= first) & (self.duals < last))
        if len(mine):
            extra = self.second[mine].reshape(len(mine), -1)
            row, extra_slot = np.nonzero(extra != OFF_ROLL)
            pupil = self.duals[mine][row]
            more = (pupil - first) * slots + extra_slot
            second = moves.second[pupil].astype(np.int32)
            before = second < self.pupils.school[pupil, 0]
            place = np.searchsorted(at, more) + ~before
            who, slot, school, code = (np.insert(a, place, b) for a, b in ((who, pupil - first), (slot, extra_slot), (school, second), (code, extra[row, extra_slot])))
        return (who + first).astype(np.int32), slot, school.astype(np.int32), code.astype(np.int32)
