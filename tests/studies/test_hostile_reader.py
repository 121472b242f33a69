"""The release of the default study against a hostile reader who knows what its words mean: no group of 1 to 9 pupils may be recovered."""

from __future__ import annotations

import html
import re

import pytest

from . import hostile
from .run_folder import EDITIONS, ROOT, RunFolder, default_run, words

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


@pytest.mark.parametrize("edition", EDITIONS)
def test_the_cleared_page_does_not_say_in_its_ids_and_links_what_its_text_withholds(tmp_path_factory, edition):
    folder = default_run(tmp_path_factory).folder
    full, page = (re.sub(r"data:image[^\"]*", "", (folder / name / edition).read_text(encoding="utf-8")) for name in ("working", "report"))
    shown = words(page)
    withheld = [text for part in re.findall(r"(?s)<p[ >].*?</p>|<li[ >].*?</li>", full) if re.search(r"\d", text := words(part)) and text not in shown]
    attributes = html.unescape(" ".join(re.findall(r'\s(?:id|href|name|title|alt|content|aria-[a-z]+|data-[a-z]+)="([^"]*)"', page))).lower()
    for text in withheld:
        slug = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-").split("-")
        runs = ["-".join(slug[i : i + 4]) for i in range(len(slug) - 3)]
        assert not [run for run in runs if re.search(r"\d", run) and run in attributes], text
    assert withheld or edition != "technical.html"


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
