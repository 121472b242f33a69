"""Fidelity, barriers, caseloads, models and dose on a programme small enough to count by hand."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import yaml
from small_trial import PARAMS

from evaluation.errors import DataError
from evaluation.impact.change import estimate_change
from evaluation.impact.delivery_models import COMPARED, REFUSED, TOO_FEW, dose_response, model_comparison, supported_rows
from evaluation.impact.support import CONSENT, EVERY, LONG, OFTEN, SOON, delivery_barriers, delivery_caseload, delivery_fidelity
from evaluation.protocol.trial import DeliverySection


def rules(**changes) -> DeliverySection:
    values = yaml.safe_load(PARAMS.read_text(encoding="utf-8"))["delivery"]
    return DeliverySection.model_validate_json(json.dumps({**values, **changes}))


def delivery() -> pd.DataFrame:
    """Referrals: met soon and often; late; not often; short; never started; still going on."""
    rows = [("r1", "p1", "s1", "A", True, True, 10, 10, 12.0), ("r2", "p2", "s1", "A", True, True, 15, 20, 12.0), ("r3", "p3", "s2", "A", True, True, 1, 3, 16.0),
            ("r4", "p4", "s2", "B", True, True, None, 8, 8.0), ("r5", "p5", "s3", "A", False, False, None, 0, None), ("r6", "p6", "s3", "B", False, True, 14, 5, None)]
    frame = pd.DataFrame(rows, columns=["referral_id", "pupil_id", "school_id", "delivery_model", "consented", "started", "days_to_first_meeting",
                                        "meetings_kept", "weeks"])
    frame["area_code"] = frame["school_id"].map({"s1": "X", "s2": "X", "s3": "Y"})
    return frame.assign(area_name="Area " + frame["area_code"]).astype({"days_to_first_meeting": "Float64", "weeks": "Float64"})


def test_components_are_counted_among_referrals_that_started():
    table = delivery_fidelity(delivery(), rules=rules()).query("level == 'programme'").set_index("component")
    assert table["started"].eq(5).all()
    assert table["schools"].eq(3).all()
    assert table.loc[CONSENT, ["known", "met"]].tolist() == [5, 4]
    assert table.loc[SOON, ["known", "met"]].tolist() == [5, 3]  # within 14 days: r1, r3, r6; r4 never met
    assert table.loc[OFTEN, ["known", "met"]].tolist() == [4, 3]  # at least 0.75 a week: r1 (10 of 9), r2, r4 (8 of 6); r3 3 of 12
    assert table.loc[LONG, ["known", "met"]].tolist() == [4, 3] and table.loc[LONG, "share"] == pytest.approx(0.75)
    assert table.loc[EVERY, ["known", "met"]].tolist() == [4, 1]  # r1


def test_rows_of_places_and_models_add_up_to_the_programme():
    table = delivery_fidelity(delivery(), rules=rules())
    whole = table.query("level == 'programme'").set_index("component")["met"]
    for level in ("area", "delivery model", "area and delivery model"):
        assert table.loc[table["level"].eq(level)].groupby("component")["met"].sum().to_dict() == whole.to_dict()
    assert "not identified: in one area only" in set(table.query("level == 'delivery model' and delivery_model == 'A'")["identification"])


def barriers() -> pd.DataFrame:
    frame = pd.DataFrame([("b1", "p1", "anxiety", "2023-10-01", "2023-10-11"), ("b2", "p1", "health", "2023-10-01", None), ("b3", "p2", "anxiety", "2023-10-01", "2023-10-31"),
                          ("b4", "p5", "anxiety", "2023-10-01", None)], columns=["barrier_id", "pupil_id", "barrier_type", "assessed_on", "resolved_on"])
    return frame.assign(assessed_on=pd.to_datetime(frame["assessed_on"]), resolved_on=pd.to_datetime(frame["resolved_on"]), resolved=frame["resolved_on"].notna())


def test_barriers_are_those_of_pupils_who_started_and_count_pupils_once():
    table = delivery_barriers(barriers(), delivery()).query("area_code == 'all'").set_index("barrier_type")
    assert table.loc["any", ["pupils_started", "pupils_assessed", "pupils", "barriers", "resolved"]].tolist() == [5, 2, 2, 3, 2]
    assert table.loc["anxiety", ["pupils", "barriers", "resolved"]].tolist() == [2, 2, 2] and table.loc["anxiety", "median_days_to_resolve"] == 20.0
    assert table.loc["health", "share"] == pytest.approx(0.5) and table.loc["health", "share_resolved"] == 0.0


def test_a_barrier_resolved_before_it_was_found_is_refused():
    with pytest.raises(DataError, match="resolved before it was assessed"):
        delivery_barriers(barriers().assign(resolved_on=pd.Timestamp("2023-09-01")), delivery())


SCHOOLS = pd.DataFrame({"school_id": ["s1", "s2"], "area_code": ["X", "Y"], "area_name": ["North", "South"]})


def test_caseloads_count_pupils_on_a_day_ends_included():
    day = pd.Timestamp
    referrals = pd.DataFrame([("p1", "s1", "m1", "2023-10-01", "2023-10-10"), ("p2", "s1", "m1", "2023-10-10", "2023-10-12"), ("p3", "s1", "m1", "2023-10-20", None),
                              ("p4", "s2", "m2", "2023-10-01", "2023-10-05"), ("p5", "s2", None, "2023-10-01", "2023-10-05")],
                             columns=["pupil_id", "school_id", "mentor_id", "start_date", "end_date"]).assign(started=True)
    for name in ("start_date", "end_date"):
        referrals[name] = pd.to_datetime(referrals[name])
    meetings = pd.DataFrame({"meeting_date": [day("2023-10-24")]})
    table = delivery_caseload(referrals, meetings, SCHOOLS).set_index("area_code")
    assert table.loc["X", ["mentors", "pupils", "most_at_once"]].tolist() == [1, 3, 2]  # p1 and p2 share 10 October
    # 1 to 9 October one, 10 two, 11 and 12 one, 20 to 24 one: 18 pupil-days over 17 days
    assert table.loc["X", "mean_at_once"] == pytest.approx(18 / 17)
    assert table.loc["all", "without_mentor"] == 1 and table.loc["all", "median_most_at_once"] == 1.5 and table.loc["all", "schools_per_mentor"] == 1.0


def test_nobody_supported_is_a_caseload_of_nothing():
    nobody = pd.DataFrame({"pupil_id": ["p"], "school_id": ["s1"], "mentor_id": [None], "start_date": pd.to_datetime([None]), "end_date": pd.to_datetime([None]),
                           "started": [False]})
    table = delivery_caseload(nobody, pd.DataFrame({"meeting_date": pd.to_datetime([])}), SCHOOLS)
    assert table["mentors"].tolist() == [0] and pd.isna(table["most_at_once"].iloc[0])


def supported(models: dict[str, str], pupils: int = 20, gap: float = 3.0, seed: int = 2) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Pupils who started, by school and its model; pupils of "outreach" gain ``gap`` more."""
    draw = np.random.default_rng(seed)
    rows = pd.DataFrame({"school_id": np.repeat(list(models), pupils)})
    n = len(rows)
    rows = rows.assign(area_code=rows["school_id"].str[0], delivery_model=rows["school_id"].map(models), stack=draw.integers(7, 9, n), followup_possible=180,
                       pupil_id=[f"P{i:03d}" for i in range(n)], meetings_kept=draw.integers(2, 15, n), weeks=draw.integers(8, 20, n).astype(float))
    rows["change"] = draw.normal(0, 3, n) - gap * (rows["delivery_model"] == "outreach") - 0.5 * rows["meetings_kept"]
    return rows, rows.assign(started=True, referral_id=rows["pupil_id"])


