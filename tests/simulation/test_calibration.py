"""Simulated registers reproduce the published statistics within the stated tolerances."""

from __future__ import annotations

import pytest

from tests.results_page import read_part
from tests.simulation import calibration as c
from tests.simulation.calibration_text import friday_afternoon, lowest_day, results_text

SEEDS = (101, 102, 103, 104)  # of the quick look
# A quick look at fewer draws: the stated tolerances and two standard errors of these draws, by simulation 0.6 and 0.15 points; groups
# below 5,000 pupils are left to the slow tests.
QUICK_PERSISTENT, QUICK_SEVERE = 2.7, 1.0
LEAST_PUPILS = 5000


@pytest.fixture(scope="module")
def found(published) -> c.Calibration:
    return c.run(published)


def compare(rates, persistent: str, severe: str, wide_persistent: float, wide_severe: float) -> list[str]:
    """Groups outside the tolerances, in words."""
    off = rates.assign(p=(rates[persistent] - rates["persistent_published"]).abs() > wide_persistent, s=(rates[severe] - rates["severe_published"]).abs() > wide_severe)
    return [f"{key}: persistent {row[persistent]:.2f} for {row['persistent_published']:.2f}, severe {row[severe]:.2f} for {row['severe_published']:.2f}"
            for key, row in off.iterrows() if row["p"] or row["s"]]


def test_draws_have_the_published_rates_in_every_large_group(published):
    rates = c.published_rates(published).join(c.drawn_rates(SEEDS), how="left")
    large = rates.loc[rates["pupils_drawn"] >= LEAST_PUPILS]
    assert len(large) >= 18 and rates["pupils_drawn"].notna().all()
    assert compare(large, "persistent_drawn", "severe_drawn", QUICK_PERSISTENT, QUICK_SEVERE) == []


@pytest.mark.slow
def test_rates_by_phase_meals_needs_and_year_group_are_the_published_ones(found):
    assert compare(found.rates, "persistent_drawn", "severe_drawn", c.PERSISTENT_TOLERANCE, c.SEVERE_TOLERANCE) == []


@pytest.mark.slow
def test_enrolments_with_marks_have_the_rates_of_the_draws(found):
    """Within four standard errors of a sample of that size, doubled because pupils of a school are alike."""
    for kind in ("persistent", "severe"):
        share = found.rates[f"{kind}_drawn"] / 100
        error = 100 * (2 * share * (1 - share) / found.rates["enrolments"]) ** 0.5
        assert ((found.rates[kind] - found.rates[f"{kind}_drawn"]).abs() < 4 * error).all()


@pytest.mark.slow
def test_every_code_is_within_a_quarter_of_its_rate(found):
    ratio = found.reasons["simulated"] / found.reasons["published"]
    assert ratio.between(1 - c.REASON_TOLERANCE, 1 + c.REASON_TOLERANCE).all(), ratio.to_string()


@pytest.mark.slow
def test_the_week_and_the_year_have_the_published_shape(found):
    for phase, published in c.FRIDAY.items():
        assert friday_afternoon(found.week, phase) == pytest.approx(published, abs=0.5)
        assert c.FRIDAY_SEVERE[0] - 0.5 <= found.friday_severe[phase] <= c.FRIDAY_SEVERE[1] + 0.5
        assert lowest_day(found.week, phase) == "Wednesday"
        mine = found.week.loc[found.week["phase"] == phase]
        highest = mine.loc[mine["absence"].idxmax()]
        assert (highest["weekday"], highest["session"]) == (5, "PM")
    for name, value in found.year.items():
        assert value == pytest.approx(c.WITHIN_YEAR[name], abs=c.PATTERN_TOLERANCE), name


@pytest.mark.slow
def test_schools_differ_and_persistent_absentees_leave_as_published(found):
    assert all(c.SCHOOL_SHARE[0] <= value <= c.SCHOOL_SHARE[1] for value in found.schools.values()), found.schools
    assert found.gone == pytest.approx(c.GONE, abs=c.GONE_TOLERANCE)


@pytest.mark.slow
def test_half_terms_of_a_pupil_are_alike_and_less_so_the_further_apart(found):
    assert (found.again.diff(axis=1).iloc[:, 1:] < 0).all(axis=None) and found.again.to_numpy().min() > 0.3


@pytest.mark.slow
def test_the_printed_results_are_those_of_this_code(found):
    assert read_part(c.RESULTS, c.PART) == results_text(found).strip() + "\n", "regenerate it: python -m tests.simulation.calibration"
