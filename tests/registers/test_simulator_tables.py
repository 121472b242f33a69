"""The simulated tables agree with each other: marks with enrolments, suspensions and totals; support with its meetings and surveys."""

import json

import duckdb
import pandas as pd
import pytest

from evaluation.registers.codes import ABSENT_CLASSES, CODE_CHANGE, PRESENT_CLASSES, attendance_codes
from evaluation.registers.simulator import simulate_extracts
from evaluation.registers.simulator.sizes import SIZES, merged, sized_design

from small_study import SEED, small_design, study_values

BUSY = {"roll__moving_within_year": 0.3, "roll__dual_share": 0.2, "roll__excluded_share": 0.3, "roll__moving_in_september": 0.1}


@pytest.fixture(scope="module")
def busy(tmp_path_factory, root):
    """An extract in which much moves: pupils between schools within and between years, dual registration, exclusions."""
    folder = tmp_path_factory.mktemp("busy")
    simulate_extracts(small_design(**BUSY, support__caseload=60), root, folder, SEED)
    return folder


@pytest.fixture(scope="module")
def con(busy):
    """DuckDB with every table of the busy extract, and the classes of codes by date."""
    with duckdb.connect() as con:
        for path in busy.glob("*.parquet"):
            con.execute(f"CREATE VIEW {path.stem} AS SELECT * FROM read_parquet('{path}')")
        classes = pd.DataFrame([(c.code, c.class_before, c.class_from) for c in attendance_codes().values()], columns=["code", "before", "after"])
        con.execute("CREATE TABLE classes AS SELECT * FROM classes")
        con.execute(f"CREATE VIEW classed AS SELECT m.*, CASE WHEN m.date < DATE '{CODE_CHANGE}' THEN c.before ELSE c.after END AS class, d.academic_year, d.half_term "
                    "FROM marks AS m JOIN classes AS c USING (code) JOIN calendar AS d USING (date)")
        yield con


def count(con, query: str) -> int:
    return con.execute(query).fetchone()[0]


def test_the_busy_extract_has_what_these_tests_are_about(con):
    assert count(con, "SELECT count(*) FROM pupils WHERE leaving_reason = 'moved to another school of the area'") > 60
    assert count(con, "SELECT count(*) FROM pupils WHERE enrolment_status = 'subsidiary'") > 25
    assert count(con, "SELECT count(*) FROM suspensions WHERE kind = 'permanent exclusion'") > 5
    assert count(con, "SELECT count(*) FROM classed WHERE class IS NULL") == 0


def test_every_mark_falls_in_an_enrolment_of_that_pupil_at_that_school(con):
    inside = "p.pupil_id = m.pupil_id AND p.school_id = m.school_id AND p.academic_year = m.academic_year AND m.date >= p.enrolment_start AND (p.enrolment_end IS NULL OR m.date <= p.enrolment_end)"
    assert count(con, f"SELECT count(*) FROM classed AS m WHERE NOT EXISTS (SELECT 1 FROM pupils AS p WHERE {inside})") == 0


def test_every_session_of_an_enrolment_has_a_mark(con):
    days = "SELECT p.pupil_id, p.school_id, c.date FROM pupils AS p JOIN calendar AS c ON c.academic_year = p.academic_year AND c.school_day AND c.date >= p.enrolment_start AND (p.enrolment_end IS NULL OR c.date <= p.enrolment_end)"
    year_11 = "SELECT pupil_id, academic_year FROM pupils WHERE year_group = 11"
    missing = f"SELECT count(*) FROM ({days}) AS d LEFT JOIN (SELECT pupil_id, school_id, date, count(*) AS n FROM marks GROUP BY ALL) AS m USING (pupil_id, school_id, date) WHERE coalesce(m.n, 0) <> 2"
    assert count(con, missing) == 0 and count(con, f"SELECT count(*) FROM ({year_11})") > 0


