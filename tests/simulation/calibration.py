"""Simulated registers beside published statistics: rates by phase and group, reasons, patterns in time, schools and leavers.

From the root of the project, ``EVALUATION_PUBLISHED_DATA=FOLDER python -m tests.simulation.calibration`` simulates one large
sample of all phases, measures it by the official definitions, and writes its part of ``RESULTS.md`` and two pictures.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from evaluation.protocol.load import load_protocol
from evaluation.protocol.simulation import PHASE_YEAR_GROUPS, SimulationSection
from evaluation.registers.codes import CODE_CHANGE, attendance_codes
from evaluation.registers.simulator import simulate_extracts
from evaluation.registers.simulator.draws import draw_panel
from evaluation.registers.simulator.sizes import merged, sized_design
from tests.results_page import write_part

ROOT = Path(__file__).resolve().parents[2]
PARAMS = ROOT / "params" / "attendance_mentors_trial.yaml"
RESULTS = Path(__file__).with_name("RESULTS.md")
PART = "calibration"
PICTURES = ("calibration_rates.png", "calibration_patterns.png")
SEED = 1
DRAWS = tuple(range(101, 141))  # seeds of draws without marks: year groups of special schools are small, and eight draws left them half a point of noise
PHASES = ("primary", "secondary", "special")
YEAR, YEAR_OF_REASONS = "2022/23", "2024/25"  # the bands' last year; the only simulated year with today's codes

# Issue of the calibration, and what publications say; points of enrolments unless said otherwise
PERSISTENT_TOLERANCE, SEVERE_TOLERANCE, REASON_TOLERANCE = 1.5, 0.7, 0.25
SCHOOL_SHARE = (6.0, 11.0)     # % of the variance of absence between schools; 8.4 (FFT)
GONE, GONE_TOLERANCE = 7.0, 1.0  # % of autumn's persistent absentees who are not on roll in spring (FFT)
FRIDAY = {"primary": 1.4, "secondary": 1.8}  # points, Friday afternoons beside the other sessions of the week (FFT)
FRIDAY_SEVERE = (5.0, 7.0)     # the same among severely absent pupils (FFT)
WITHIN_YEAR = {"first two weeks of autumn": 4.7, "last week before the autumn half-term": 7.0, "last week of the autumn term": 9.5}  # % of sessions, all schools
PATTERN_TOLERANCE = 1.0        # points
LEAST_PUBLISHED = 5000         # enrolments below which a published group is not held against the simulation
REASONS = ("I", "O", "G", "C", "M", "C2", "E", "U", "L", "approved")
SOURCES = {"I": "reason_i_authorised_illness", "O": "reason_o_other_unauthorised", "G": "reason_g_unauthorised_holiday", "C": "reason_c_authorised_other",
           "M": "reason_m_authorised_medical_dental", "C2": "reason_c2_authorised_temp_reduced_timetable", "E": "reason_e_authorised_excluded",
           "U": "reason_u_unauthorised_late_after_registers_closed", "L": "reason_l_present_late_before_registers_closed", "approved": "approved_educational_activity"}


@dataclass(frozen=True)
class Calibration:
    """What was measured.

    ``rates``: by phase and group, % of enrolments persistently and severely absent, published and simulated, and enrolments.
    ``reasons``: by phase and code, % of possible sessions. ``week``: absence by phase, weekday and session, %; ``friday_severe``:
    Friday afternoons beside other sessions among severely absent pupils, points, by phase. ``weeks``: absence by week of the autumn
    term, %, phases weighted as in the nation; ``year``: its named weeks. ``schools``: % of variance between schools by phase.
    ``gone``: % of autumn's persistent absentees off roll in spring. ``again``: correlation of half-term rates by phase and lag.
    """

    rates: pd.DataFrame
    reasons: pd.DataFrame
    week: pd.DataFrame
    friday_severe: dict[str, float]
    weeks: pd.DataFrame
    year: dict[str, float]
    schools: dict[str, float]
    gone: float
    again: pd.DataFrame
    marks: int


def calibration_design(primary: int = 60, secondary: int = 32, special: int = 60) -> SimulationSection:
    """A national sample with enough pupils of every phase and group."""
    values = load_protocol(PARAMS).section("simulation")
    national = sized_design(ROOT, values, "national-sample").model_dump(mode="json")
    area = {**national["areas"][0], "primary_schools": primary, "comparison_schools": secondary, "special_schools": special}
    return SimulationSection.model_validate(merged(national, {"areas": [area], "roll": {"pupils_per_school": 400}}), strict=False)


def published_rates(folder: Path) -> pd.DataFrame:
    """Persistent and severe absence of 2022/23 in England by phase and group, from the published absence bands."""
    bands = pd.read_parquet(folder / "data" / "dfe_absence_bands" / "absence_bands.parquet")
    bands = bands.loc[(bands["time_period"].astype(str) == YEAR.replace("/", "")) & (bands["geographic_level"] == "National")].copy()
    columns = [name for name in bands.columns if name.startswith("enrolments_absence")]
    bands[columns] = bands[columns].apply(pd.to_numeric, errors="coerce").fillna(0)
    bands["phase"] = bands["school_type"].str.replace("State-funded ", "").str.lower()
    bands["year"] = "Year " + bands["nc_year"].astype(int).astype(str)
    bands["meals"] = bands["fsm"].map({"Eligible": "free school meals", "Not Eligible": "no free school meals"})
    bands["needs"] = bands["sen"].map({"Any special educational need": "any SEN", "No identified special educational need": "no SEN"})
    parts = [bands.assign(group="all").groupby(["phase", "group"])[columns].sum()]
    parts += [bands.rename(columns={key: "group"}).groupby(["phase", "group"])[columns].sum() for key in ("meals", "needs", "year")]
    sums = pd.concat(parts)
    total = sums.sum(axis=1)
    table = pd.DataFrame({"enrolments_published": total, "persistent_published": 100 * sums[columns[2:]].sum(axis=1) / total, "severe_published": 100 * sums[columns[-1]] / total})
    wanted = [(phase, group) for phase in PHASES for group in groups_of(phase)]
    return table.loc[[key for key in wanted if key in table.index and table.at[key, "enrolments_published"] >= LEAST_PUBLISHED]]


def groups_of(phase: str) -> list[str]:
    """The groups of a phase, in the order in which they are printed."""
    return ["all", "free school meals", "no free school meals", "any SEN", "no SEN", *(f"Year {year}" for year in PHASE_YEAR_GROUPS[phase])]


def published_reasons(folder: Path) -> pd.Series:
    """Codes of 2025/26 in England, % of possible sessions, by phase and code."""
    table = pd.read_csv(folder / "data" / "dfe_attendance_2025_26" / "ytd.csv.gz", low_memory=False)
    table = table.loc[(table["geographic_level"] == "National") & table["education_phase"].str.lower().isin(PHASES)]
    rates = {(phase.lower(), code): 100 * float(row[source]) / float(row["possible_sessions"])
             for phase, row in table.set_index("education_phase").iterrows() for code, source in SOURCES.items()}
    return pd.Series(rates).loc[[(phase, code) for phase in PHASES for code in REASONS]]


def shares_of(persistent: np.ndarray, severe: np.ndarray, groups: dict[str, np.ndarray]) -> dict[str, tuple[float, float, int]]:
    """% persistently absent, % severely absent and number, by group."""
    return {name: (100 * persistent[mine].mean(), 100 * severe[mine].mean(), int(mine.sum())) for name, mine in groups.items() if mine.any()}


def _by_group(rows: dict[tuple[str, str], tuple], columns: list[str]) -> pd.DataFrame:
    """Rows by phase and group as a frame."""
    return pd.DataFrame(list(rows.values()), columns=columns, index=pd.MultiIndex.from_tuples(list(rows), names=["phase", "group"]))


def school_share(rate: np.ndarray, school: np.ndarray) -> float:
    """Share of variance between schools, % (one-way analysis of variance with unequal sizes [Searle, Casella and McCulloch 1992])."""
    _, place, count = np.unique(school, return_inverse=True, return_counts=True)
    mean = np.bincount(place, weights=rate) / count
    within = ((rate - mean[place]) ** 2).sum() / (len(rate) - len(count))
    size = (len(rate) - (count**2).sum() / len(rate)) / (len(count) - 1)
    between = ((count * (mean - rate.mean()) ** 2).sum() / (len(count) - 1) - within) / size
    return float(100 * between / (between + within))


@lru_cache(maxsize=1)
def _classes() -> pd.DataFrame:
    return pd.DataFrame([(c.code, c.class_before, c.class_from) for c in attendance_codes().values()], columns=["code", "before", "after"])


def open_extract(folder: Path) -> duckdb.DuckDBPyConnection:
    """DuckDB with the extract, and `sessions`: marks counted by pupil's phase, date, session, code and severe absence in the year."""
    con = duckdb.connect()
    con.execute("SET memory_limit = '3GB'")
    for name in ("marks", "pupils", "schools", "calendar", "absence_by_period"):
        con.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet('{folder / name}.parquet')")
    classes = _classes()
    con.register("class_list", classes)
    con.execute("CREATE TABLE enrolments AS SELECT pupil_id, school_id, academic_year, sum(sessions_possible) AS possible, sum(sessions_authorised + sessions_unauthorised) AS absent, "
                "sum(sessions_possible) FILTER (period <= 2) AS autumn, sum(sessions_authorised + sessions_unauthorised) FILTER (period <= 2) AS autumn_absent, "
                "count(*) FILTER (period = 3) AS in_spring FROM absence_by_period GROUP BY ALL HAVING possible > 0")
    con.execute("CREATE TABLE severe AS SELECT DISTINCT pupil_id, academic_year FROM enrolments WHERE 2 * absent >= possible")
    con.execute(f"CREATE TABLE sessions AS SELECT s.phase, m.date, m.session, m.code, v.pupil_id IS NOT NULL AS severe, count(*) AS n, any_value(c.academic_year) AS academic_year, "
                f"any_value(c.half_term) AS half_term, any_value(CASE WHEN m.date < DATE '{CODE_CHANGE}' THEN k.before ELSE k.after END) AS class "
                "FROM marks AS m JOIN schools AS s USING (school_id) JOIN calendar AS c USING (date) JOIN class_list AS k USING (code) "
                "LEFT JOIN severe AS v ON v.pupil_id = m.pupil_id AND v.academic_year = c.academic_year GROUP BY s.phase, m.date, m.session, m.code, severe")
    return con


