"""Numbers of people in words: each hostile sentence is seen, no harmless one is taken for one."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from evaluation.registers.entries import Column, Table
from evaluation.reporting.disclosure import PROFILES, Disclosure, clear_tables, judge_sentence, people_counts
from evaluation.reporting.disclosure.wording import names_people, shares_stated

HOSTILE = [
    ("Two pupils came back.", [2]), ("Pupils: 4", [4]), ("4 eligible pupils were lost.", [4]), ("A pupil was lost.", [1]), ("A child in Middlesbrough left.", [1]), ("One of them left.", [1]),
    ("Of the pupils, one of them left.", [1]), ("Small numbers (n = 4).", [4]), ("(n=4)", [4]), ("N = 7", [7]), ("Four of the referred did not start.", [4]), ("3 (of 40) came back", [3, 40]),
    ("All but 2 pupils came back.", [2]), ("Between 3 and 5 pupils left.", [3, 5]), ("3 to 5 pupils", [3, 5]), ("3\u20135 pupils", [3, 5]), ("Three or four children left.", [3, 4]),
    ("1,234 pupils", [1234]), ("Of the 40 referred, 38 started.", [40, 38]), ("40 pupils were referred and all but two came back.", [40, 2]), ("Only 2 came back.", [2]), ("3 were lost.", [3]),
    ("A couple of pupils left.", [2]), ("The only pupil in the area left.", [1]), ("12 pupils of 6 schools with mentors and 4 of 7 comparison schools", [12, 4]), ("Set beside 8 like them.", [8]),
    ("Pupils who did not start: 2", [2]), ("The number of pupils lost was 4.", [4]), ("Twenty-one pupils left.", [21]), ("Eleven boys and six girls left.", [11, 6]),
    ("Pupils in 20 schools were followed; 3 of them moved.", [3]), ("It lost 3 Year 11 pupils.", [3]), ("Of 40 pupils, 3 had no partner.", [40, 3]), ("6 young people left.", [6]),
    ("Fewer than 3 pupils left.", [3]), ("No. of pupils = 5", [5]), ("Five, all of them boys, left.", [5]), ("Pupils (4)", [4]), ("4 out of 40 pupils", [4, 40]), ("2 families moved.", [2]),
    ("5 severely absent, troubled pupils left.", [5]), ("Nine of the 40 pupils", [9, 40]), ("Two others left.", [2]), ("Seven had no similar pupil.", [7]), ("6 more were absent than attended; pupils numbered 7.", [6, 7]),
    ("There were 2 barriers.", [2]), ("Over 3 half-terms, 4 pupils left.", [4]), ("In 2 schools, two pupils left.", [2]), ("The pupils lost were 4.", [4]), ("It fell from 9 to 4 pupils.", [9, 4]),
    ("Pupils referred: 12; lost: 3.", [12, 3]), ("Of 12 eligible, 3 declined.", [12, 3]), ("There was 1 exclusion among 40 pupils.", [1, 40]), ("1 in 20 pupils left.", [1, 20]),
    ("3 or fewer pupils left.", [3]), ("20+ pupils", [20]), ("10\u201314 pupils", [10, 14]), ("Four fewer pupils were absent.", [4]), ("Only one pupil was excluded.", [1]), ("In Year 10, 3 pupils left.", [3]),
    ("Pupils lost (n=3)", [3]), ("Between two and four of them left.", [2, 4]), ("3 pupils' parents agreed.", [3]), ("9 out of every 100 pupils", [9, 100]),
    ("Three of the pupils referred, in 2 schools, left.", [3]), ("5 of the referred pupils (2%) left.", [5]),
]  # fmt: skip
"""Sentences with every number of people in them."""

HARMLESS = [
    "Pupils referred attended 0.9 more days per pupil over the 3 half-terms measured than similar pupils with usual support (95% interval 0.2 to 1.7; 1.0 points).",
    "A pupil enters at the first half-term that meets the rule.", "One school holds 6% of what tells the effect.", "Days are counted over 4 half-terms of 2 years.", "9 registered checks: 7 hold, none fails, 2 are too imprecise to say.",
    "Security rating: at most 4 of 5, from the design.", "Each extra day cost \u00a31,043.", "It takes 3 days per pupil to repay the cost.", "In 2022/23 and 2023/24, pupils came back.", "Year 11 ended before Year 12 began.",
    "registered on 21 November 2026, 3 amendments since", "One half-term is an unreliable measure of a pupil, so whoever is chosen by a bad one comes back towards other pupils.", "A difference may be one of pupils or schools.",
    "A programme that both arms had explains no effect; one whose reach changed in one arm could.", "Days from referral to the first meeting, of referrals that led to one.", "the sign is the same without any one area", "Over 50 registered choices the effect lies between 0.6 and 1.7.",
    "Comparison schools lie in 5 areas.", "4 half-terms later they missed 9.0% of sessions.", "the one registered for pupils", "Of 13,925,746 rows read from 14 tables, 0 broke a rule and were refused.", "CR2 decides: 20 schools with mentors, 25.8 degrees of freedom.",
    "20 schools, 4 areas and 2 trusts took part.", "Points above zero mean more attendance.", "Over the 3 half-terms studied, pupils came back.", "about one in five pupils", "2 points of pupils' sessions", "a rate of 5 per 100 sessions", "2 pupil-level records", "Ten per cent of pupils", "The verdict is one of five fixed wordings, chosen by a registered rule.", "2 registered checks of pupils' attendance", "key stage 4", "half-term 4", "Stack 3",
]  # fmt: skip


@pytest.mark.parametrize("text, counts", HOSTILE)
def test_every_number_of_people_is_seen(text, counts):
    assert [c.value for c in people_counts(text)] == counts


@pytest.mark.parametrize("text", HARMLESS)
def test_days_points_money_and_schools_are_not_people(text):
    assert [c.value for c in people_counts(text) if c.value] == []


def test_a_limit_is_not_a_count_but_a_small_limit_is_seen():
    assert [(c.value, c.bound) for c in people_counts("Fewer than 10 pupils, at least 30 pupils and exactly 12 pupils.")] == [(10, True), (30, True), (12, False)]


@pytest.mark.parametrize("text, shares", [
    ("9.4% of referred pupils were lost", [9.4]), ("441 started (64%)", [64.0]), ("28 pupils (8%) stand in no comparison", [8.0]), ("98.6% kept, of pupils referred", [98.6]), ("pupils (95% interval 1 to 2)", []),
    ("pupils missed 16.7% of sessions, and others 16.4%", []), ("the probability of breaking even for these pupils is 2%", []), ("at 80% power, for pupils referred", []), ("prices rose by 2%", []),
])  # fmt: skip
def test_percentages_of_people_are_told_from_levels_and_rates(text, shares):
    assert [s.value for s in shares_stated(text)] == shares


@pytest.mark.parametrize("name, title, unit, people", [
    ("pupils", "Pupils", "pupils", True), ("n", "Children", None, True), ("referred_per_pupil", "Pupils referred per pupil", "pupils referred per pupil", False), ("days", "Days per pupil", None, False),
    ("cost", "Cost", "\u00a3 per pupil", False), ("referrals", "Referrals", None, True), ("schools", "Schools with pupils", "schools", False), ("eligible", "Eligible pupils", None, True),
])  # fmt: skip
def test_columns_that_count_people_are_known_by_name_title_or_unit(name, title, unit, people):
    assert names_people(SimpleNamespace(name=name, title=title, unit=unit)) is people


def entry(name: str, frame: pd.DataFrame, disclosure: dict) -> Table:
    """An entry of the dictionary for a hand-made table."""
    types = {"int64": "integer", "float64": "number"}
    columns = tuple(Column(c, types.get(str(frame[c].dtype), "string"), c.replace("_", " "), "", False, False, None, None, None, None, "pupils" if "pupils" in c else None, "aggregate", ()) for c in frame)
    return Table(name, name, "", "", None, "aggregate", (frame.columns[0],), (), columns, 0, (), Path(name), disclosure=disclosure)


@pytest.fixture
def clearance():
    """Two areas, the second with a small share that is held back; a place that the protocol registers."""
    def table(name, about, frame, **more):
        return name, (entry(name, frame, {"about": about, **more}), frame)

    reach = table("reach", "pupils", pd.DataFrame({"area": ["A", "B"], "referred": [40, 60], "started": [22, 57], "share": [55.0, 95.0]}), dimensions={"area": None},
                  counts={"referred": "r", "started": "s"}, parts=[["started", "referred"]], shares={"share": ["started", "referred"]})
    plan = table("plan", "no pupils", pd.DataFrame({"place": ["school"], "pupils_started": [6.4]}), why="registered places")
    secret = table("secret", "not for release", pd.DataFrame({"a": [1]}), why="single schools")
    return clear_tables(dict([reach, plan, secret]), PROFILES["srs"], "restricted")


@pytest.mark.parametrize("text, rows, reason", [
    ("40 pupils were referred, of whom 22 started (55%).", ["reach: area=A"], ""), ("40 pupils were referred.", [], ""), ("Of 41 pupils, most came back.", [], "no released table shows"),
    ("40 pupils were referred.", ["reach: area=B"], "rows behind it"), ("A share of 3 pupils.", [], "below the threshold"), ("95% of the pupils referred started.", ["reach: area=B"], "held back"),
    ("55% of the pupils referred started.", ["reach: area=A"], ""), ("55% of the pupils referred started.", [], "nothing says of which table"), ("All pupils of area B started.", ["reach: area=B"], "held back"),
    ("Attendance rose by 1.5 points.", ["reach: area=B"], "held back"), ("It rests on 6 schools.", ["secret"], "not released"), ("A school would need a mentor for 6 pupils who start.", ["plan"], ""),
    ("6 pupils started.", ["reach"], "below the threshold"), ("Write to pupil 004217.", [], "pupil identifier"), ("Fewer than 10 pupils started.", ["reach: area=B"], ""), ("40 pupils, as registered.", ["protocol: amendments"], ""),
])  # fmt: skip
def test_a_sentence_states_only_what_released_tables_show(clearance, text, rows, reason):
    said = judge_sentence(text, rows, clearance)
    assert reason in said and bool(said) == bool(reason)


def test_a_sentence_states_no_count_to_the_last_digit_where_the_profile_rounds():
    frame = pd.DataFrame({"area": ["A"], "n": [43]})
    rounded = clear_tables({"roll": (entry("roll", frame, {"about": "pupils", "dimensions": {"area": None}, "counts": {"n": "n"}}), frame)}, PROFILES["dfe_absence"], "restricted")
    assert judge_sentence("43 pupils stayed.", [], rounded) and judge_sentence("45 pupils stayed.", [], rounded) == ""
    assert isinstance(rounded.cleared[0].spec, Disclosure)


def test_sentences_of_a_study_of_published_statistics_name_whom_others_counted():
    bands = pd.DataFrame({"area": ["A"], "rate": [9.1]})
    said = pd.DataFrame({"key": ["who"], "text": ["223 pupils started, 4 of them in one school, as the press reported."]})
    tables = {"bands": (entry("bands", bands, {"about": "published statistics"}), bands), "headline": (entry("headline", said, {"about": "sentences", "words": ["text"]}), said)}
    assert [len(c.frame) for c in clear_tables(tables, PROFILES["srs"], "published").cleared] == [1, 1]
    restricted = clear_tables(tables, PROFILES["srs"], "restricted")
    assert restricted.log and restricted.tables["headline"].frame.empty, "where the bands are not published, the sentence is about the study's own pupils"
