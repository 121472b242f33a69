"""Windows: symmetry around the window, the same season at both ends, and refusals."""

import pytest

from evaluation.design import season_matched_windows
from evaluation.design.windows import HALF_TERMS_A_YEAR
from evaluation.errors import ParameterError
from small_trial import section


def test_the_usual_windows():
    windows = season_matched_windows(window_length=1, gap=1, measured_length=3)
    assert windows.baseline == (-4, -3, -2) and windows.eligibility == (0,) and windows.follow_up == (2, 3, 4)
    assert [windows.role(e) for e in windows.event_times] == ["baseline"] * 3 + ["left out", "eligibility window", "left out"] + ["follow-up"] * 3


@pytest.mark.parametrize(("window", "gap", "length"), [(1, 0, 5), (1, 1, 3), (1, 2, 1), (2, 0, 4), (2, 1, 2)])
def test_every_allowed_layout_is_symmetric_and_season_matched(window, gap, length):
    windows = season_matched_windows(window_length=window, gap=gap, measured_length=length)
    assert tuple(e + HALF_TERMS_A_YEAR for e in windows.baseline) == windows.follow_up
    before = windows.eligibility[0] - windows.baseline[-1]
    assert before == windows.follow_up[0] - windows.eligibility[-1] == gap + 1


@pytest.mark.parametrize(("window", "gap", "length"), [(1, 1, 2), (1, 0, 3), (2, 1, 3), (0, 1, 4), (1, -1, 7)])
def test_windows_that_compare_seasons_are_refused(window, gap, length):
    with pytest.raises(ParameterError):
        season_matched_windows(window_length=window, gap=gap, measured_length=length)


def test_the_protocol_refuses_them_too():
    with pytest.raises(ValueError, match="one year apart"):
        section("cohort", measured_length=2)


@pytest.mark.parametrize(("changes", "said"), [
    ({"score_covariates": ["window_absence_rate", "baseline_rate"]}, "overlap the baseline"), ({"exact_columns": ["stack", "baseline_rate"]}, "overlap the baseline"),
    ({"score_covariates": ["followup_rate"]}, "known only after the window"), ({"exact_columns": ["stack", "started"]}, "known only after the window"),
])
def test_matching_on_the_baseline_or_on_outcomes_is_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        section("matching", **changes)
    if "overlap" in said:
        section("matching", **changes, baseline_overlap_reason="registered to show its cost")
