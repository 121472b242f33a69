"""Match rates between census, registers and delivery logs, against counts by hand; unlinked referrals stay in the flow."""

import pytest
from small_study import ROOT
from tiny import tables, write_extract

from evaluation.registers.dictionary import check_frame
from evaluation.registers.entries import load_table
from evaluation.registers.intake import EXTRACT_TABLES, take_in


@pytest.fixture(scope="module")
def taken(tmp_path_factory, section):
    """Pupil-6 has no mark in 2024/25; one referral, one meeting and one barrier name a pupil whom no census knows."""
    found = tables()
    found["marks"] = [m for m in found["marks"] if not (m["pupil_id"] == "pupil-6" and m["date"].year == 2024)]
    found["referrals"][2]["pupil_id"] = "stranger"
    found["meetings"][2]["pupil_id"] = "stranger"
    found["barriers"][0]["pupil_id"] = "nobody"
    folder = write_extract(tmp_path_factory.mktemp("linkage") / "extract", found)
    return take_in(folder, ROOT, section.model_copy(update={"reject_tolerance": dict.fromkeys(EXTRACT_TABLES, 0.0)}))


def rates(taken, link: str, by: str) -> dict:
    rows = taken["linkage"].query("link == @link and by == @by")
    return {row.value: (row.rows, row.linked, row.unlinked, round(row.match_rate, 1)) for row in rows.itertuples()}


def test_the_table_keeps_to_the_dictionary(taken):
    assert len(check_frame(load_table(ROOT, "linkage"), taken["linkage"])) == len(taken["linkage"]) > 20
    assert (taken["linkage"]["rows"] == taken["linkage"]["linked"] + taken["linkage"]["unlinked"]).all()


def test_census_to_registers_by_arm_school_and_characteristic(taken):
    assert rates(taken, "census to registers", "all") == {"all": (12, 11, 1, 91.7)}
    assert rates(taken, "census to registers", "arm") == {"with mentors": (6, 6, 0, 100.0), "without mentors": (6, 5, 1, 83.3)}
    assert rates(taken, "census to registers", "school") == {"S1": (6, 6, 0, 100.0), "S2": (6, 5, 1, 83.3)}
    assert rates(taken, "census to registers", "sex") == {"female": (6, 6, 0, 100.0), "male": (6, 5, 1, 83.3)}
    assert rates(taken, "census to registers", "fsm") == {"no": (8, 7, 1, 87.5), "yes": (4, 4, 0, 100.0)}
    assert rates(taken, "census to registers", "year_group") == {"8": (6, 6, 0, 100.0), "9": (6, 5, 1, 83.3)}
    assert rates(taken, "census to registers", "sen_provision") == {"none": (4, 4, 0, 100.0), "support": (4, 4, 0, 100.0), "ehcp": (4, 3, 1, 75.0)}


def test_delivery_logs_to_census_and_to_referrals(taken):
    assert rates(taken, "referrals to census", "all") == {"all": (3, 2, 1, 66.7)}
    assert rates(taken, "referrals to census", "delivery_model") == {"family": (1, 0, 1, 0.0), "one to one": (1, 1, 0, 100.0)}
    assert rates(taken, "meetings to census", "arm") == {"with mentors": (3, 2, 1, 66.7)}
    assert rates(taken, "meetings to referrals", "all") == {"all": (3, 3, 0, 100.0)}
    assert rates(taken, "barriers to census", "school") == {"not known": (2, 1, 1, 50.0)}, "neither pupil was referred, so no school is known"
    assert rates(taken, "barriers to referrals", "all") == {"all": (2, 0, 2, 0.0)}
    assert rates(taken, "survey answers to census", "all") == {"all": (4, 4, 0, 100.0)}


def test_an_unlinked_referral_stays_listed_and_is_counted_in_the_flow(taken):
    assert set(taken["referral_list"]["pupil_id"]) == {"pupil-1", "pupil-2", "stranger"}
    assert "stranger" in set(taken["meeting_list"]["pupil_id"])
    counts = taken["intake_counts"].set_index("table")
    assert counts.loc["referrals", "rows_rejected"] == 0 and counts.loc["referrals", "rows_accepted"] == 3
