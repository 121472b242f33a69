"""200 random tables whose entries lie about them: each is refused, or an intruder who knows the truth recovers nothing.

The attack knows what the entry conceals (which row is the total, what is part of what, that two tables are one, what the
share is of) and reads only what leaves; it shares no code with the defence.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import linprog

from evaluation.registers.entries import Column, Table
from evaluation.reporting.disclosure import PROFILES, clear_tables

THRESHOLD = 10
TYPES = {"i": "integer", "f": "number"}
LIES = ("another whole", "the share of the rest", "a total called a group", "a total without a name", "no parts", "a share called a mean", "a count called plain", "one table under two names")


def truth(seed: int) -> tuple[pd.DataFrame, dict]:
    """Pupils referred and started by area and need, with every total, and the counts behind by place."""
    random = np.random.default_rng(seed)
    shape = tuple(random.integers(2, 5, size=2))
    referred = random.poisson(random.gamma(1.2, 22.0, size=shape)) + 1
    started = random.binomial(referred, random.uniform(0.3, 0.98, size=shape))
    rows, counts = [], {}
    for i, j in itertools.product([*range(shape[0]), "all"], [*range(shape[1]), "all"]):
        block = (slice(None) if i == "all" else i, slice(None) if j == "all" else j)
        counts[i, j] = int(referred[block].sum()), int(started[block].sum())
        rows.append((f"area {i}" if i != "all" else "all", f"need {j}" if j != "all" else "all", *counts[i, j]))
    frame = pd.DataFrame(rows, columns=["area", "need", "referred", "started"])
    return frame.assign(share=frame["started"] / frame["referred"].where(frame["referred"] > 0)), counts


def table(name: str, frame: pd.DataFrame, disclosure: dict) -> tuple[str, tuple[Table, pd.DataFrame]]:
    """A hand-made table with its entry."""
    units = {"share": "share"}
    columns = tuple(Column(c, TYPES.get(frame[c].dtype.kind, "string"), c, "", False, False, None, None, None, None, units.get(c), "aggregate", ()) for c in frame)
    return name, (Table(name, name, "", "", None, "aggregate", tuple(disclosure["dimensions"]), (), columns, 0, (), Path(name), disclosure=disclosure), frame)


def lie(seed: int) -> tuple[str, list, dict]:
    """Tables under an entry that lies about one thing, and the counts behind them."""
    frame, counts = truth(seed)
    what = LIES[seed % len(LIES)]
    entry = {"about": "pupils", "dimensions": {"area": "all", "need": "all"}, "counts": {"referred": "referred", "started": "started"}, "parts": [["started", "referred"]],
             "shares": {"share": ["started", "referred"]}}
    if what == "another whole":
        frame = frame.assign(share=frame["started"] / frame["referred"].max())
    elif what == "the share of the rest":
        frame = frame.assign(share=1 - frame["share"])
    elif what == "a total called a group":
        entry["dimensions"] = {"area": None, "need": "all"}
    elif what == "a total without a name":
        frame, entry["dimensions"] = frame.replace({"area": {"all": "area 9"}}), {"area": None, "need": "all"}
    elif what == "no parts":
        del entry["parts"]
    elif what == "a share called a mean":
        entry["based_on"] = {"share": ["referred"]}
        del entry["shares"]
    elif what == "a count called plain":
        entry["counts"], entry["plain"], entry["parts"], entry["shares"], entry["withheld"] = {"referred": "referred"}, ["started"], [], {}, ["share"]
        frame = frame.rename(columns={"started": "pupils_started"})
        entry["plain"] = ["pupils_started"]
    tables = [table("reach", frame, entry)]
    if what == "one table under two names":
        again = frame.sample(frac=1, random_state=seed).rename(columns={"area": "place", "need": "kind", "referred": "sent", "started": "began"}).reset_index(drop=True)
        tables.append(table("again", again, entry | {"dimensions": {"place": "all", "kind": "all"}, "counts": {"sent": "pupils sent", "began": "pupils who began"}, "parts": [["began", "sent"]],
                                                     "shares": {"share": ["began", "sent"]}}))
    return what, tables, counts


class Attack:
    """All whole tables of pupils referred, started and not started that fit what leaves."""

    def __init__(self, counts: dict, shown: list[pd.DataFrame]):
        self.at = {(place, k): i for i, (place, k) in enumerate((p, k) for p in counts for k in range(3))}  # referred, started, not started
        self.truth = {(p, k): v for p, (r, s) in counts.items() for k, v in enumerate((r, s, r - s))}
        size = len(self.at)
        sums, areas, needs = [], [i for i, j in counts if j == "all" and i != "all"], [j for i, j in counts if i == "all" and j != "all"]
        for (i, j), k in self.at:
            for whole, parts in ((i == "all", [(x, j) for x in areas]), (j == "all", [(i, x) for x in needs])):
                if whole:
                    sums.append(self.row(size, ((i, j), k), [(p, k) for p in parts]))
        sums += [self.row(size, (p, 0), [(p, 1), (p, 2)]) for p in counts]
        low, high, limits, most = np.zeros(size), np.full(size, 1e5), [], []
        for frame in shown:
            for _, line in frame.iterrows():
                place = tuple("all" if v in ("all", "area 9") else int(str(v).split()[1]) for v in line.iloc[:2])
                for k, column in enumerate((("referred", "sent"), ("started", "began", "pupils_started"))):
                    for name in column:
                        if name in line and pd.notna(line[name]):
                            low[self.at[place, k]] = high[self.at[place, k]] = line[name]
                if "share" in line and pd.notna(line["share"]):
                    half = 0.5 * 10.0 ** (np.floor(np.log10(line["share"])) - 2) if line["share"] else 0.5e-3
                    for sign, edge in ((1, line["share"] + half), (-1, line["share"] - half)):
                        limit = np.zeros(size)
                        limit[self.at[place, 1]], limit[self.at[place, 0]] = sign, -sign * edge
                        limits.append(limit)
                        most.append(0.0)
        self.problem = {"A_eq": np.array(sums), "b_eq": np.zeros(len(sums)), "bounds": np.column_stack([low, high])}
        if limits:
            self.problem |= {"A_ub": np.array(limits), "b_ub": np.array(most) + 1e-7}

    def row(self, size: int, whole: tuple, parts: list) -> np.ndarray:
        found = np.zeros(size)
        found[self.at[whole]] = 1
        found[[self.at[p] for p in parts]] = -1
        return found

    def range(self, key: tuple) -> tuple[float, float]:
        """Lowest and highest value of one count."""
        aim = np.zeros(len(self.at))
        aim[self.at[key]] = 1
        ends = [linprog(sign * aim, **self.problem) for sign in (1, -1)]
        assert all(e.x is not None for e in ends), "the truth fits what leaves"
        return ends[0].x[self.at[key]], ends[1].x[self.at[key]]


@pytest.mark.parametrize("block", range(4))
def test_a_lie_is_refused_or_gives_nothing_away(block):
    refused, attacked = {}, 0
    for seed in range(block * 50, block * 50 + 50):
        what, tables, counts = lie(seed)
        clearance = clear_tables(dict(tables), PROFILES["srs"], "restricted")
        refused.setdefault(what, []).append(bool(clearance.refused))
        if not clearance.cleared:
            assert all("contradicts its entry" in r.reason for r in clearance.refused), (seed, what, clearance.refused)
            continue
        attack = Attack(counts, [c.frame for c in clearance.cleared])
        for key, value in attack.truth.items():
            if 0 < value < THRESHOLD:
                low, high = attack.range(key)
                assert low <= 1e-6 and high >= THRESHOLD - 1e-6, f"seed {seed}, {what}: {key} is {value}, known to lie in {low} to {high}"
                attacked += 1
    for what in ("another whole", "the share of the rest", "a total called a group", "a share called a mean", "a count called plain"):
        assert all(refused[what]), what
    assert attacked > 30, "too few small counts left to attack"


def test_the_attack_finds_what_an_honest_gate_without_the_truth_would_leave_open():
    frame, counts = truth(3)
    printed = frame.assign(referred=frame["referred"].where(frame["referred"] >= THRESHOLD), started=frame["started"].where(frame["started"] >= THRESHOLD))
    attack = Attack(counts, [printed])
    found = [key for key, value in attack.truth.items() if 0 < value < THRESHOLD and np.ptp(attack.range(key)) < 0.5]
    assert found, "primary suppression alone protects nothing here"