SIDE_BY_SIDE = {f"{area}{s}": "outreach" if s < 3 else "school" for area in "XY" for s in range(6)}


def test_models_side_by_side_are_compared_and_labelled():
    rows, referrals = supported(SIDE_BY_SIDE)
    table = model_comparison(rows, referrals, rules=rules(), confidence_level=0.95).set_index("delivery_model")
    assert table["result"].eq(COMPARED).all() and "not allocated at random" in table.loc["outreach", "text"]
    assert table.loc["outreach", "estimate"] == pytest.approx(3.0, abs=1.2) and table.loc["outreach", "estimate"] == pytest.approx(-table.loc["school", "estimate"])
    expected = estimate_change(rows.assign(treated=(rows["delivery_model"] == "outreach").astype(int), one=1.0), within_area=True, weight="one")
    assert table.loc["outreach", "std_error"] == pytest.approx(expected.std_error) and table.loc["outreach", "pupils_beside"] == 120


@pytest.mark.parametrize(("models", "said"), [
    ({**{f"X{s}": "outreach" for s in range(4)}, **{f"Y{s}": "school" for s in range(4)}}, "in one area only"),
    ({**{f"{a}{s}": "school" for a in "XY" for s in range(4)}, "X9": "outreach"}, "in one school only"),
    ({**{f"{a}{s}": "outreach" for a in "XY" for s in range(3)}, **{f"{a}{s}": "school" for a in "ZW" for s in range(3)}}, "never beside another model"),
])
def test_a_model_nested_in_a_place_is_refused_and_shown_descriptively(models, said):
    rows, referrals = supported(models, pupils=40)
    row = model_comparison(rows, referrals, rules=rules(), confidence_level=0.95).set_index("delivery_model").loc["outreach"]
    assert row["result"] == REFUSED and said in row["text"] and pd.isna(row["estimate"]) and pd.isna(row["conf_low"])
    assert row["mean_change"] == pytest.approx(-rows.loc[rows["delivery_model"] == "outreach", "change"].mean())


