"""Whether each number of a sentence stands in the result rows that the sentence names."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from numbers import Real
from typing import TYPE_CHECKING, Any

from evaluation.reporting.text import is_missing, number_text

if TYPE_CHECKING:
    import pandas as pd

_NUMBER = re.compile(r"(?<![\w.,/])([\u2212-]?)\u00a3?(\d{1,3}(?:,\d{3})+|\d+)(\.\d+)?(%?)(?![\w/]|[.,]\d)")
_DATES = re.compile(
    r"\b\d{1,2} (?:January|February|March|April|May|June|July|August|September|October|November|December) \d{4}\b"
    r"|(?<![\w,.£])(?:19|20)\d\d(?:/\d\d)?\b(?![,.]\d)"
)
"""Days and years: they name a time and are no result."""

_LEVEL = re.compile(r"\b\d+(?:\.\d+)?% (?=interval|set\b)|(?<=\bagree at )\d+(?:\.\d+)?%")
"""The level of an interval or of a test, which the protocol registers."""

_BOUND = re.compile(r"\b(below|above) (\d+(?:\.\d+)?)%")
_DOWNWARD = re.compile(r"\b(the other way|fewer|fell|fall|lower|less|worse|below|lost|missed|reduc\w+|decline\w*)\b", re.I)
"""Words that say a negative value without its sign."""


def numbers_without_rows(text: str, rows: Mapping[str, pd.DataFrame]) -> list[str]:
    """Return the numbers of a text that no value of its rows gives, in their order.

    A number is given by a value that, rounded to the digits printed, is the same; by a hundred times a value where a
    percentage is printed; by a negative value without its sign in a sentence that says so ("fewer", "fell"); by a row's own
    text that prints the same number. Days, years and levels of intervals are no results. "Below 1%" needs a value below it.

    Parameters
    ----------
    text : str
        Sentences as they are shown.
    rows : mapping of str to pandas.DataFrame
        The rows behind them by table. Texts of the table ``headline`` give nothing: they are what is checked.

    Returns
    -------
    list of str
        Each as it is printed; empty when every number has its row.
    """
    values, printed = _known(rows)
    missing = []
    for sentence in re.split(r"(?<=[.;:!?])\s+|\n+", text):
        said = _LEVEL.sub(" ", _DATES.sub(" ", sentence))
        for bound in _BOUND.finditer(said):
            limit = float(bound[2]) / 100
            if not any((0 <= value < limit) if bound[1] == "below" else (limit < value <= 1) for value in values):
                missing.append(bound[0])
        said = _BOUND.sub(" ", said)
        downward = _DOWNWARD.search(sentence) is not None
        for match in _NUMBER.finditer(said):
            token = match[0]
            if _plain(token) in printed:
                continue
            if not _given(match, values, downward):
                missing.append(token)
    return missing


def _given(match: re.Match[str], values: Iterable[float], downward: bool) -> bool:
    sign, whole, fraction, percent = match.groups()
    decimals = len(fraction or ".") - 1
    wanted = f"{whole}{fraction or ''}".replace(",", "")
    for value in values:
        if sign and value > 0 or not sign and value < 0 and not downward:
            continue
        for scaled in (value, 100 * value) if percent else (value,):
            if number_text(abs(scaled), decimals).replace(",", "") == wanted:
                return True
    return False


def _known(rows: Mapping[str, pd.DataFrame]) -> tuple[set[float], set[str]]:
    """All finite numbers of the rows, and every number that their texts print."""
    values: set[float] = set()
    printed: set[str] = set()
    for name, frame in rows.items():
        for column in frame.columns:
            for value in frame[column].tolist():
                _take(value, values, printed if name != "headline" else set())
    return values, printed


def _take(value: Any, values: set[float], printed: set[str]) -> None:
    if isinstance(value, bool) or is_missing(value):
        return
    if isinstance(value, Real):
        if math.isfinite(float(value)):
            values.add(float(value))
    elif isinstance(value, str):
        printed |= {_plain(match[0]) for match in _NUMBER.finditer(value)}


def _plain(token: str) -> str:
    return token.replace("\u2212", "-").replace(",", "").replace("\u00a3", "")
