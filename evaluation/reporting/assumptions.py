"""The assumptions log: every registered value with its unit, what it rests on, and where the answer would turn round."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from evaluation.reporting.text import date_text, number_text
from evaluation.reporting.words import STANDINGS, value_words

if TYPE_CHECKING:
    import pandas as pd

    from evaluation.protocol.base import ProtocolHeader

LEFT_OUT = frozenset({"study", "kind", "title", "protocol_version", "registered_on", "report_kind", "amendments", "execution", "simulation"})
"""Parts of a protocol that are no assumption of the analysis, or are used with simulated data only."""

SAYS_WHERE_FROM = frozenset({"source", "standing", "dated", "note"})
"""Fields of a block that say where its other values come from."""

NOT_SOUGHT, NO_UNIT, NO_SOURCE = "not sought", "none", "none stated"
LONGEST_VALUE = 1_000


def assumptions_log(protocol: ProtocolHeader, notes: Mapping[str, str], switching: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Return the assumptions of a study, in the order of its protocol.

    Parameters
    ----------
    protocol : ProtocolHeader
        The whole protocol.
    notes : mapping of str to str
        What stands beside each value of the params file, by key ("matching.caliper").
    switching : mapping of str to str, optional
        By place of a value in its section ("persistence.half_life"; "lifetime earnings: causal_share" for one of a list), where the answer would
        turn round, in words.

    Returns
    -------
    pandas.DataFrame
        ``section, name, value, unit, meaning, source, standing, switching_value``: one row for each value.
    """
    import pandas as pd

    rows = []
    for section in type(protocol).model_fields:
        if section not in LEFT_OUT:
            rows += list(_rows(getattr(protocol, section), section, (section,), notes, switching or {}))
    return pd.DataFrame(rows, columns=["section", "name", "value", "unit", "meaning", "source", "standing", "switching_value"])


def switching_words(inputs: pd.DataFrame) -> dict[str, str]:
    """Return where each input of the appraisal would turn the answer round, in words, by its place in the section.

    Parameters
    ----------
    inputs : pandas.DataFrame
        Table ``value_inputs``: ``input, switching_value, switching_text``.
    """
    from evaluation.reporting.text import is_missing

    return {
        str(row["input"]): str(row["switching_text"]) if is_missing(row["switching_value"]) else f"{number_text(row['switching_value'], 2)}: {row['switching_text']}"
        for row in inputs.to_dict("records") if not is_missing(row["switching_text"])
    }


def _rows(model: Any, section: str, place: tuple[str, ...], notes: Mapping[str, str], switching: Mapping[str, str]) -> Iterator[tuple[str, ...]]:
    """Give the rows of one block of a protocol; blocks inside it follow where they stand."""
    from pydantic import BaseModel

    from evaluation.protocol.base import Quantity

    standing = getattr(model, "standing", None)
    for name, field in type(model).model_fields.items():
        if standing in STANDINGS and name in SAYS_WHERE_FROM:
            continue
        value, key = getattr(model, name), ".".join((*place, name))
        label = _words(": ".join((*place[1:], name)))
        meaning, turn = field.description or "", switching.get(".".join((*place[1:], name)), switching.get(f"{place[-1]}: {name}", NOT_SOUGHT))
        if isinstance(value, Quantity):
            ends = [_plain(end) for end in (value.low, value.high) if end is not None]
            spread = f" ({' to '.join(ends) if len(ends) == 2 else f'at least {ends[0]}' if value.high is None else f'up to {ends[0]}'})" if ends else ""
            source = "; ".join(part for part in (value.source, value.note) if part)
            yield _words(section), label, f"{_plain(value.value)}{spread}", value.unit or NO_UNIT, meaning, source or NO_SOURCE, STANDINGS[value.standing], turn
        elif isinstance(value, BaseModel):
            yield from _rows(value, section, (*place, name), notes, switching)
        elif isinstance(value, (list, tuple)) and any(isinstance(part, Quantity) for item in value if isinstance(item, BaseModel) for _, part in item):
            for number, item in enumerate(value, 1):
                called = next((str(part) for _, part in item if isinstance(part, str)), str(number))
                yield from _rows(item, section, (*place, name, called), notes, switching)
        else:
            note = notes.get(key, "") or (str(getattr(model, "source", "")) if standing in STANDINGS else "")
            unit = (field.json_schema_extra or {}).get("unit") or NO_UNIT
            yield _words(section), label, _plain(value), unit, meaning, note or NO_SOURCE, STANDINGS[standing] if standing in STANDINGS else _standing(note), turn


def _standing(note: str) -> str:
    """Say what a plain value rests on, from the words beside it."""
    lower = note.lower()
    for mark, words in (("(m,", STANDINGS["M"]), ("(m)", STANDINGS["M"]), ("(s2", STANDINGS["S2"]), ("judgement", STANDINGS["judgement"]), ("definition", "a definition"),
                        ("(s,", STANDINGS["S"]), ("(s)", STANDINGS["S"]), ("calculated", STANDINGS["C"])):  # fmt: skip
        if mark in lower:
            return words
    if "[" in note and "]" in note:
        return "a choice, after the source named"
    return "a choice"


def _plain(value: Any) -> str:
    """Write any value of a protocol on one line."""
    if value is None or (isinstance(value, (list, tuple, Mapping)) and not value):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        return f"{value:,.10g}" if abs(value) < 1e9 else number_text(value)
    if isinstance(value, Mapping):
        text = "; ".join(f"{_words(str(key)).lower() if '_' in str(key) else key}: {_plain(item)}" for key, item in value.items())
    elif isinstance(value, (list, tuple)):
        text = ("; " if any(hasattr(item, "model_dump") for item in value) else ", ").join(_plain(item) for item in value)
    elif hasattr(value, "model_dump"):
        dumped = value.model_dump()
        standing = f" ({STANDINGS[dumped['standing']]})" if dumped.get("standing") in STANDINGS else ""
        said = dumped.get("text") or ", ".join(f"{_words(key).lower()} {_plain(item)}" for key, item in dumped.items() if item is not None and key != "standing")
        return f"{said}{standing}"
    elif hasattr(value, "isoformat"):
        return date_text(value)
    else:
        text = value_words(str(value)).replace("_", " ")
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE].rsplit(' ', 1)[0]} ..."


def _words(name: str) -> str:
    words = name.replace("_", " ")
    return words[:1].upper() + words[1:]


def amendments_text(protocol: ProtocolHeader) -> str:
    """Say what was changed since registration, when, why, and whether outcomes had been seen.

    Parameters
    ----------
    protocol : ProtocolHeader
    """
    since = (f"Version {protocol.protocol_version} of the protocol was registered on {date_text(protocol.registered_on)}. There is no deviation from it in the values "
             "used: a run takes them from the registered file alone, and refuses a notebook that holds others.")
    if not protocol.amendments:
        return f"{since} Nothing was changed since."
    lines = [f"- {date_text(change.date)}: {change.change}. Reason: {change.reason}. Outcomes had {'' if change.outcomes_seen else 'not '}been seen." for change in protocol.amendments]
    return f"{since} Changes since:\n\n" + "\n".join(lines)
