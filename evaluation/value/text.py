"""How amounts, shares and numbers are written in the sentences of this room."""

from __future__ import annotations

MINUS = "\u2212"

STANDINGS = {
    "S": "a published value",
    "C": "calculated from a published source",
    "S2": "from a secondary source, not verified",
    "M": "general knowledge, not verified",
    "judgement": "a planning choice",
}
"""What the standing of a number means (see ``evaluation.protocol.base.Quantity``)."""


def standing_words(standing: str) -> str:
    """The standing of a value of a day in words, with what stands behind its code: "S2, association times a causal share (judgement)"."""
    code, comma, more = standing.partition(",")
    for mark, words in STANDINGS.items():
        more = more.replace(f"({mark})", f"({words})")
    return f"{STANDINGS.get(code, code)}{comma}{more}"


def number(value: float, decimals: int) -> str:
    """A number with thousands separated by commas and a true minus sign; what rounds to zero has no sign."""
    text = f"{abs(value):,.{decimals}f}"
    return f"{MINUS}{text}" if value < 0 and any(digit in "123456789" for digit in text) else text


def pounds(amount: float) -> str:
    """An amount in whole pounds, with its sign before the pound sign."""
    text = number(amount, 0)
    return f"{MINUS}£{text[1:]}" if text.startswith(MINUS) else f"£{text}"


def percent(share: float) -> str:
    """A share in whole per cent."""
    return f"{number(100 * share, 0)}%"
