"""A hostile reader of a release: what the words of the tables mean, which no entry of the dictionary need declare, as one whole-number programme.

Whoever holds the folder ``release/`` and the public protocol and code knows who is part of whom and what adds up to what.
Everything printed is a constraint, printed shares too; for each group of 1 to ``threshold`` - 1 pupils, shown or not, printed
anywhere or left over between two numbers, the programme is asked for the fewest and the most pupils that it could have.
The run's own tables only name the small groups and judge what was learned: none of their numbers is a constraint.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

MOST = 100_000
MENTORS, REFERRED, COMPARISON = "schools with mentors", "referred pupils", "comparison schools"
LEFT_ROLL = "left the registers before the follow-up ended"
Term = tuple[int, int]


@dataclass
class Cell:
    """A count: where it stands, what it is (for the referee), and what is printed of it."""

    name: str
    true: int
    low: int = 0
    high: int = MOST


@dataclass
class Hostile:
    """Counts and what is believed of them: ``low <= sum(sign x count) <= high``."""

    cells: list[Cell] = field(default_factory=list)
    place: dict[tuple, int] = field(default_factory=dict)
    rows: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    beliefs: list[tuple[tuple[Term, ...], float, float]] = field(default_factory=list)

    def add(self, name: str, true: int, low: int = 0, high: int = MOST) -> int:
        """A count that no table prints."""
        self.cells.append(Cell(name, true, low, high))
        return len(self.cells) - 1

    def at(self, table: str, column: str, **where: str) -> list[int]:
        """Cells of a column in the rows with these values, in the order of the table; none if the release has no such thing."""
        return [self.place[table, n, column] for n, row in enumerate(self.rows.get(table, ()))
                if (table, n, column) in self.place and all(row.get(k) == v for k, v in where.items())]

    def one(self, table: str, column: str, **where: str) -> int | None:
        """The one cell, or None."""
        found = self.at(table, column, **where)
        return found[0] if len(found) == 1 else None

    def believe(self, terms: Iterable[Term], low: float, high: float) -> None:
        """A relation between counts. One that is false would make everything that follows worthless."""
        terms = tuple(terms)
        value = sum(sign * self.cells[at].true for at, sign in terms)
        assert low <= value <= high, f"not so: {' '.join(f'{s:+d} {self.cells[a].name} ({self.cells[a].true})' for a, s in terms)} in {low} to {high}"
        self.beliefs.append((terms, low, high))

    def adds(self, whole: int | None, parts: Sequence[int | None]) -> None:
        """A whole and all of its parts."""
        if whole is not None and parts and None not in parts:
            self.believe([(whole, 1), *((p, -1) for p in parts)], 0, 0)

    def same(self, one: int | None, other: int | None) -> None:
        """Two names of one count."""
        if one is not None and other is not None and one != other:
            self.adds(one, [other])

    def within(self, whole: int | None, *parts: int | None) -> None:
        """Parts that do not overlap, of a whole: who is left is a group too, of which the programme is asked."""
        if whole is None or not parts or None in parts:
            return
        left = self.cells[whole].true - sum(self.cells[p].true for p in parts)
        rest = self.add(f"{self.cells[whole].name} LESS {' AND '.join(self.cells[p].name for p in parts)}", left)
        self.believe([(whole, 1), (rest, -1), *((p, -1) for p in parts)], 0, 0)

    def bounds(self, cell: int) -> tuple[int, int]:
        """The fewest and the most that a count can be."""
        if not hasattr(self, "_programmes"):
            self._programmes = self._split()
        members, matrix, low, high = self._programmes[self._part[cell]]
        limits = Bounds([self.cells[m].low for m in members], [self.cells[m].high for m in members])
        aim = np.zeros(len(members))
        ends = []
        for sign in (1.0, -1.0):
            aim[members.index(cell)] = sign
            rules = LinearConstraint(matrix, low, high) if matrix.shape[0] else ()
            done = milp(aim, constraints=rules, bounds=limits, integrality=np.ones(len(members)))
            assert done.success, f"{self.cells[cell].name}: {done.message}"
            ends.append(round(sign * done.fun))
        return ends[0], ends[1]

    def doubtful(self, cells: Sequence[int], threshold: int) -> list[int]:
        """The cells of which no table was found with none of them, or none with as many as the threshold: each must be asked for by itself."""
        if not hasattr(self, "_programmes"):
            self._programmes = self._split()
        doubt = []
        for part in sorted({self._part[c] for c in cells}):
            members, matrix, low, high = self._programmes[part]
            n, asked = len(members), [members.index(c) for c in cells if self._part[c] == part]
            limits = (np.array([self.cells[m].low for m in members], float), np.array([self.cells[m].high for m in members], float))
            none, many = set(), set()
            for aim, done, reached in ((1.0, none, lambda v: v <= 0.5), (-1.0, many, lambda v: v >= threshold - 0.5)):
                while left := [a for a in asked if a not in done]:
                    # as many of them as can be at once: capped at the threshold, so that none is raised at another's cost
                    k = len(left)
                    caps = csr_matrix((np.r_[np.ones(k), -np.ones(k)], (np.r_[np.arange(k), np.arange(k)], np.r_[left, n + np.arange(k)])), shape=(k, n + k))
                    rules = [LinearConstraint(caps, 0, np.inf)]
                    if matrix.shape[0]:
                        rules.append(LinearConstraint(csr_matrix((matrix.data, matrix.indices, matrix.indptr), shape=(matrix.shape[0], n + k)), low, high))
                    cost = np.r_[np.zeros(n), -np.ones(k)] if aim < 0 else np.r_[np.isin(np.arange(n), left).astype(float), np.zeros(k)]
                    bounds = Bounds(np.r_[limits[0], np.zeros(k)], np.r_[limits[1], np.full(k, float(threshold))])
                    table = milp(cost, constraints=rules, bounds=bounds, integrality=np.r_[np.ones(n), np.zeros(k)], options={"time_limit": 5.0})
                    met = {a for a in left if table.x is not None and reached(table.x[a])}
                    if not met:
                        break
                    done |= met
            doubt += [members[a] for a in asked if a not in none or a not in many]
        return doubt

    def _split(self) -> dict[int, tuple]:
        """One programme for each set of counts that are tied to one another."""
        n = len(self.cells)
        links = [(terms[0][0], a) for terms, _, _ in self.beliefs for a, _ in terms]
        graph = csr_matrix((np.ones(len(links)), tuple(zip(*links, strict=True))), shape=(n, n)) if links else csr_matrix((n, n))
        self._part = connected_components(graph, directed=False)[1]
        programmes = {}
        for part in np.unique(self._part):
            members = np.flatnonzero(self._part == part).tolist()
            index = {m: i for i, m in enumerate(members)}
            mine = [b for b in self.beliefs if self._part[b[0][0][0]] == part]
            matrix = np.zeros((len(mine), len(members)))
            for row, (terms, _, _) in enumerate(mine):
                for at, sign in terms:
                    matrix[row, index[at]] += sign
            programmes[part] = (members, csr_matrix(matrix), [b[1] for b in mine], [b[2] for b in mine])
        return programmes


def read(release: Path, dictionary: Path, true: Mapping[str, pd.DataFrame]) -> Hostile:
    """The printed tables, with the truth beside each count for the referee."""
    known = Hostile()
    told = json.loads((release / "release.json").read_text(encoding="utf-8"))
    for table in told["tables"]:
        name = table["name"]
        with (release / table["file"]).open(encoding="utf-8", newline="") as handle:
            rows = list(csv.DictReader(handle))
        frame, keys = true[name], [d for d in table["dimensions"] if d in true[name]]
        places = {tuple(str(v) for v in values): i for i, values in enumerate(frame[keys].itertuples(index=False, name=None))} if keys else {(): 0}
        for n, row in enumerate(rows):
            behind = frame.iloc[places[tuple(row[k] for k in keys)]] if table["counts"] else None
            for column in table["counts"]:
                if row[column] == "x":
                    continue
                value, printed = int(behind[column]), row[column]
                cell = known.add(f"{name}[{', '.join(row[k] for k in keys)}].{column}", value)
                known.place[name, n, column] = cell
                if value > MOST:
                    known.cells[cell].high = 1000 * MOST  # rows of marks, in millions
                if printed != "c":
                    assert int(printed) == value
                    known.cells[cell].low = known.cells[cell].high = value
        known.rows[name] = rows
        spec = yaml.safe_load((dictionary / f"{name}.yaml").read_text(encoding="utf-8")).get("x-disclosure", {})
        _shares(known, name, spec.get("shares", {}), {c["name"]: 100 if (c["unit"] or "").startswith("%") else 1 for c in table["columns"]})
    return known


def _shares(known: Hostile, table: str, shares: Mapping[str, Sequence[str]], scales: Mapping[str, int]) -> None:
    """A printed share of a printed whole leaves the part as few numbers as its digits say."""
    for column, (part, whole) in shares.items():
        for n, row in enumerate(known.rows[table]):
            of, cell = row.get(whole), known.place.get((table, n, part))
            if cell is None or not re.fullmatch(r"\d+", of or "") or row.get(column, "c") in ("c", "x"):
                continue
            half = 0.51 * 10.0 ** -len(row[column].partition(".")[2])
            low, high = ((float(row[column]) + s * half) * int(of) / scales[column] for s in (-1, 1))
            known.believe([(cell, 1)], math.ceil(low - 1e-9), math.floor(high + 1e-9))


SUMS = {
    "delivery_reach": ({"area_code": "all", "delivery_model": "all"}, ("eligible", "eligible_referred", "referrals", "referred", "consented", "started", "completed", "first_meetings")),
    "delivery_dose": ({"area_code": "all", "delivery_model": "all"}, ("pupils", "meetings_arranged", "meetings_kept")),
    "delivery_fidelity": ({"area_code": "all", "delivery_model": "all"}, ("started", "known", "met")),
    "delivery_barriers": ({"area_code": "all"}, ("pupils_started", "pupils_assessed", "pupils", "barriers", "resolved")),
    "eef_cost": ({"period": "all"}, ("pupils",)),
}
"""Tables whose counts add up over a dimension to the row that stands for all of it."""

CHAINS = {
    "delivery_reach": (("eligible", "eligible_referred"), ("referred", "eligible_referred"), ("referred", "consented"), ("consented", "started"), ("started", "completed"), ("referrals", "first_meetings")),
    "delivery_fidelity": (("started", "known"), ("known", "met")),
    "delivery_barriers": (("pupils_started", "pupils_assessed"), ("pupils_assessed", "pupils"), ("barriers", "resolved")),
    "survey_response": (("pupils", "answered"), ("answered", "scored")),
    "attrition": (("of_pupils", "pupils"),),
    "stack_pupils": (("mentored", "referred"), ("referred", "started")),
    "absence_by_band": (("of_pupils", "pupils"),),
    "linkage": (("rows", "linked"),),
    "offer_overlap": (("pupils", "used"), ("pupils", "outside_range")),
    "intake_counts": (("rows_read", "rows_accepted"),),
    "support_timing": (("of_pupils", "pupils"), ("of_pupils", "open_ended")),
    "regression_to_mean": (("pupils_all", "pupils"), ("pupils", "pupils_first")),
}
"""Columns of one row of which the second counts some of the first."""


def knows(known: Hostile, true: Mapping[str, pd.DataFrame]) -> None:
    """All that the words of the default study's tables say of its counts."""
    for table, (totals, columns) in SUMS.items():
        for dimension, total in totals.items():
            for column in columns:
                _sums_over(known, table, column, dimension, total, [*totals, *(("component",) if table == "delivery_fidelity" else ("barrier_type",) if table == "delivery_barriers" else ())])
    for table, pairs in CHAINS.items():
        for n in range(len(known.rows.get(table, ()))):
            for whole, part in pairs:
                known.within(known.place.get((table, n, whole)), known.place.get((table, n, part)))
    _delivery(known)
    _flow(known)
    _started(known)
    _areas(known, true)
    _subgroups(known)
    _characteristics(known)
    _later(known, true)
    _trajectories(known)
    _surveys(known)
    _items(known)