ABSENT = "sum(n) FILTER (class IN ('authorised_absence', 'unauthorised_absence'))"
POSSIBLE = "sum(n) FILTER (class IN ('authorised_absence', 'unauthorised_absence', 'attending', 'approved_educational_activity'))"


def simulated_rates(con: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Persistent and severe absence of 2022/23 by phase and group, on enrolments, by the official definitions."""
    listed = con.execute("SELECT e.*, s.phase, p.year_group, p.fsm, p.sen_provision FROM enrolments AS e JOIN schools AS s USING (school_id) JOIN "
                         "(SELECT DISTINCT pupil_id, school_id, academic_year, year_group, fsm, sen_provision FROM pupils) AS p USING (pupil_id, school_id, academic_year) "
                         "WHERE e.academic_year = ?", [YEAR]).df()
    rows = {}
    for phase, mine in listed.groupby("phase"):
        groups = {"all": np.ones(len(mine), dtype=bool), "free school meals": mine["fsm"].to_numpy(), "no free school meals": ~mine["fsm"].to_numpy(),
                  "any SEN": (mine["sen_provision"] != "none").to_numpy(), "no SEN": (mine["sen_provision"] == "none").to_numpy()}
        groups |= {f"Year {year}": (mine["year_group"] == year).to_numpy() for year in PHASE_YEAR_GROUPS[phase]}
        found = shares_of((10 * mine["absent"] >= mine["possible"]).to_numpy(), (2 * mine["absent"] >= mine["possible"]).to_numpy(), groups)
        rows |= {(phase, name): values for name, values in found.items()}
    return _by_group(rows, ["persistent", "severe", "enrolments"])


def drawn_rates(seeds: tuple[int, ...] = DRAWS) -> pd.DataFrame:
    """As :func:`simulated_rates`, on pupils, over many draws without marks: what the design implies, and the standard error that is left."""
    found: dict[tuple[str, str], list[np.ndarray]] = {}
    for seed in seeds:
        drawn = draw_panel(calibration_design(), seed)
        possible, absent = (np.maximum(values[:, :6], 0).sum(axis=1).astype(int) for values in (drawn.outcomes.possible, drawn.outcomes.absent))
        pupils, there = drawn.pupils, possible > 0
        for position, phase in enumerate(PHASES):
            mine = there & (pupils.phase == position)
            groups = {"all": mine, "free school meals": mine & pupils.fsm, "no free school meals": mine & ~pupils.fsm, "any SEN": mine & (pupils.sen > 0), "no SEN": mine & (pupils.sen == 0)}
            groups |= {f"Year {year}": mine & (pupils.year_group[:, 0] == year) for year in PHASE_YEAR_GROUPS[phase]}
            for name, some in groups.items():
                counts = np.array([(10 * absent >= possible)[some].sum(), (2 * absent >= possible)[some].sum(), some.sum()])
                found.setdefault((phase, name), []).append(counts)
    rows = {key: _mean_share(np.array(counts)) for key, counts in found.items() if np.array(counts)[:, 2].sum()}
    return _by_group(rows, ["persistent_drawn", "severe_drawn", "pupils_drawn", "persistent_se", "severe_se"])


def _mean_share(counts: np.ndarray) -> tuple[float, float, int, float, float]:
    """Shares of persistent and severe absentees (%) over draws (rows: persistent, severe, all), pupils, and the shares' standard errors."""
    total = counts[:, 2].sum()
    shares = 100 * counts[:, :2].sum(axis=0) / total
    spread = (100 * counts[:, :2] - shares * counts[:, 2:]).std(axis=0, ddof=1) if len(counts) > 1 else np.full(2, np.nan)  # of a ratio of sums, by draw
    return float(shares[0]), float(shares[1]), int(total), *(float(value) for value in spread * len(counts) ** 0.5 / total)


def measure(folder: Path, published: Path) -> Calibration:
    """Measure an extract of all phases and set it beside the published figures."""
    with open_extract(folder) as con:
        simulated = simulated_rates(con)
        rates = published_rates(published).join(simulated, how="left").join(drawn_rates(), how="left")
        reasons = con.execute("SELECT s.phase, s.code, s.n, p.possible FROM (SELECT phase, CASE WHEN class = 'approved_educational_activity' THEN 'approved' ELSE code END AS code, sum(n) AS n "
                              f"FROM sessions WHERE academic_year = '{YEAR_OF_REASONS}' GROUP BY ALL) AS s JOIN (SELECT phase, {POSSIBLE} AS possible FROM sessions "
                              f"WHERE academic_year = '{YEAR_OF_REASONS}' GROUP BY ALL) AS p USING (phase)").df().set_index(["phase", "code"])
        official = published_reasons(published)
        table = pd.DataFrame({"published": official, "simulated": (100 * reasons["n"] / reasons["possible"]).reindex(official.index).fillna(0.0)})
        week = con.execute(f"SELECT phase, isodow(date) AS weekday, session, 100.0 * {ABSENT} / {POSSIBLE} AS absence FROM sessions WHERE academic_year = '{YEAR}' GROUP BY ALL ORDER BY ALL").df()
        friday = con.execute(f"SELECT phase, isodow(date) = 5 AND session = 'PM' AS last, 100.0 * {ABSENT} / {POSSIBLE} AS absence FROM sessions WHERE severe AND academic_year = '{YEAR}' GROUP BY ALL").df()
        severe = friday.pivot(index="phase", columns="last", values="absence")
        weeks, year = _autumn(con, rates)
        schools = {}
        for phase in PHASES:
            rows = con.execute("SELECT 100.0 * e.absent / e.possible AS rate, e.school_id FROM enrolments AS e JOIN schools AS s USING (school_id) WHERE s.phase = ? AND e.academic_year = ?", [phase, YEAR]).df()
            schools[phase] = school_share(rows["rate"].to_numpy(), rows["school_id"].to_numpy())
        gone = con.execute("SELECT 100.0 * avg((b.pupil_id IS NULL)::INT) FROM (SELECT pupil_id, academic_year FROM enrolments WHERE 10 * autumn_absent >= autumn AND autumn > 0) AS a LEFT JOIN "
                           "(SELECT DISTINCT pupil_id, academic_year FROM enrolments WHERE in_spring > 0) AS b USING (pupil_id, academic_year)").fetchone()[0]
        marks = con.execute("SELECT count(*) FROM marks").fetchone()[0]
        return Calibration(rates, table, week, (severe[True] - severe[False]).to_dict(), weeks, year, schools, float(gone), _again(con), marks)


def _autumn(con: duckdb.DuckDBPyConnection, rates: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, float]]:
    """Absence by week of the autumn term of the last year, all schools together, and in its named weeks."""
    rows = con.execute(f"SELECT phase, half_term, date_trunc('week', date)::DATE AS week, {ABSENT} AS absent, {POSSIBLE} AS possible FROM sessions "
                       f"WHERE academic_year = '{YEAR_OF_REASONS}' AND half_term <= 14 GROUP BY ALL").df()
    nation = rates.xs("all", level=1)["enrolments_published"]
    rows["rate"] = 100 * rows["absent"] / rows["possible"]
    rows["weight"] = rows["phase"].map(nation)
    together = lambda some: float(np.average(some["rate"], weights=some["weight"]))  # noqa: E731
    weeks = rows.groupby(["half_term", "week"])[["rate", "weight"]].apply(together).rename("absence").reset_index().sort_values("week", ignore_index=True)
    first, last = weeks.loc[weeks["half_term"] == 13], weeks.loc[weeks["half_term"] == 14]
    named = dict(zip(WITHIN_YEAR, (first["absence"].head(2).mean(), first["absence"].iloc[-1], last["absence"].iloc[-1]), strict=True))
    return weeks, {name: float(value) for name, value in named.items()}


