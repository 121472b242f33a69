"""The HTML of the headline block: its label, the verdict, each item, and the rows behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from evaluation.reporting.markup import table_html
from evaluation.reporting.text import SIMULATED, escape, header_text, is_missing
from evaluation.reporting.words import true_minus, unit_words

if TYPE_CHECKING:
    import pandas as pd


def headline_html(headline: pd.DataFrame, titles: Mapping[str, str], identifier: str, label: str | None) -> str:
    """Return the headline block: its label, the verdict large, each item beside its name, the numbers one click away.

    Parameters
    ----------
    headline : pandas.DataFrame
        The table ``headline``, in its order: key, text, value, conf_low, conf_high, unit, source_table,
        source_key.
    titles : mapping
        Item name in plain words by key; keys without one continue the item before them.
    identifier : str
        Unique id of the block.
    label : str, optional
        Standing of the data.

    Returns
    -------
    str
        HTML.
    """
    records = headline.to_dict("records")
    items: list[tuple[str, list[Mapping[str, Any]]]] = []
    for row in records:
        if row["key"] in titles or row["key"] == "verdict" or not items:
            items.append((row["key"], []))
        items[-1][1].append(row)
    standing = "".join(_label_html(rows, label) for key, rows in items if key == "label")
    verdict = "".join(_verdict_html(rows, identifier) for key, rows in items if key == "verdict")
    body = "".join(
        f"<dt>{escape(titles.get(key, header_text(key)))}</dt><dd>{''.join(_sentence(row, identifier) for row in rows)}</dd>"
        for key, rows in items
        if key not in ("label", "verdict")
    )
    numbers = table_html(
        headline[["position", "key", "value", "conf_low", "conf_high", "unit", "source_table", "source_key"]].assign(
            unit=[unit if is_missing(unit) else unit_words(str(unit)) for unit in headline["unit"]]
        ),
        caption="The rows behind the headline",
        identifier=f"{identifier}-rows",
        label=label,
        decimals={"value": 3, "conf_low": 3, "conf_high": 3},
        labels={"conf_low": "Interval from", "conf_high": "Interval to", "source_key": "Source row"},
        row_ids=[f"{identifier}-row-{row['position']}" for row in records],
        codes=True,
    )
    if label == "simulated" and SIMULATED not in standing:
        standing = f'<p class="simulated">{SIMULATED}</p>{standing}'
    return (
        f'<div class="headline" id="{identifier}">{standing}{verdict}<dl>{body}</dl></div>'
        f"<details><summary>Numbers behind the headline</summary>{numbers}</details>"
    )


def _label_html(rows: Sequence[Mapping[str, Any]], label: str | None) -> str:
    """Return what the data and the report are, above all else."""
    mark = " simulated" if label == "simulated" else ""
    return f'<p class="headline-label{mark}">{escape(true_minus(" ".join(row["text"] for row in rows)))} <span class="standing"></span></p>'


def _verdict_html(rows: Sequence[Mapping[str, Any]], identifier: str) -> str:
    """Return the verdict: its first sentence large, what is said with it below."""
    first, stop, rest = rows[0]["text"].partition(". ")
    link = _row_link(rows[0], identifier)
    more = f"<p>{escape(true_minus(rest))}{link}</p>" if rest else ""
    said = more + "".join(_sentence(row, identifier) for row in rows[1:])
    return f'<p class="verdict">{escape(first + stop.strip())}{"" if rest else link}</p><div class="verdict-more">{said}</div>'


def _sentence(row: Mapping[str, Any], identifier: str) -> str:
    return f"<p>{escape(true_minus(row['text']))}{_row_link(row, identifier)}</p>"


def _row_link(row: Mapping[str, Any], identifier: str) -> str:
    """Return the link from a sentence to the row in which its source is named; none for a sentence without a source."""
    if is_missing(row["value"]) and is_missing(row["source_table"]):
        return ""
    return (
        f' <a class="row-link" href="#{identifier}-row-{row["position"]}">row {row["position"]}'
        f'<span class="hidden"> of the numbers behind the headline</span></a>'
    )
