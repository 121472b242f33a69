"""The decision test of a comparison: named from the design, with the interval that inverts that same test."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from evaluation.errors import UnidentifiedError
from evaluation.impact import decide, estimate_change
from evaluation.impact.decision import OPEN_ENDED, SAME_WEIGHTS
from evaluation.impact.estimate import figures
from evaluation.inference import linear, randomisation_test
from small_trial import section

RULES = section("impact")


def rows_of(schools: dict[str, tuple[str, int]], *, pupils: int = 6, effect: float = -3.0, seed: int = 1) -> pd.DataFrame:
    """Pupils of schools given as ``{school: (area, treated)}``, with changes in absence drawn by school and pupil."""
    draw = np.random.default_rng(seed)
    lines = [{"school_id": school, "area_code": area, "treated": treated, "stack": 6 + place % 2, "followup_possible": 180,
              "change": float(effect * treated + shock + draw.normal(0, 2))}
             for school, (area, treated) in schools.items() for shock in [draw.normal(0, 0.5)] for place in range(pupils)]
    return pd.DataFrame(lines)


MANY = {f"{area}{kind}{i}": (area, int(kind == "M")) for area in ("X", "Y") for kind in "MC" for i in range(4)}
FEW = {f"{area}{kind}{i}": (area, int(kind == "M")) for area in ("X", "Y") for kind in "MC" for i in range(2)}


def test_with_enough_schools_the_interval_is_that_of_cr2():
    change = estimate_change(rows_of(MANY), within_area=True)
    found = decide(change, within_area=True, rules=section("impact", confidence_level=0.9))
    own = figures(change.estimate, change.std_error, change.df, conf_level=0.9)
    assert found.test == "cr2_satterthwaite" and not found.fragile and found.floor is None and "8 schools with mentors" in found.reason
    assert [found.conf_low, found.conf_high, found.p_value] == pytest.approx([own["conf_low"], own["conf_high"], own["p_value"]])


def test_with_few_schools_randomisation_decides_by_counting_every_assignment():
    rows = rows_of(FEW)
    change = estimate_change(rows, within_area=True)
    found = decide(change, within_area=True, rules=RULES)
    assert found.test == "randomisation" and found.fragile and "at least 5 schools with mentors, not 4" in found.reason
    assert found.assignments == 36 and found.floor == pytest.approx(2 / 36) and "cannot reach a p-value below 0.056" in " ".join(found.warnings)

    def statistic(given: set) -> float:
        dealt = rows.assign(treated=rows["school_id"].isin(given).astype(int), cell=rows["area_code"] + rows["stack"].astype(str))
        return abs(linear(dealt, "change", ["treated"], absorb=["cell"], cluster="school_id", kind="CR1").frame["statistic"].iloc[0])

    by_area = [[school for school, (area, _) in FEW.items() if area == name] for name in ("X", "Y")]
    every = [statistic({*x, *y}) for x in combinations(by_area[0], 2) for y in combinations(by_area[1], 2)]
    observed = statistic({school for school, (_, treated) in FEW.items() if treated})
    assert found.p_value == pytest.approx(np.mean(np.array(every) >= observed * (1 - 1e-9)))
    assert abs(found.statistic) == pytest.approx(observed)


def test_the_interval_inverts_the_same_test_and_turns_with_the_sign():
    schools = {f"X{kind}{i}": ("X", int(kind == "M")) for kind, count in (("M", 4), ("C", 4)) for i in range(count)}
    rows = rows_of(schools, pupils=8)
    change, mirror = (estimate_change(rows, within_area=True, sign=sign) for sign in (-1, 1))
    found, other = (decide(item, within_area=True, rules=section("impact", confidence_level=0.9)) for item in (change, mirror))
    assert (found.conf_low, found.conf_high) == pytest.approx((-other.conf_high, -other.conf_low)) and found.estimate == pytest.approx(-other.estimate)
    assert found.conf_low < found.estimate < found.conf_high
    data = mirror.rows.assign(later=(mirror.rows["stack"] == 7).astype(float))

    def p(null: float) -> float:
        return randomisation_test(data, "change", "treated", cluster="school_id", block="area_code", covariates=["later"], null=null).p_value

    assert p(other.conf_low - 1e-6) <= 0.1 < p(other.conf_low + 1e-6) and p(other.conf_high + 1e-6) <= 0.1 < p(other.conf_high - 1e-6)


def test_weights_that_do_not_depend_on_who_had_mentors_go_to_randomisation():
    rows = rows_of(FEW).assign(risk=lambda f: 0.2 + 0.1 * (np.arange(len(f)) % 3))
    rows["weight"] = rows["risk"] * np.where(rows["treated"] == 1, 1.0, np.where(rows["area_code"] == "X", 3.0, 0.5))
    change = estimate_change(rows, within_area=True, weight="weight")
    found = decide(change, within_area=True, rules=RULES, unscaled="risk")
    cell = change.rows
    alone = linear(cell, "change", ["treated"], weights="risk", absorb=["cell"], cluster="school_id", kind="CR1").frame["estimate"].iloc[0]
    assert found.estimate == pytest.approx(-alone) and abs(found.estimate - change.estimate) > 1e-6 and SAME_WEIGHTS in found.warnings
    assert SAME_WEIGHTS not in decide(change, within_area=True, rules=RULES, unscaled="weight").warnings


def test_too_few_assignments_leave_the_interval_open_and_say_that_the_design_decides_nothing():
    schools = {"XM0": ("X", 1), "XM1": ("X", 1), "XC0": ("X", 0), "XC1": ("X", 0)}
    found = decide(estimate_change(rows_of(schools), within_area=True), within_area=True, rules=RULES)
    assert found.floor == pytest.approx(2 / 6) and not np.isfinite(found.conf_low) and OPEN_ENDED in found.warnings
    assert "No effect, however large" in " ".join(found.warnings)


def test_an_area_without_an_untreated_school_is_refused():
    change = estimate_change(rows_of(FEW), within_area=True)
    lonely = replace(change, rows=change.rows.loc[~change.rows["school_id"].isin(["YC0", "YC1"])])
    with pytest.raises(UnidentifiedError, match="no untreated cluster"):
        decide(lonely, within_area=True, rules=RULES)


def test_the_order_of_rows_does_not_matter():
    rows = rows_of(FEW)
    found, other = (decide(estimate_change(data, within_area=True), within_area=True, rules=RULES, seed=5)
                    for data in (rows, rows.sample(frac=1, random_state=4)))
    assert found.p_value == other.p_value and found.conf_low == pytest.approx(other.conf_low)
