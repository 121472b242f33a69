"""Reach, time to first meeting and dose on a programme small enough to count by hand."""

from __future__ import annotations

import pandas as pd
import pytest

from evaluation.errors import DataError
from evaluation.impact.delivery import delivery_dose, delivery_reach, identification, link_meetings, referral_delivery

SPEC = {"first_meeting_with": ["pupil", "parent"], "completion_minimum_weeks": 12}

SCHOOLS = pd.DataFrame({"school_id": ["s1", "s2", "s3"], "area_code": ["A1", "A1", "A2"], "area_name": ["North", "North", "South"]})


def day(text: str | None) -> pd.Timestamp:
    return pd.Timestamp(text) if text else pd.NaT


def referrals() -> pd.DataFrame:
    rows = [
        # pupil p1 is referred twice; p2 never starts; p5's support goes on
        ("r1", "p1", "s1", "2023-09-04", True, "2023-09-18", "2023-12-18", "school based"),   # 13 weeks
        ("r2", "p2", "s1", "2023-09-04", False, None, None, None),
        ("r3", "p3", "s2", "2023-09-11", True, "2023-09-25", "2023-11-06", "family outreach"),  # 6 weeks
        ("r4", "p4", "s3", "2023-09-11", True, "2023-09-18", "2023-12-11", "school based"),   # 12 weeks exactly
        ("r5", "p5", "s3", "2024-01-08", True, "2024-01-15", None, "school based"),
        ("r6", "p1", "s1", "2024-02-05", True, "2024-02-12", "2024-03-11", "school based"),   # 4 weeks
    ]
    frame = pd.DataFrame(rows, columns=["referral_id", "pupil_id", "school_id", "referral_date", "started", "start_date", "end_date",
                                        "delivery_model"])
    for name in ("referral_date", "start_date", "end_date"):
        frame[name] = frame[name].map(day)
    return frame.assign(consented=frame["started"])


def meetings() -> pd.DataFrame:
    rows = [
        ("m1", "p1", "2023-09-08", "school", 30, True),    # the school: no first meeting
        ("m2", "p1", "2023-09-11", "pupil", 0, False),     # not kept
        ("m3", "p1", "2023-09-18", "pupil", 60, True),     # first meeting, 14 days after the referral
        ("m4", "p1", "2024-02-05", "parent", 45, True),    # on the day of the second referral
        ("m5", "p3", "2023-10-01", "parent", 40, True),    # 20 days
        ("m6", "p4", "2023-09-15", "pupil", 20, True),     # 4 days
        ("m7", "p4", "2023-09-01", "pupil", 50, True),     # before any referral: belongs to none
    ]
    frame = pd.DataFrame(rows, columns=["meeting_id", "pupil_id", "meeting_date", "with_whom", "minutes", "kept"])
    return frame.assign(meeting_date=pd.to_datetime(frame["meeting_date"]))


@pytest.fixture
def delivery() -> pd.DataFrame:
    return referral_delivery(referrals(), meetings(), SCHOOLS, **SPEC)


def cohort() -> pd.DataFrame:
    return pd.DataFrame({
        "pupil_id": ["p1", "p1", "p2", "p6", "p4", "c1"], "area_code": ["A1", "A1", "A1", "A1", "A2", "A3"],
        "mentor_school": [True, True, True, True, True, False], "eligible": True,
    })


def row(table: pd.DataFrame, level: str, area: str = "all", model: str = "all") -> pd.Series:
    found = table.loc[table["level"].eq(level) & table["area_code"].eq(area) & table["delivery_model"].eq(model)]
    assert len(found) == 1
    return found.iloc[0]


def test_a_meeting_belongs_to_the_latest_referral_on_or_before_it():
    linked = link_meetings(referrals(), meetings()).set_index("meeting_id")["referral_id"]
    assert linked.drop("m7").to_dict() == {"m1": "r1", "m2": "r1", "m3": "r1", "m4": "r6", "m5": "r3", "m6": "r4"}
    assert pd.isna(linked["m7"])


def test_time_to_first_meeting_runs_from_referral_to_the_first_kept_meeting_with_pupil_or_parent(delivery):
    days = delivery.set_index("referral_id")["days_to_first_meeting"]
    assert days.dropna().to_dict() == {"r1": 14, "r3": 20, "r4": 4, "r6": 0}
    assert days[["r2", "r5"]].isna().all()


def test_completed_needs_the_registered_weeks_and_an_end(delivery):
    assert delivery.set_index("referral_id")["completed"].to_dict() == {
        "r1": True, "r2": False, "r3": False, "r4": True, "r5": False, "r6": False,
    }


def test_reach_of_the_programme_and_its_parts(delivery):
    reach = delivery_reach(delivery, cohort(), minimum_models=2)
    programme = row(reach, "programme")
    counts = ["eligible", "eligible_referred", "referrals", "referred", "consented", "started", "completed", "schools", "first_meetings"]
    assert programme[counts].tolist() == [4, 3, 6, 5, 4, 4, 2, 3, 4]
    assert programme["share_started"] == pytest.approx(0.8)
    assert programme["share_completed"] == pytest.approx(0.5)
    assert programme["median_days_to_first_meeting"] == pytest.approx(9)   # 0, 4, 14, 20
    north = row(reach, "area", "A1")
    assert north[["area_name", "eligible", "eligible_referred", "referred", "started"]].tolist() == ["North", 3, 2, 3, 2]
    school_based = row(reach, "delivery model", model="school based")
    assert school_based[["referred", "started", "completed"]].tolist() == [3, 3, 2]
    assert pd.isna(school_based["eligible"])
    assert row(reach, "area and delivery model", "A1", "not assigned")["referred"] == 1