def test_a_dually_registered_pupil_has_one_real_mark_a_session_and_d_at_the_other_school(con):
    sessions = "SELECT pupil_id, date, session, count(*) FILTER (code <> 'D') AS real, count(*) FILTER (code = 'D') AS elsewhere FROM marks GROUP BY ALL"
    assert count(con, f"SELECT count(*) FROM ({sessions}) WHERE real <> 1 OR elsewhere > 1") == 0
    dual = con.execute(f"SELECT avg(elsewhere) FROM ({sessions}) WHERE pupil_id IN (SELECT pupil_id FROM pupils WHERE enrolment_status = 'subsidiary')").fetchone()[0]
    assert 0.05 < dual < 0.5
    spans = con.execute("SELECT a.pupil_id, a.enrolment_status, b.enrolment_status FROM pupils AS a JOIN pupils AS b ON a.pupil_id = b.pupil_id AND a.academic_year = b.academic_year "
                        "AND a.school_id < b.school_id AND a.enrolment_start <= coalesce(b.enrolment_end, DATE '2100-01-01') AND b.enrolment_start <= coalesce(a.enrolment_end, DATE '2100-01-01')").fetchall()
    assert len(spans) > 25 and {frozenset(row[1:]) for row in spans} == {frozenset({"main", "subsidiary"})}


def test_suspensions_are_the_runs_of_code_e(con, busy):
    con.execute("CREATE TEMP VIEW numbered AS SELECT date, row_number() OVER (ORDER BY date) AS day FROM calendar WHERE school_day")
    longest = small_design().reasons.suspension_days[1]
    spans = (f"SELECT s.suspension_id, s.sessions, count(m.date) AS marked FROM suspensions AS s JOIN numbered AS n ON n.date = s.start_date JOIN numbered AS d ON d.day BETWEEN n.day AND n.day + {longest - 1} "
             "JOIN marks AS m ON m.code = 'E' AND m.pupil_id = s.pupil_id AND m.school_id = s.school_id AND m.date = d.date WHERE s.kind = 'suspension' GROUP BY ALL")
    runs = count(con, "SELECT count(*) FROM suspensions WHERE kind = 'suspension'")
    assert count(con, f"SELECT count(*) FROM ({spans}) WHERE marked >= sessions AND sessions >= 1") == runs > 100
    assert count(con, "SELECT sum(sessions) FROM suspensions") == count(con, "SELECT count(*) FROM marks WHERE code = 'E'")
    listed = pd.read_parquet(busy / "suspensions.parquet")
    out = listed.loc[listed["kind"] == "permanent exclusion"]
    assert (out["sessions"] == 0).all()
    left = con.execute("SELECT pupil_id, school_id, enrolment_end FROM pupils WHERE leaving_reason = 'permanently excluded'").df()
    assert set(out["pupil_id"]) == set(left["pupil_id"])


def test_totals_by_half_term_are_the_sums_of_the_marks(con):
    absent = {kind: f"count(*) FILTER (class = '{kind}')" for kind in ABSENT_CLASSES}
    possible = f"count(*) FILTER (class IN {(*PRESENT_CLASSES, *ABSENT_CLASSES)})"
    sums = (f"SELECT pupil_id, school_id, academic_year, (half_term - 1) % 6 + 1 AS period, {possible} AS possible, {absent['authorised_absence']} AS authorised, "
            f"{absent['unauthorised_absence']} AS unauthorised FROM classed GROUP BY ALL HAVING possible > 0")
    wrong = (f"SELECT count(*) FROM ({sums}) AS s FULL JOIN absence_by_period AS a USING (pupil_id, school_id, academic_year, period) "
             "WHERE s.possible IS DISTINCT FROM a.sessions_possible OR s.authorised IS DISTINCT FROM a.sessions_authorised OR s.unauthorised IS DISTINCT FROM a.sessions_unauthorised")
    assert count(con, wrong) == 0 and count(con, "SELECT count(*) FROM absence_by_period") > 3000