def _sums_over(known: Hostile, table: str, column: str, dimension: str, total: str, dimensions: Sequence[str]) -> None:
    others = [d for d in dimensions if d != dimension]
    groups: dict[tuple, list[int]] = {}
    for n, row in enumerate(known.rows.get(table, ())):
        groups.setdefault(tuple(row[o] for o in others), []).append(n)
    for members in groups.values():
        whole = [n for n in members if known.rows[table][n][dimension] == total]
        parts = [n for n in members if known.rows[table][n][dimension] != total]
        if whole and parts:
            known.adds(known.place.get((table, whole[0], column)), [known.place.get((table, n, column)) for n in parts])


def _delivery(known: Hostile) -> None:
    """Components, completion and barriers, by area and model."""
    for row in known.rows.get("delivery_fidelity", ()):
        where = {"area_code": row["area_code"], "delivery_model": row["delivery_model"]}
        mine = {k: known.one("delivery_fidelity", k, component=row["component"], **where) for k in ("started", "met")}
        known.same(mine["started"], known.one("delivery_reach", "started", **where))
        if row["component"] == "support long enough":
            known.same(mine["met"], known.one("delivery_reach", "completed", **where))
        if row["component"] != "every component":
            known.within(mine["met"], known.one("delivery_fidelity", "met", component="every component", **where))
    for row in known.rows.get("delivery_dose", ()):
        where = {"area_code": row["area_code"], "delivery_model": row["delivery_model"]}
        known.same(known.one("delivery_dose", "pupils", **where), known.one("delivery_reach", "started", **where))
    kinds = sorted({r["barrier_type"] for r in known.rows.get("delivery_barriers", ())} - {"any"})
    for area in sorted({r["area_code"] for r in known.rows.get("delivery_barriers", ())}):
        for kind in kinds:  # a pupil has a barrier once
            known.same(known.one("delivery_barriers", "barriers", area_code=area, barrier_type=kind), known.one("delivery_barriers", "pupils", area_code=area, barrier_type=kind))
        for column in ("barriers", "resolved"):
            known.adds(known.one("delivery_barriers", column, area_code=area, barrier_type="any"),
                       [known.one("delivery_barriers", column, area_code=area, barrier_type=kind) for kind in kinds])
        known.same(known.one("delivery_barriers", "pupils_started", area_code=area, barrier_type="any"), known.one("delivery_reach", "started", area_code=area, delivery_model="all"))