def test_share_started_is_not_given_by_model_where_only_starters_have_one(delivery):
    reach = delivery_reach(delivery, cohort(), minimum_models=2)
    by_model = reach["delivery_model"].ne("all")
    assert reach.loc[by_model, "share_started"].isna().all()
    assigned = delivery.assign(delivery_model=delivery["delivery_model"].replace("not assigned", "school based"))
    found = row(delivery_reach(assigned, cohort(), minimum_models=2), "delivery model", model="school based")
    assert found["share_started"] == pytest.approx(3 / 4)


def test_dose_is_of_those_who_started_with_none_counted_as_nought(delivery):
    dose = delivery_dose(delivery, minimum_models=2)
    programme = row(dose, "programme")
    # kept after referral: r1 2, r3 1, r4 1, r5 0, r6 1; arranged: 3, 1, 1, 0, 1
    assert programme[["pupils", "meetings_arranged", "meetings_kept"]].tolist() == [4, 6, 5]
    assert programme["schools"] == delivery.loc[delivery["started"], "school_id"].nunique()
    assert programme["share_kept"] == pytest.approx(5 / 6)
    assert programme["median_meetings_kept"] == 1
    assert programme["minutes_per_meeting"] == pytest.approx((30 + 60 + 40 + 20 + 45) / 5)
    assert programme["median_weeks"] == pytest.approx(9)   # 4, 6, 12, 13
    assert row(dose, "area", "A2")["meetings_kept"] == 1
    assert "not assigned" not in set(dose["delivery_model"])


def place(model: str, area: str, school: str) -> dict:
    return {"delivery_model": model, "area_code": area, "school_id": school, "started": True}


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ([place("m", "A1", "s1")], "not identified: in one school only"),
        ([place("m", "A1", "s1"), place("m", "A1", "s2"), place("other", "A1", "s3")], "not identified: in one area only"),
        ([place("m", "A1", "s1"), place("m", "A2", "s2"), place("other", "A3", "s3"), place("other", "A4", "s4")],
         "not identified: never beside another model in the same area"),
        ([place("m", "A1", "s1"), place("m", "A2", "s2"), place("other", "A1", "s3"), place("other", "A2", "s4")],
         "descriptive: models ran side by side, but were not allocated at random"),
    ],
)
def test_a_model_nested_in_a_place_is_not_identified(others, expected):
    assert identification(pd.DataFrame(others), minimum_models=2)["m"] == expected


def test_every_row_of_a_model_carries_what_its_comparison_means(delivery):
    reach = delivery_reach(delivery, cohort(), minimum_models=2)
    assert row(reach, "delivery model", model="family outreach")["identification"] == "not identified: in one school only"
    assert row(reach, "programme")["identification"] == "not a comparison of models"
    assert row(reach, "delivery model", model="not assigned")["identification"] == "not a comparison of models"


def test_order_of_rows_and_names_of_pupils_do_not_matter(delivery):
    def renamed(frame):
        return frame.assign(pupil_id="x" + frame["pupil_id"]).sample(frac=1, random_state=4)

    again = referral_delivery(renamed(referrals()), renamed(meetings()), SCHOOLS.iloc[::-1], **SPEC)
    pd.testing.assert_frame_equal(
        delivery_reach(delivery, cohort(), minimum_models=2), delivery_reach(again, renamed(cohort()), minimum_models=2)
    )
    pd.testing.assert_frame_equal(delivery_dose(delivery, minimum_models=2), delivery_dose(again, minimum_models=2))


def test_no_referral_gives_a_programme_of_noughts():
    nobody = referral_delivery(referrals().iloc[:0], meetings().iloc[:0], SCHOOLS, **SPEC)
    reach = delivery_reach(nobody, cohort(), minimum_models=2)
    assert row(reach, "programme")[["eligible", "referred", "started"]].tolist() == [4, 0, 0]
    assert pd.isna(row(reach, "programme")["share_started"])
    assert row(delivery_dose(nobody, minimum_models=2), "programme")["pupils"] == 0


def test_a_referral_from_an_unknown_school_is_named():
    lost = referrals()
    lost.loc[3, "school_id"] = "s9"
    with pytest.raises(DataError, match="school is not in the list") as refused:
        referral_delivery(lost, meetings(), SCHOOLS, **SPEC)
    assert "referral r4" in refused.value.where


def test_support_that_ends_before_it_starts_is_named():
    turned = referrals()
    turned.loc[0, "end_date"] = day("2023-09-01")
    with pytest.raises(DataError, match="ends before it starts") as refused:
        referral_delivery(turned, meetings(), SCHOOLS, **SPEC)
    assert "referral r1" in refused.value.where
