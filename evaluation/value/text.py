"""How amounts, shares and numbers are written in the sentences of this room."""

from __future__ import annotations

MINUS = "\u2212"


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