def _flow(known: Hostile) -> None:
    """The flow's steps, the losses beside them, and the referred among the pupils of schools with mentors."""
    for group in (MENTORS, REFERRED, COMPARISON):
        kept, gone = None, []
        for row in (r for r in known.rows.get("cohort_flow", ()) if r["group"] == group):
            cell = known.one("cohort_flow", "pupils", group=group, position=row["position"])
            if row["kind"] == "left out":
                gone.append(cell)
            elif row["kind"] == "kept":
                if kept is not None:
                    known.adds(kept, [cell, *gone])
                kept, gone = cell, []
            else:
                known.within(kept, cell)
        analysed = known.one("cohort_flow", "pupils", group=group, step="analysed: referred" if group == REFERRED else "analysed: eligible")
        lost = known.one("attrition", "pupils", group=group, reason=LEFT_ROLL)
        few = known.one("attrition", "pupils", group=group, reason="too few possible sessions in the follow-up")
        known.same(lost, known.one("cohort_flow", "pupils", group=group, step=LEFT_ROLL))
        for cell in known.at("attrition", "of_pupils", group=group):
            if None not in (analysed, lost, few):
                known.adds(cell, [analysed, lost, few])
    steps = {r["step"] for r in known.rows.get("cohort_flow", ()) if r["group"] == REFERRED and r["kind"] == "left out"}
    for step in sorted(steps):
        known.within(known.one("cohort_flow", "pupils", group=MENTORS, step=step), known.one("cohort_flow", "pupils", group=REFERRED, step=step))
    known.same(known.one("cohort_flow", "pupils", group=REFERRED, step="analysed: referred"), known.one("cohort_flow", "pupils", group=MENTORS, step="referred in the next half-term"))
    known.same(known.one("cohort_flow", "pupils", group=REFERRED, step="started"), known.one("cohort_flow", "pupils", group=MENTORS, step="started after that referral"))
    known.same(known.one("cohort_flow", "pupils", group=REFERRED, step="referred"), known.one("delivery_reach", "referred", area_code="all", delivery_model="all"))


