"""What never leaves, whatever the counts: identifiers, people's words, paths, tables of one row a pupil."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

LONGEST_WORDING = 800
"""Characters above which a text is not a label or a registered sentence."""

FORMS: tuple[tuple[str, re.Pattern[str], str], ...] = (
    ("unique pupil number", re.compile(r"(?<![A-Za-z0-9])[A-HJ-NP-RT-Z]\d{11}[0-9A-HJ-NP-RT-Z](?![A-Za-z0-9])"), "a letter, eleven digits and a digit or letter"),
    ("pupil pseudonym", re.compile(r"(?<![0-9A-Za-z])p[0-9a-f]{32}(?![0-9A-Za-z])"), "p and 32 digits or letters a to f"),
    ("keyed hash", re.compile(r"(?<![0-9A-Za-z])(?=[0-9a-f]*[a-f])(?=[0-9a-f]*[0-9])(?:[0-9a-f]{16}|[0-9a-f]{24}|[0-9a-f]{32}|[0-9a-f]{64})(?![0-9A-Za-z])"), "digits and letters a to f"),
    ("pupil identifier", re.compile(r"(?<![A-Za-z0-9])(?:(?:pupil|person|child|upn)[-_ ]?(?:id)?[-_ ]?|p)\d{4,}(?![A-Za-z0-9])", re.I), "the word pupil with a number"),
    ("email address", re.compile(r"[\w.+-]+@[\w-]+\.[\w.]+"), "an address"),
    ("file path", re.compile(r"(?<![\w./:<-])/(?:home|root|Users|tmp|var|opt|mnt|srv|private|Volumes)/[\w.@~-]+|(?<!\w)[A-Za-z]:\\{1,2}[\w.~ -]+|\\\\[\w.-]+\\[\w.$-]+|\bfile://"), "a place on a machine"),
    ("telephone number", re.compile(r"(?<![\d.])(?:\+44\s?\d{2,4}|0\d{2,4})[\s-]\d{3,4}[\s-]?\d{3,4}(?![\d.])"), "a number to ring"),
    ("postcode", re.compile(r"(?<![A-Z0-9])[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}(?![A-Z0-9])"), "a full postcode"),
    ("date of birth", re.compile(r"\b(?:born|birth|dob)\b.{0,20}\d{4}", re.I), "birth and a year"),
)
"""Name, pattern and plain description of each kind of value that identifies a person or a machine."""

PUPIL_COLUMNS = re.compile(r"^(pupil_id|upn|unique_pupil_number|person_id|child_id|referral_id|enrolment_id|pseudonym|surname|forename|first_name|last_name|date_of_birth|dob|postcode)$", re.I)
"""Columns whose mere presence says that a row is about one pupil."""


@dataclass(frozen=True)
class Found:
    """A value that may not leave: the kind of thing it is, and where. The value itself is not repeated."""

    kind: str
    column: str
    row: int | None
    rule: str


def identifiers_in(text: str) -> list[str]:
    """Kinds of identifier that a text holds."""
    return [kind for kind, form, _ in FORMS if form.search(text)]


def scan_frame(frame: pd.DataFrame, *, skip: Iterable[str] = ()) -> list[Found]:
    """Look through column names and every text of a frame for identifiers.

    Parameters
    ----------
    frame : DataFrame
    skip : iterable of str
        Columns of codes that have been vouched for (a specification's digest looks like a pseudonym).

    Returns
    -------
    list of Found
        The first row of each kind in each column.
    """
    found = [Found("pupil-level table", str(name), None, "a column names single pupils") for name in frame.columns if PUPIL_COLUMNS.match(str(name))]
    skipped = set(skip)
    for name in frame.columns:
        if name in skipped:
            continue
        values = frame[name]
        texts = values[values.map(lambda v: isinstance(v, str))]
        numbers = values[values.map(lambda v: isinstance(v, int) and v >= 10**12)] if values.dtype == object else texts[:0]
        seen: set[str] = set()
        for row, text in [*texts.items(), *((r, str(n)) for r, n in numbers.items())]:
            for kind, form, said in FORMS:
                if kind not in seen and form.search(text):
                    seen.add(kind)
                    found.append(Found(kind, str(name), row if isinstance(row, int) else None, f"looks like a {kind}: {said}"))
            if len(text) > LONGEST_WORDING and "free text" not in seen:
                seen.add("free text")
                found.append(Found("free text", str(name), row if isinstance(row, int) else None, f"longer than {LONGEST_WORDING} characters"))
    return found
