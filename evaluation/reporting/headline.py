"""The headline block that opens every report: its items, their order, and the wording that numbers are put into.

The sentences of each kind of study are put together in its own module from result rows; here is what they share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evaluation.errors import ContractError
from evaluation.reporting.text import is_missing, number_text

if TYPE_CHECKING:
    import pandas as pd

ITEM_TITLES = {
    "label": "What this is",
    "verdict": "Verdict",
    "effect": "Effect",
    "counterfactual": "What would have happened anyway",
    "who": "Who",
    "greatest_need": "Pupils with the greatest need",
    "money": "Money",
    "how_sure": "How sure",
    "so_what": "What it could mean for the programme",
    "provenance": "Where this comes from",
}
"""The ten items in their order. A sentence whose key is not among them continues the item before it."""

COLUMNS = ("position", "key", "text", "value", "conf_low", "conf_high", "unit", "source_table", "source_key")

NOT_ESTIMATED = "Cannot be estimated"


@dataclass(frozen=True)
class HeadlineRow:
    """One sentence of the headline block with the number it was built from.

    Parameters
    ----------
    key : str
        Item, or a name of its own for a sentence that continues an item.
    text : str
        The sentence.
    value, conf_low, conf_high : float, optional
        Its leading number and interval, not rounded.
    unit : str, optional
        Their unit.
    source_table, source_key : str, optional
        The result row in which the number stands.
    """

    key: str
    text: str
    value: float | None = None
    conf_low: float | None = None
    conf_high: float | None = None
    unit: str | None = None
    source_table: str | None = None
    source_key: str | None = None


def headline_frame(rows: Sequence[HeadlineRow]) -> pd.DataFrame:
    """Return the table ``headline`` from its sentences in order.

    Parameters
    ----------
    rows : sequence of HeadlineRow

    Returns
    -------
    pandas.DataFrame, shape (sentences, 9)

    Raises
    ------
    ContractError
        When items are out of order, a key stands twice, or a number has no source row.
    """
    import pandas as pd

    keys = [row.key for row in rows]
    order = [list(ITEM_TITLES).index(key) for key in keys if key in ITEM_TITLES]
    if order != sorted(order) or len(set(keys)) != len(keys):
        raise ContractError(
            f"the items of the headline are repeated or out of order: {', '.join(keys)}",
            where="headline",
            mend=f"keep the order {', '.join(ITEM_TITLES)}",
        )
    for row in rows:
        if not is_missing(row.value) and not row.source_table:
            raise ContractError(
                "a number without the result row it comes from", where=f"headline, item {row.key}", mend="name its row"
            )
    frame = pd.DataFrame([{"position": place, **vars(row)} for place, row in enumerate(rows, 1)], columns=list(COLUMNS))
    frame = frame.astype({"position": "int64", "value": "float64", "conf_low": "float64", "conf_high": "float64"})
    return frame.astype({name: "str" for name in ("key", "text", "unit", "source_table", "source_key")})


def more_or_fewer(value: float, decimals: int = 1) -> str:
    """Write a difference in words: "1.2 more", "0.4 fewer", "0.0 more"."""
    return f"{number_text(abs(value), decimals)} {'fewer' if value < 0 else 'more'}"


def higher_or_lower(value: float, decimals: int = 1) -> str:
    """Write a change in words: "1.2 points higher", "0.4 points lower"."""
    return f"{number_text(abs(value), decimals)} points {'lower' if value < 0 else 'higher'}"


def interval_text(low: float, high: float, level: float, decimals: int = 1) -> str:
    """Write an interval: "95% interval −0.3 to 2.7"."""
    return f"{100 * level:g}% interval {number_text(low, decimals)} to {number_text(high, decimals)}"


def reading_of_interval(low: float, high: float, unit: str, decimals: int = 1) -> str:
    """Say what an interval leaves open, in words that cannot be read as "no effect".

    Parameters
    ----------
    low, high : float
        Limits; above zero is better.
    unit : str
        What is counted, such as "days".

    Returns
    -------
    str
        For an interval that includes zero: "The data fit anything from 0.3 fewer to 2.7 more days." Else empty.
    """
    if low > 0 or high < 0:
        return ""
    return f"The data fit anything from {more_or_fewer(low, decimals)} to {more_or_fewer(high, decimals)} {unit}."