def _started(known: Hostile) -> None:
    """Analysed pupils who started: their support, their thirds, their matched part."""
    started = known.one("cohort_flow", "pupils", group=REFERRED, step="started")
    for cell in known.at("support_timing", "of_pupils"):
        known.same(started, cell)
    for measure in ("meetings kept", "weeks of support"):
        thirds = [known.one("dose_response", "pupils", measure=measure, group=f"{third} third") for third in ("lowest", "middle", "highest")]
        slope = known.one("dose_response", "pupils", measure=measure, group="slope")
        known.adds(slope, thirds)
        known.same(started, slope)
        known.adds(started, thirds)
    known.same(known.one("eef_cost", "pupils", period="all"), known.one("delivery_reach", "started", area_code="all", delivery_model="all"))
    known.within(started, *known.at("delivery_model_effects", "pupils_beside"))  # a pupil stands beside one other model
    for design in ("within_area", "between_areas"):
        matched = known.one("estimates", "n_treated", estimate_id=f"B_referred_{design}_matched_points")
        mine = known.one("estimates", "pupils", estimate_id=f"B_started_{design}_matched_points")
        known.within(started, mine)
        known.within(matched, mine)
        everyone = known.one("cohort_flow", "pupils", group=REFERRED, step="analysed: referred")
        if None not in (started, mine, matched, everyone):  # without a partner: who started, and who did not
            apart = known.add(f"started without a partner, {design}", known.cells[started].true - known.cells[mine].true)
            other = known.add(f"not started and without a partner, {design}", known.cells[everyone].true - known.cells[matched].true - known.cells[apart].true)
            known.adds(started, [mine, apart])
            known.adds(everyone, [matched, apart, other])