def _again(con: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Correlation of pupils' half-term rates by phase and distance in half-terms."""
    rows = con.execute("SELECT s.phase, a.pupil_id, 6 * (left(a.academic_year, 4)::INT - 2022) + a.period AS half_term, 100.0 * sum(a.sessions_authorised + a.sessions_unauthorised) / "
                       "sum(a.sessions_possible) AS rate FROM absence_by_period AS a JOIN schools AS s USING (school_id) GROUP BY ALL HAVING sum(a.sessions_possible) >= 20").df()
    found = []
    for phase, mine in rows.groupby("phase"):
        wide = mine.pivot(index="pupil_id", columns="half_term", values="rate").to_numpy()
        for lag in (1, 2, 3, 6):
            pairs = [(wide[:, t], wide[:, t + lag]) for t in range(wide.shape[1] - lag)]
            both = np.concatenate([np.stack(pair)[:, ~np.isnan(pair[0]) & ~np.isnan(pair[1])] for pair in pairs], axis=1)
            found.append({"phase": phase, "lag": lag, "correlation": float(np.corrcoef(both)[0, 1])})
    return pd.DataFrame(found).pivot(index="phase", columns="lag", values="correlation").loc[list(PHASES)]


def run(published: Path, seed: int = SEED) -> Calibration:
    """Simulate the calibration sample and measure it."""
    with tempfile.TemporaryDirectory() as folder:
        simulate_extracts(calibration_design(), ROOT, Path(folder) / "extracts", seed)
        return measure(Path(folder) / "extracts", published)


def main() -> None:
    """Run, and write this part of the page and the pictures."""
    from evaluation.reporting.figures.calibration import patterns_figure, rates_figure
    from evaluation.reporting.palette import png_bytes
    from tests.simulation.calibration_text import results_text

    folder = os.environ.get("EVALUATION_PUBLISHED_DATA")
    if not folder:
        raise SystemExit("set EVALUATION_PUBLISHED_DATA to the folder that holds the published data")
    found = run(Path(folder))
    write_part(RESULTS, PART, results_text(found))
    for name, figure in zip(PICTURES, (rates_figure(found.rates), patterns_figure(found.week, found.weeks)), strict=True):
        RESULTS.with_name(name).write_bytes(png_bytes(figure, "Simulated beside published"))


if __name__ == "__main__":
    main()
