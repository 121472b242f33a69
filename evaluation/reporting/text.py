"""Data as text that is safe to show and plain to read: cleaning, escaping, numbers, dates, short names."""

from __future__ import annotations

import html
import math
import re
import unicodedata
from datetime import date, datetime
from numbers import Integral, Real
from typing import Any

from evaluation.reporting.words import column_words, true_minus, unit_words, value_words

SIMULATED = "SIMULATED - not a finding"
"""The words that every simulated figure, caption, page and file carries."""

NOT_AVAILABLE = "[x]"
"""Shown for a missing value: the Government Analysis Function's symbol for "not available"."""

WITHHELD = "[c]"
"""Shown for a withheld value: the Government Analysis Function's symbol for "confidential"."""

LONGEST_CELL = 300
"""Characters of one cell that are shown before it is shortened."""

_JOINERS = "\u200c\u200d"
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def visible(text: str) -> str:
    """Make invisible characters visible.

    Control characters, direction overrides, zero-width characters and lone surrogates can hide or reorder what
    a reader sees; each is replaced by its code point in brackets. Line breaks and tabs become spaces.

    Parameters
    ----------
    text : str

    Returns
    -------
    str
    """
    if text.isascii() and text.isprintable():
        return text
    shown = []
    for character in text:
        if character in "\n\r\t\u2028\u2029":
            shown.append(" ")
        elif unicodedata.category(character) in ("Cc", "Cf", "Cs") and character not in _JOINERS:
            shown.append(f"[U+{ord(character):04X}]")
        else:
            shown.append(character)
    return "".join(shown)


def visible_lines(text: str) -> str:
    """Make invisible characters visible, keeping line breaks."""
    return "\n".join(visible(line) for line in text.split("\n"))


def escape(text: str) -> str:
    """Escape text for HTML, attributes included, after making invisible characters visible."""
    return html.escape(visible(text), quote=True)


def shorten(text: str, longest: int = LONGEST_CELL) -> str:
    """Cut a long text and say how long the whole is."""
    if len(text) <= longest:
        return text
    return f"{text[:longest].rstrip()}… [shortened: {len(text):,} characters in all]"


def slug(text: str, longest: int = 60) -> str:
    """Turn a title into a name for ids and files: lower case letters, digits and single hyphens."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii").lower()
    words = re.findall(r"[a-z0-9]+", ascii_text)
    name = ""
    for word in words:
        if name and len(name) + 1 + len(word) > longest:
            break
        name = f"{name}-{word}" if name else word[:longest]
    return name


def is_missing(value: Any) -> bool:
    """Whether a value counts as missing: None, a missing-value marker, or not a number."""
    if value is None:
        return True
    if isinstance(value, float):
        return math.isnan(value)
    return type(value).__name__ in ("NAType", "NaTType") or (
        isinstance(value, Real) and not isinstance(value, Integral) and math.isnan(float(value))
    )


def number_text(value: Any, decimals: int | None = None) -> str:
    """Write a number for reading: thousands separated by commas, a true minus sign, no negative zero.

    Parameters
    ----------
    value : number
    decimals : int, optional
        Digits after the point. Left out, whole numbers get none and others two.

    Returns
    -------
    str
    """
    if is_missing(value):
        return NOT_AVAILABLE
    number = float(value)
    if math.isinf(number):
        return "infinite" if number > 0 else "minus infinite"
    if decimals is None:
        decimals = 0 if isinstance(value, Integral) else 2
    text = f"{abs(number):,.{decimals}f}"
    negative = number < 0 and any(digit in "123456789" for digit in text)
    return f"\u2212{text}" if negative else text


def money_text(value: Any, decimals: int = 0) -> str:
    """Write pounds: £1,234, or −£1,234 below zero."""
    text = number_text(value, decimals)
    if text == NOT_AVAILABLE:
        return text
    return f"\u2212£{text[1:]}" if text.startswith("\u2212") else f"£{text}"


def date_text(value: date | datetime) -> str:
    """Write a date the British way: 1 September 2022."""
    return f"{value.day} {value:%B} {value.year}"


def value_text(value: Any, decimals: int | None = None, *, codes: bool = False) -> str:
    """Write any value of a table for reading.

    Parameters
    ----------
    value : object
        Number, text, date, truth value or missing.
    decimals : int, optional
        As in :func:`number_text`; ignored for all but numbers.
    codes : bool
        Leave codes as they are, for readers who look a row up; otherwise they are put into plain words.

    Returns
    -------
    str
        Not yet escaped.
    """
    if is_missing(value):
        return NOT_AVAILABLE
    if isinstance(value, bool) or type(value).__name__ in ("bool_", "bool"):
        return "Yes" if value else "No"
    if isinstance(value, Real):
        return number_text(value, decimals)
    if isinstance(value, (date, datetime)):
        return date_text(value)
    return shorten(str(value) if codes else true_minus(value_words(str(value))))


def spreadsheet_safe(value: Any) -> Any:
    """Neutralise a text that a spreadsheet would run as a formula; everything else stays as it is."""
    if not isinstance(value, str):
        return value
    text = visible(value)
    if not text.lstrip(" ").startswith(_FORMULA_STARTS) and not value.startswith(_FORMULA_STARTS):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text


def header_text(column: str, label: str | None = None, unit: str | None = None) -> str:
    """Write a column's header: its label or its name in words, with the unit in brackets."""
    if label is None:
        label = column_words(str(column))
    return f"{label} ({unit_words(unit)})" if unit else label