def _areas(known: Hostile, true: Mapping[str, pd.DataFrame]) -> None:
    """Analysed pupils by area: the design between areas leaves out whole areas, and who they are is public."""
    mine, between, names = _analysed(true)
    for analysis, who, same_rule in (("A_eligible", mine, "A_eligible_{}_same_rule_points"), ("B_referred", mine.loc[mine["referred"]], "B_referred_{}_same_rule_points")):
        areas = {a: known.add(f"{analysis}: analysed in {names[a]}", int(n)) for a, n in who.groupby("area_code").size().items()}
        known.adds(known.one("estimates", "n_treated", estimate_id=same_rule.format("within_area")), list(areas.values()))
        known.adds(known.one("estimates", "n_treated", estimate_id=same_rule.format("between_areas")), [c for a, c in areas.items() if a in between])
        known.adds(known.one("estimates", "unmatched", estimate_id=same_rule.format("between_areas")), [c for a, c in areas.items() if a not in between])
        for area, cell in areas.items():
            for row in known.rows.get("subgroups", ()):
                if row["analysis"].startswith(analysis) and row["subgroup"] == "area" and row["group"] == names[area]:
                    known.within(cell, known.one("subgroups", "n_treated", analysis=row["analysis"], subgroup="area", group=row["group"]))
    everyone = known.one("cohort_flow", "pupils", group=MENTORS, step="analysed: eligible")
    referred = known.one("cohort_flow", "pupils", group=REFERRED, step="analysed: referred")
    for row in known.rows.get("estimates", ()):
        name, cell = row["estimate_id"], known.one("estimates", "n_treated", estimate_id=row["estimate_id"])
        whole = everyone if name.startswith("A_") else referred
        if row["outcome"] in ("absence_rate", "absence_rate_official") and row["part"] == "all stacks":
            loose = known.one("estimates", "unmatched", estimate_id=name)
            known.adds(whole, [cell, loose])
        if name.startswith("A_referred"):
            ever = known.one("estimates", "pupils", estimate_id=name)
            known.within(cell, ever)
            if "within_area" in name:
                known.within(ever, referred)


def _subgroups(known: Hostile) -> None:
    """Groups of one trait are parts of their analysis; areas leave nobody out."""
    for analysis in sorted({r["analysis"] for r in known.rows.get("subgroups", ())}):
        for side in ("n_treated", "n_comparison"):
            whole = known.one("estimates", side, estimate_id=f"{analysis}_points")
            for trait in sorted({r["subgroup"] for r in known.rows["subgroups"] if r["analysis"] == analysis}):
                parts = known.at("subgroups", side, analysis=analysis, subgroup=trait)
                if trait == "area" and side == "n_treated":
                    known.adds(whole, parts)
                else:
                    known.within(whole, *parts)


