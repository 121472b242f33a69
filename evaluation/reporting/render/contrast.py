"""Contrast of a style sheet's text, by the formula of WCAG 2.2 (1.4.3), without a browser.

Each rule that sets a colour of text is held against the background that it sets itself, else against white, the page's own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

LEAST = 4.5
"""Contrast that text of any size must have."""

WHITE = "#ffffff"
_COMMENT = re.compile(r"/\*.*?\*/", re.S)
_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
_VARIABLE = re.compile(r"(--[\w-]+)\s*:\s*([^;}]+)")
_HEX = re.compile(r"#([0-9a-f]{3}|[0-9a-f]{6})\b", re.I)


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, from 1 to 21.

    Parameters
    ----------
    one, other : str
        As "#rgb" or "#rrggbb".
    """
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    digits = colour.lstrip("#")
    digits = "".join(2 * digit for digit in digits) if len(digits) == 3 else digits
    parts = (int(digits[place:place + 2], 16) / 255 for place in (0, 2, 4))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast_faults(style: str) -> list[str]:
    """Return each rule of a style sheet whose text cannot be read on its background, in words.

    Parameters
    ----------
    style : str
        CSS. Colours are given as hexadecimal digits or as variables that hold such.
    """
    plain = _COMMENT.sub("", style)
    variables = {name: value.strip() for name, value in _VARIABLE.findall(plain)}
    faults = []
    for selector, body in _RULE.findall(plain):
        said = {name.strip(): value.strip() for name, _, value in (part.partition(":") for part in body.split(";"))}
        colour = _colour(said.get("color"), variables)
        ground = _colour(said.get("background") or said.get("background-color"), variables) or WHITE
        if colour is not None and contrast(colour, ground) < LEAST:
            faults.append(f"{' '.join(selector.split())}: text {colour} on {ground} has a contrast of {contrast(colour, ground):.1f} to 1")
    return faults


def _colour(value: str | None, variables: Mapping[str, str]) -> str | None:
    if value is None:
        return None
    named = re.search(r"var\((--[\w-]+)\)", value)
    found = _HEX.search(variables.get(named[1], "") if named else value)
    return found[0] if found else None
