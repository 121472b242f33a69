"""The release of the default study against a hostile reader who knows what its words mean: no group of 1 to 9 pupils may be recovered."""

from __future__ import annotations

import pytest

from . import hostile
from .run_folder import ROOT, RunFolder, default_run

THRESHOLD = 10


class Truth(dict):
    """Tables of the run, read when asked for: they name the small groups and judge what was learned."""

    def __init__(self, run: RunFolder):
        super().__init__()
        self.run = run

    def __missing__(self, name: str):
        self[name] = self.run.table(name)
        return self[name]


@pytest.fixture(scope="module")
def known(tmp_path_factory) -> hostile.Hostile:
    """All that the release says, with all that its words mean."""
    run = default_run(tmp_path_factory)
    truth = Truth(run)
    known = hostile.read(run.folder / "release", ROOT / "data_dictionary", truth)
    hostile.knows(known, truth)
    return known


def test_no_small_group_is_recovered_from_counts_shares_and_the_meaning_of_words(known):
    asked, learned = hostile.learned(known, THRESHOLD)
    assert asked >= 50 and learned == []


def test_no_sum_of_sessions_is_a_few_pupils_times_the_sessions_of_a_half_term(known):
    assert hostile.sessions(known, THRESHOLD) == []


def test_the_reader_recovers_what_is_left_between_two_printed_counts_and_no_more():
    known = hostile.Hostile()
    whole, part, one, other = known.add("whole", 20, 20, 20), known.add("part", 11, 11, 11), known.add("one", 4), known.add("other", 16)
    known.within(whole, part)
    known.adds(whole, [one, other])
    assert hostile.learned(known, THRESHOLD) == (2, ["whole LESS part: 9 lies in 9 to 9"])


def test_the_reader_sees_two_pupils_in_a_sum_of_sessions():
    row = {"area_name": "A", "half_term": "3", "pupils": "970", "sessions_expected": "56260", "sessions_marked": "56376", "sessions_possible": "56260", "sessions_not_possible": "0"}
    known = hostile.Hostile(rows={"register_quality": [row]})
    assert len(hostile.sessions(known, THRESHOLD)) == 1 and "116 = 2 pupils times 58" in hostile.sessions(known, THRESHOLD)[0]