LEVELS = {"eligible": "fsm", "care plan": "sen_ehcp", "none": "sen_none", "support": "sen_support"}
"""Groups of a subgroup analysis, as the tables of characteristics call them."""


def _characteristics(known: Hostile) -> None:
    """The tables of characteristics: levels of a trait, parts of parts, and the groups of the subgroup analysis."""
    arms = (("referred_with", "referred_pupils"), ("mentored_with", "mentored_pupils"), ("comparison_with", "comparison_pupils"))
    for n, row in enumerate(known.rows.get("baseline_table", ())):
        for part, whole in (*arms, ("referred_with", "mentored_with")):
            known.within(known.place.get(("baseline_table", n, whole)), known.place.get(("baseline_table", n, part)))
    for trait in ("year_group", "sen"):
        for part, whole in arms:
            parts, wholes = known.at("baseline_table", part, trait=trait), known.at("baseline_table", whole, trait=trait)
            if wholes:
                known.within(wholes[0], *parts)
    for place, arm, group in (("referred_pupils", REFERRED, "referred"), ("mentored_pupils", MENTORS, "eligible"), ("comparison_pupils", COMPARISON, "eligible")):
        for cell in known.at("baseline_table", place):
            known.same(cell, known.one("cohort_flow", "pupils", group=arm, step=f"analysed: {group}"))
    sides = ("treated", "treated_left", "comparison", "comparison_left")
    for n, row in enumerate(known.rows.get("balance", ())):
        for side in sides:
            known.within(known.place.get(("balance", n, side)), known.place.get(("balance", n, f"{side}_with")))
        known.within(known.one("baseline_table", "referred_with", characteristic=row["covariate"]), known.place.get(("balance", n, "treated_with")), known.place.get(("balance", n, "treated_left_with")))
        known.within(known.one("baseline_table", "comparison_with", characteristic=row["covariate"]), known.place.get(("balance", n, "comparison_with")), known.place.get(("balance", n, "comparison_left_with")))
    for design in sorted({r["design"] for r in known.rows.get("balance", ())}):
        for side in sides:
            for trait in ("year_group", "sen"):
                wholes = known.at("balance", side, design=design)
                known.within(wholes[0], *known.at("balance", f"{side}_with", design=design, trait=trait))
        for side, other in (("treated", "n_treated"), ("comparison", "n_comparison")):
            for cell in known.at("balance", side, design=design):
                known.same(cell, known.one("estimates", other, estimate_id=f"B_referred_{design}_matched_points"))
    for row in known.rows.get("subgroups", ()):
        level = LEVELS.get(row["group"])
        where = {"analysis": row["analysis"], "subgroup": row["subgroup"], "group": row["group"]}
        if row["analysis"].startswith("A_eligible_within"):
            known.within(known.one("baseline_table", "mentored_with", characteristic=level), known.one("subgroups", "n_treated", **where))
            known.within(known.one("baseline_table", "comparison_with", characteristic=level), known.one("subgroups", "n_comparison", **where))
        if row["analysis"].startswith("B_referred_within_area_matched"):
            known.within(known.one("balance", "treated_with", design="within_area", covariate=level), known.one("subgroups", "n_treated", **where))
            known.within(known.one("balance", "comparison_with", design="within_area", covariate=level), known.one("subgroups", "n_comparison", **where))
    for design, stem in (("between areas", "B_referred_between_areas_matched"), ("within area", "B_referred_within_area_matched"), ("within area pre means", "B_referred_within_area_pre_means")):
        for column, other in (("referred", "n_treated"), ("comparison", "n_comparison"), ("unmatched", "unmatched")):
            known.same(known.one("matched_pupils", column, design=design), known.one("estimates", other, estimate_id=f"{stem}_points"))