def test_meetings_barriers_and_surveys_belong_to_pupils_in_support(con):
    inside = "t.pupil_id = r.pupil_id AND {day} BETWEEN r.start_date AND r.end_date"
    for name, day in (("meetings", "t.meeting_date"), ("barriers", "t.assessed_on"), ("barriers", "coalesce(t.resolved_on, t.assessed_on)"), ("survey_items", "t.answered_on")):
        outside = f"SELECT count(*) FROM {name} AS t WHERE NOT EXISTS (SELECT 1 FROM referrals AS r WHERE {inside.format(day=day)})"
        if name == "survey_items":  # answered within the settling days of start and end
            outside = outside.replace("r.start_date AND r.end_date", "r.start_date AND r.end_date + 14")
        assert count(con, outside) == 0, (name, day)
    assert count(con, "SELECT count(*) FROM meetings AS m JOIN referrals AS r USING (pupil_id) WHERE m.mentor_id <> r.mentor_id") == 0
    assert count(con, "SELECT max(n) FROM (SELECT count(*) AS n FROM barriers GROUP BY pupil_id, barrier_type)") == 1
    assert count(con, "SELECT count(*) FROM survey_items AS i ANTI JOIN survey_scales AS s USING (scale, item)") == 0
    assert count(con, "SELECT count(*) FROM survey_items AS i JOIN survey_scales AS s USING (scale, item) WHERE i.response NOT BETWEEN s.lowest AND s.highest") == 0
    assert 0 < count(con, "SELECT count(*) FILTER (response IS NULL) FROM survey_items") < 0.1 * count(con, "SELECT count(*) FROM survey_items")


def test_reversed_items_run_against_their_scale(busy):
    items, scales = pd.read_parquet(busy / "survey_items.parquet"), pd.read_parquet(busy / "survey_scales.parquet")
    wide = items.loc[items["wave"] == "baseline"].pivot_table(index="pupil_id", columns="item", values="response")
    for _, scale in scales.groupby("scale"):
        with_scale, against = (wide[scale.loc[scale["reverse"] == kind, "item"]].mean(axis=1) for kind in (False, True))
        assert with_scale.corr(against) < -0.2


def test_deliveries_hold_the_digest_of_every_other_table(busy):
    listed = pd.read_parquet(busy / "deliveries.parquet").set_index("table")["sha256"].to_dict()
    files = json.loads((busy / "simulation.json").read_text(encoding="utf-8"))["files"]
    assert listed == {name.removesuffix(".parquet"): value for name, value in files.items() if "/" not in name and name != "deliveries.parquet"}


def test_month_of_birth_fits_the_year_group(busy):
    pupils = pd.read_parquet(busy / "pupils.parquet")
    year, month = pupils["month_of_birth"].str[:4].astype(int), pupils["month_of_birth"].str[5:].astype(int)
    age = pupils["academic_year"].str[:4].astype(int) - year + (month <= 8)  # age reached by the end of August after the year begins
    assert (age == pupils["year_group"] + 5).all() and (pupils.groupby("pupil_id")["month_of_birth"].nunique() == 1).all()


def test_planned_costs_add_up_to_the_planned_unit_cost(extract):
    costs, design = pd.read_parquet(extract / "costs.parquet"), study_values()["simulation"]["costs"]
    paid = costs.loc[costs["payer"] == "Department", "amount"].sum()
    assert paid == pytest.approx(design["unit_cost"]["value"] * design["planned_starts"], rel=1e-4)
    assert costs.loc[costs["payer"] == "Department", "source"].str.contains("planned").all()
    assert set(costs["basis"]) == {"planned"}


def test_sizes_change_the_design_block_by_block(root):
    values = study_values()["simulation"]
    assert merged({"a": {"b": 1, "c": [1]}, "d": 2}, {"a": {"c": [2]}}) == {"a": {"b": 1, "c": [2]}, "d": 2}
    designs = {size: sized_design(root, values, size) for size in SIZES}
    assert designs["demo"].model_dump(mode="json") == type(designs["demo"]).model_validate_json(json.dumps(values)).model_dump(mode="json")
    assert set(designs["national-sample"].other_phases) == {"primary", "special"} and designs["trial"].reasons == designs["demo"].reasons
    assert len(designs["trial"].areas) == 5
    from evaluation.errors import ParameterError
    with pytest.raises(ParameterError, match="no size `tiny`"):
        sized_design(root, values, "tiny")