def test_a_model_of_five_pupils_is_too_few_to_say():
    rows, referrals = supported(SIDE_BY_SIDE)
    few = rows["delivery_model"].ne("outreach") | rows.groupby("delivery_model").cumcount().isin([0, 20, 40, 60, 80])
    table = model_comparison(rows.loc[few], referrals.loc[few], rules=rules(), confidence_level=0.95).set_index("delivery_model")
    assert table.loc["outreach", "pupils"] == 5 and table.loc["outreach", "result"] == TOO_FEW and "at least 30 pupils" in table.loc["outreach", "text"]
    assert table[["estimate", "conf_low"]].isna().all().all() and pd.isna(table.loc["outreach", "mean_change"])


def test_dose_is_shown_by_thirds_with_ties_together_and_labelled_observational():
    rows, _ = supported(SIDE_BY_SIDE)
    table = dose_response(rows, rules=rules(), confidence_level=0.95)
    kept = table.query("measure == 'meetings kept'").set_index("group")
    assert kept.loc[["lowest third", "middle third", "highest third"], "pupils"].sum() == len(rows) == kept.loc["slope", "pupils"]
    assert kept.loc["lowest third", "most"] < kept.loc["middle third", "least"] and kept.loc["middle third", "most"] < kept.loc["highest third", "least"]
    assert kept.loc["slope", "estimate"] == pytest.approx(0.5, abs=0.25) and table["text"].str.startswith("observational").all()
    few = dose_response(rows.head(12), rules=rules(), confidence_level=0.95)
    assert few["estimate"].isna().all() and few["mean_change"].isna().all() and few["text"].eq("too few to say").all()


def test_a_formative_report_looks_at_no_outcome():
    rows, referrals = supported(SIDE_BY_SIDE)
    cohort = rows.drop(columns=["delivery_model", "meetings_kept", "weeks"]).assign(analysed=True, referred=True, started=True, entry="first")
    weights = pd.DataFrame({"entries": ["first"]})
    assert supported_rows(cohort, referrals, weights, estimates=pd.DataFrame({"estimate": []})).empty
    shown = supported_rows(cohort, referrals, weights, estimates=pd.DataFrame({"estimate": [1.0]}))
    assert len(shown) == len(rows) and {"delivery_model", "weeks"} <= set(shown)
    nothing = shown.head(0)
    assert model_comparison(nothing, referrals, rules=rules(), confidence_level=0.95).empty and dose_response(nothing, rules=rules(), confidence_level=0.95).empty