def _later(known: Hostile, true: Mapping[str, pd.DataFrame]) -> None:
    """Pupils referred by the follow-up, by area, of whom those of the next half-term are a part; who was not referred is the rest."""
    mine, between, names = _analysed(true)
    ever = {a: known.add(f"referred by the follow-up in {names[a]}", int(n)) for a, n in mine.loc[mine["referred_by_followup"]].groupby("area_code").size().items()}
    for design, areas in (("within_area", list(ever)), ("between_areas", [a for a in ever if a in between])):
        known.adds(known.one("estimates", "pupils", estimate_id=f"A_referred_{design}_per_referred_points"), [ever[a] for a in areas])
    for area, cell in ever.items():
        known.within(cell, next((i for i, c in enumerate(known.cells) if c.name == f"B_referred: analysed in {names[area]}"), None))
    everyone = known.one("cohort_flow", "pupils", group=MENTORS, step="analysed: eligible")
    not_referred = known.one("spillover", "n_treated", comparison="pupils not referred")
    if everyone is not None and not_referred is not None:
        known.adds(everyone, [not_referred, *ever.values()])
    referred = known.one("cohort_flow", "pupils", group=REFERRED, step="analysed: referred")
    known.within(referred, known.one("spillover", "n_treated", comparison="within schools"))
    known.within(not_referred, known.one("spillover", "n_comparison", comparison="within schools"))
    other = known.one("cohort_flow", "pupils", group=COMPARISON, step="analysed: eligible")
    known.within(other, known.one("spillover", "n_treated", comparison="comparison schools beside mentors"), known.one("spillover", "n_comparison", comparison="comparison schools beside mentors"))
    known.within(other, known.one("spillover", "n_comparison", comparison="pupils not referred"))
    for side in ("n_treated", "n_comparison"):
        known.within(known.one("estimates", side, estimate_id="B_referred_within_area_matched_points"), *known.at("stack_effects", side))
    for column, whole in (("mentored", everyone), ("comparison", other), ("referred", referred), ("started", known.one("cohort_flow", "pupils", group=REFERRED, step="started"))):
        known.adds(whole, known.at("stack_pupils", column))
    for n in range(len(known.rows.get("outcome_levels", ()))):
        parts = [known.place.get(("outcome_levels", n, f"{arm}_pupils")) for arm in ("mentored", "comparison")]
        known.adds(known.place.get(("outcome_levels", n, "pupils")), parts)
        for part, whole in zip(parts, (everyone, other), strict=True):
            known.within(whole, part)


def _analysed(true: Mapping[str, pd.DataFrame]) -> tuple[pd.DataFrame, set[str], pd.Series]:
    """Analysed pupils of schools with mentors, the areas of the design between areas, and the areas' names: the protocol tells the last two."""
    cohort, matches = true["cohort"], true["matches"]
    mine = cohort.loc[cohort["analysed"] & cohort["mentor_school"] & cohort["entry"].eq("first")]
    between = set(mine.loc[mine["pupil_id"].isin(matches.loc[matches["design"].eq("between_areas") & matches["treated"], "pupil_id"]), "area_code"])
    return mine, between, true["school_list"].drop_duplicates("area_code").set_index("area_code")["area_name"]


def _trajectories(known: Hostile) -> None:
    """Pupils measured in a half-term are some of those in the window, and the two arms are the event study's."""
    for design in sorted({r["design"] for r in known.rows.get("trajectories", ())}):
        for time in sorted({r["event_time"] for r in known.rows["trajectories"]}):
            arms = {arm: known.one("trajectories", "pupils", design=design, event_time=time, arm=arm) for arm in ("mentored", "comparison")}
            for arm, cell in arms.items():
                window = known.one("trajectories", "pupils", design=design, event_time="0", arm=arm)
                if cell != window:
                    known.within(window, cell)
            known.adds(known.one("event_study", "pupils", design=design, event_time=time), list(arms.values()))
        for side, arm in (("n_treated", "mentored"), ("n_comparison", "comparison")):
            stem = "B_referred_within_area_pre_means" if design.endswith("pre_means") else f"B_referred_{design}_matched"
            known.same(known.one("estimates", side, estimate_id=f"{stem}_points"), known.one("trajectories", "pupils", design=design, event_time="0", arm=arm))


