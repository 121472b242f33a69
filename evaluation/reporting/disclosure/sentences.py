"""Sentences: one leaves when it states only counts that released tables show, and rests on nothing that is held back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from evaluation.reporting.disclosure.content import identifiers_in
from evaluation.reporting.disclosure.wording import names_people, people_counts, shares_stated, speaks_of_all, states_measure
from evaluation.reporting.text import is_missing

if TYPE_CHECKING:
    import pandas as pd

    from evaluation.reporting.disclosure.result import Clearance, ClearedTable

HELD, SMALL, FINE = "states counts of `{0}`, in which something is held back", "states a count that is suppressed or below the threshold", ""
UNSEEN = "states a count ({0}) that no released table shows{1}"
ROUNDED = "states a count that is not rounded to the nearest {0}"
SHARE = "states a share of pupils, and nothing says of which table"
REFUSED_TABLE = "rests on `{0}`, which is not released"


def judge_sentence(text: str, rows: Iterable[str], clearance: Clearance, *, extra: Iterable[int] = ()) -> str:
    """Why a sentence may not leave.

    Parameters
    ----------
    text : str
        One sentence or several that stand or fall together.
    rows : iterable of str
        What it is built from: "table", "table: column=value, column=value" or "table: word, word" (rows in which each word
        stands in some column; the whole table where there are none). Names that are no table of the run are passed over.
    clearance : Clearance
        What the gate let through.
    extra : iterable of int
        Counts of people that stand beside the sentence.

    Returns
    -------
    str
        The reason; empty where it may leave. A count of people may be stated where a released table shows it (one of
        ``rows``, where any are given), or as a limit that is not itself below the threshold; a share of people where it is
        one such count over another, or its rows hold nothing back; another measure where its rows hold no measure back.
    """
    named = [str(r) for r in rows]
    shown = clearance.tables
    refused = {r.table for r in clearance.refused}
    known = [n for n in named if table_of(n) in shown or table_of(n) in refused]
    if kinds := identifiers_in(text):
        return f"holds what looks like a {kinds[0]}"
    for name in known:
        if table_of(name) in refused:
            return REFUSED_TABLE.format(table_of(name))
    if clearance.public:
        return FINE
    if reason := _judge_counts(text, known, shown, clearance, list(extra)):
        return reason
    unexplained, percentages = _unexplained(text), _unexplained(text, of_anything=True)
    for name in known:
        counts, measures = _held_back(name, clearance.tables[table_of(name)])
        if measures and states_measure(text) or (counts or measures) and (percentages or speaks_of_all(text)):
            return HELD.format(table_of(name))
    if unexplained and not known:
        return SHARE
    return FINE


def _judge_counts(text: str, known: list[str], shown: Mapping[str, ClearedTable], clearance: Clearance, extra: list[int]) -> str:
    """Counts of people are small, suppressed, unrounded or not shown by any table."""
    profile = clearance.profile
    stated = people_counts(text)
    seen = _counts_shown(known, shown) if known else clearance.shown_counts
    told = _told_by_the_protocol(known, shown)
    counts = [c for c in [c.value for c in stated if not c.bound] + extra if c and c not in told]
    if any(c < profile.threshold for c in counts) or any(0 < c.value < profile.threshold and c.value not in told for c in stated):
        return SMALL
    for count in counts:
        if count not in seen or (not known and count in clearance.hidden_counts):
            return SMALL if count in clearance.hidden_counts else UNSEEN.format(count, " in the rows behind it" if known else "")
        if profile.rounding_base > 1 and count % profile.rounding_base:
            return ROUNDED.format(profile.rounding_base)
    return FINE


def _unexplained(text: str, *, of_anything: bool = False) -> list[str]:
    """Shares of people that are not one of the sentence's own counts over another: they tell of a count that it does not state."""
    counts = [c.value for c in people_counts(text) if not c.bound and c.value]
    ratios = {(part, whole) for part in counts for whole in counts if part <= whole}
    return [s.text for s in shares_stated(text, of_anything=of_anything) if not any(round(100 * part / whole, s.decimals) == s.value for part, whole in ratios)]


def table_of(named: str) -> str:
    """Table of "table" or "table: conditions"."""
    return named.partition(":")[0].strip()


def rows_named(named: str, frame: pd.DataFrame) -> list[int]:
    """Rows of a frame that "table: column=value, ..." or "table: word, ..." names; all where it names none."""
    rows = list(frame.index)
    for condition in (c.strip() for c in named.partition(":")[2].split(",") if c.strip()):
        column, equals, value = (part.strip() for part in condition.partition("="))
        if equals and column in frame.columns:
            rows = [r for r, v in zip(rows, frame[column].loc[rows], strict=True) if str(v) == value]
        elif not equals:
            rows = [r for r in rows if any(str(v).startswith(condition) for v in frame.loc[r].to_numpy())] or rows
    return rows


def _held_back(named: str, cleared: ClearedTable) -> tuple[bool, bool]:
    """Whether counts, and whether measures, are held back in the rows named."""
    hidden = cleared.hidden.loc[rows_named(named, cleared.frame)]
    counts = [c for c in cleared.spec.counts if c in hidden]
    return bool(hidden[counts].to_numpy().any()), bool(hidden.drop(columns=counts).to_numpy().any())


def _counts_shown(known: Iterable[str], shown: Mapping[str, ClearedTable]) -> set[int]:
    """Counts in the rows named."""
    found: set[int] = set()
    for name in known:
        cleared = shown[table_of(name)]
        rows = rows_named(name, cleared.frame)
        for column in cleared.spec.counts:
            if column in cleared.frame:
                found |= cleared.whole_numbers(column, rows)
        if cleared.spec.about == "sentences" and {"value", "unit"} <= set(cleared.frame.columns):
            found |= cleared.whole_numbers("value", [r for r in rows if str(cleared.frame.at[r, "unit"]) == "pupils"])
    return found


def _told_by_the_protocol(known: Iterable[str], shown: Mapping[str, ClearedTable]) -> set[int]:
    """Numbers of pupils of registered places or of published statistics, which are none of the study's."""
    found: set[int] = set()
    for name in known:
        cleared = shown[table_of(name)]
        if cleared.spec.about in ("no pupils", "published statistics"):
            for column in cleared.table.columns:
                if column.name in cleared.frame and column.type in ("integer", "number") and names_people(column):
                    found |= cleared.whole_numbers(column.name, rows_named(name, cleared.frame))
    return found


def beside(row: Mapping[str, Any]) -> list[int]:
    """The number of people that stands beside a sentence in its row, if there is one: it says what the sentence may not."""
    if str(row.get("unit")) != "pupils" or is_missing(row.get("value")):
        return []
    return [int(row["value"])]
