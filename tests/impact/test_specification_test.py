"""The joint test of a specification curve: equal to refitting by hand, of the right size, and refused where labels cannot be dealt."""

from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest

from evaluation.errors import UnidentifiedError
from evaluation.impact import ChangeEstimate, estimate_change
from evaluation.impact.specification_test import MEAN_T, MEDIAN, REMATCHED, joint_test
from evaluation.inference import linear

LEVEL, REPLICATIONS = 0.05, 200


def pupils(seed: int, *, effect: float = 0.0, schools: int = 6, areas: int = 2, each: int = 8) -> pd.DataFrame:
    """Half of each area's schools have mentors; changes have a part that a school's pupils share."""
    draw = np.random.default_rng(seed)
    rows = pd.DataFrame([(f"A{a}S{s}", f"A{a}", s < schools // 2) for a in range(areas) for s in range(schools) for _ in range(each)], columns=["school_id", "area_code", "mentor"])
    code = pd.factorize(rows["school_id"])[0]
    shared, stack = draw.normal(0, 1.0, code.max() + 1)[code], draw.integers(7, 9, len(rows))
    return rows.assign(treated=rows["mentor"].astype(int), stack=stack, followup_possible=180, change=shared + draw.normal(0, 3.0, len(rows)) - effect * rows["mentor"])


def branches(rows: pd.DataFrame, seed: int, count: int = 4) -> list:
    """Branches with weights of their own on the same pupils, fixed before anybody is dealt a treatment."""
    draw = np.random.default_rng([seed, 1])
    return [estimate_change(rows.assign(w=draw.choice([0.0, 0.5, 1.0, 2.0], len(rows))), within_area=True, weight="w") for _ in range(count)]


def quick_branches(rows: pd.DataFrame, seed: int, template: ChangeEstimate, count: int = 4) -> list[ChangeEstimate]:
    """The same without the estimates, of which the test makes its own."""
    draw = np.random.default_rng([seed, 1])
    cells = rows.assign(cell=rows["stack"].astype(str) + "|" + rows["area_code"])
    drawn = [cells.assign(weight=draw.choice([0.0, 0.5, 1.0, 2.0], len(rows))) for _ in range(count)]
    return [replace(template, rows=own.loc[own["weight"] > 0].reset_index(drop=True)) for own in drawn]


def test_equal_to_refitting_every_assignment_by_hand():
    rows = pupils(3, schools=4, each=6)
    changes = branches(rows, 3)
    found = joint_test(changes, draws=999, seed=0).frame.set_index("statistic")
    areas = [[f"A{a}S{s}" for s in range(4)] for a in range(2)]
    effects, statistics = [], []
    for chosen in product(*(combinations(area, 2) for area in areas)):
        given = {school for pair in chosen for school in pair}
        fits = [linear(c.rows.assign(t=c.rows["school_id"].isin(given).astype(int)), "change", ["t"], weights="weight", absorb=["cell"], cluster="school_id", kind="CR1").frame.iloc[0]
                for c in changes]
        effects.append(np.median([-f["estimate"] for f in fits]))
        statistics.append(np.mean([-f["statistic"] for f in fits]))
    own = {f"A{a}S{s}" for a in range(2) for s in range(2)}
    place = [{s for pair in chosen for s in pair} for chosen in product(*(combinations(area, 2) for area in areas))].index(own)
    assert found["enumerated"].all() and (found["assignments"] == 36).all() and (found["floor"] == 2 / 36).all()
    assert found.loc[MEDIAN, "value"] == pytest.approx(effects[place]) == pytest.approx(np.median([c.estimate for c in changes]))
    for statistic, values in ((MEDIAN, effects), (MEAN_T, statistics)):
        assert found.loc[statistic, "p_value"] == pytest.approx(np.mean(np.abs(values) >= abs(values[place]) * (1 - 1e-9)))


def test_the_size_is_right_where_mentors_do_nothing_and_an_effect_is_seen():
    limit = LEVEL + 2 * np.sqrt(LEVEL * (1 - LEVEL) / REPLICATIONS)
    template = branches(pupils(0), 0, count=1)[0]
    null = pd.concat([joint_test(quick_branches(pupils(seed), seed, template), draws=399, seed=seed).frame for seed in range(REPLICATIONS)])
    rejected = (null["p_value"] <= LEVEL).groupby(null["statistic"]).mean()
    assert (rejected <= limit).all() and (rejected > 0.01).all()
    seen = [joint_test(quick_branches(pupils(seed, effect=4.0), seed, template), draws=399, seed=seed).frame["p_value"].max() for seed in range(10)]
    assert np.median(seen) <= LEVEL


def test_branches_that_repeat_do_not_add_up():
    changes = branches(pupils(5, effect=1.0), 5, count=1)
    one, many = (joint_test(changes * k, draws=399, seed=0).frame.set_index("statistic") for k in (1, 20))
    pd.testing.assert_series_equal(one["p_value"], many["p_value"])


def test_matching_anew_under_every_assignment_on_demand():
    rows = pupils(4, schools=4, each=6)
    changes = branches(rows, 4, count=2)

    def rematch(number: int, given: pd.Series) -> float:
        dealt = changes[number].rows.assign(treated=lambda f: f["school_id"].map(given))
        return estimate_change(dealt, within_area=True, weight="weight").estimate

    held, anew = (joint_test(changes, draws=999, seed=0, rematch=how).frame.set_index("statistic") for how in (None, rematch))
    assert anew.index.tolist() == [MEDIAN] and anew["method"].item() == REMATCHED
    assert anew.loc[MEDIAN, "p_value"] == held.loc[MEDIAN, "p_value"]  # here the match is the same under every assignment


@pytest.mark.parametrize(("change", "said"), [("none", "nothing to test"), ("both arms", "both arms"), ("one kind", "schools of both kinds")])
def test_refusals(change, said):
    rows = pupils(1)
    if change == "none":
        changes = []
    elif change == "both arms":
        changes = [estimate_change(rows.assign(treated=lambda f: np.where(f.index == 0, 1 - f["treated"], f["treated"])), within_area=True)]
    else:
        changes = [estimate_change(rows.assign(area_code=lambda f: f["area_code"] + f["mentor"].astype(str)), within_area=False)]
    with pytest.raises(UnidentifiedError, match=said):
        joint_test(changes, draws=99, seed=0)