def _surveys(known: Hostile) -> None:
    """Scores need answers, a change needs both waves, reliability needs every item."""
    arms = {"pupils who started with a mentor", "matched comparison pupils"}
    for scale in sorted({r["scale"] for r in known.rows.get("survey_response", ())}):
        for arm in sorted(arms):
            changes = known.one("survey_changes", "pupils", scale=scale, what=arm)
            both = [known.one("survey_response", "scored", arm=arm, scale=scale, wave=w) for w in ("baseline", "follow-up")]
            for cell in both:
                known.within(cell, changes)
            asked = known.one("survey_response", "pupils", arm=arm, scale=scale, wave="baseline")
            if None not in (changes, asked, *both):  # scored once or twice, of all asked
                known.believe([(asked, 1), (both[0], -1), (both[1], -1), (changes, 1)], 0, MOST)
        for wave in ("baseline", "follow-up"):  # an answer to either scale
            scales = sorted({r["scale"] for r in known.rows["survey_response"]})
            for arm in sorted(arms):
                known.same(known.one("survey_response", "answered", arm=arm, scale=scales[0], wave=wave), known.one("survey_response", "answered", arm=arm, scale=scale, wave=wave))
            every = [known.one("survey_response", "scored", arm=arm, scale=scale, wave=wave) for arm in sorted(arms)]
            complete = known.one("survey_reliability", "pupils", scale=scale, wave=wave)
            if None not in (complete, *every):
                left = known.add(f"scored with an item missing, {scale}, {wave}", sum(known.cells[c].true for c in every) - known.cells[complete].true)
                known.believe([*((c, 1) for c in every), (complete, -1), (left, -1)], 0, 0)
        known.adds(known.one("survey_changes", "pupils", scale=scale, what="difference between respondents of either arm"),
                   [known.one("survey_changes", "pupils", scale=scale, what=arm) for arm in sorted(arms)])


def _items(known: Hostile) -> None:
    """Survey items are respondents times items: eight of them, for each of two waves."""
    rows = [r for r in known.rows.get("intake_counts", ()) if r["table"] == "survey_items" and re.fullmatch(r"\d+", r.get("rows_accepted", ""))]
    items = sum(int(r["items"]) for r in known.rows.get("survey_reliability", ()) if r["wave"] == "baseline")
    if rows and items and int(rows[0]["rows_accepted"]) % items == 0:
        scale = known.rows["survey_response"][0]["scale"]
        answered = [c for c in known.at("survey_response", "answered", scale=scale)]
        known.believe([(c, 1) for c in answered], *[int(rows[0]["rows_accepted"]) // items] * 2)


def learned(known: Hostile, threshold: int) -> tuple[int, list[str]]:
    """How many small groups there are, and what can be said of each that is not "anything from none to the threshold"."""
    small = [i for i, c in enumerate(known.cells) if 0 < c.true < threshold]
    found = []
    for cell in known.doubtful(small, threshold):
        low, high = known.bounds(cell)
        if low > 0 or high < threshold:
            found.append(f"{known.cells[cell].name}: {known.cells[cell].true} lies in {low} to {high}")
    return len(small), found


def sessions(known: Hostile, threshold: int) -> list[str]:
    """Sessions are pupils times a public number of sessions: what is left between two sums of them may be a pupil or two."""
    rows, found = known.rows.get("register_quality", ()), []
    least: dict[str, float] = {}
    for row in rows:
        if {"sessions_expected", "pupils"} <= set(row) and "c" not in (row["pupils"], row["sessions_expected"]):
            each = float(row["sessions_expected"]) / float(row["pupils"])
            least[row["half_term"]] = min(least.get(row["half_term"], each), each)
    for row in rows:
        each = round(least.get(row["half_term"], 0))
        value = {k: float(v) for k, v in row.items() if k.startswith("sessions_") or k == "pupils" if re.fullmatch(r"\d+", v or "")}
        rests = []
        if {"sessions_marked", "sessions_possible", "sessions_not_possible"} <= set(value):
            rests.append(("marked less possible and not possible", value["sessions_marked"] - value["sessions_possible"] - value["sessions_not_possible"]))
        if {"sessions_expected", "pupils"} <= set(value) and each:
            rests.append(("expected less pupils times sessions", value["sessions_expected"] - value["pupils"] * each))
        for said, rest in rests:
            if each and rest > 0 and rest % each == 0 and rest / each < threshold:
                found.append(f"register_quality, {row['area_name']}, half-term {row['half_term']}: {said} = {rest:.0f} = {rest / each:.0f} pupils times {each}")
    return found
