"""What the ways of showing ask of their arguments, refused while the analyst is still looking at it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from evaluation.errors import ContractError

if TYPE_CHECKING:
    import pandas as pd

NO_PUPILS = "no pupils"
"""What ``about`` may say: nothing shown is about pupils, so that it rests on no table of the study."""

SHORTEST_ALT = 20
"""Characters below which an alternative text cannot say what a figure shows."""

SHORTEST_CAPTION = 8

_EMPTY_ALT = re.compile(r"^(an? )?(image|picture|figure|chart|graph|plot)\b[\s\d.:]*$|\.(png|jpe?g|svg)$", re.I)


def check_standing(source: str | Sequence[str] | None, about: str | None, where: str) -> dict[str, Any]:
    """What a result says of the tables behind it, checked."""
    named = [source] if isinstance(source, str) else list(source or ())
    if about not in (None, NO_PUPILS) or (about is not None and named) or not all(isinstance(name, str) and name.isidentifier() for name in named):
        raise ContractError(
            f"source={source!r} and about={about!r} do not say which written tables stand behind it",
            where=where,
            mend=f"give source= the names of written tables, or about={NO_PUPILS!r} where nothing shown is about pupils",
        )
    return {"source": named, "about": about}


def check_caption(caption: object, kind: str) -> str:
    """A caption on one line, long enough to say something."""
    if not isinstance(caption, str) or len(caption.strip()) < SHORTEST_CAPTION:
        raise ContractError(
            f"the caption {caption!r} does not say what the {kind} shows",
            where=f"{kind} without caption",
            mend=f"write a caption of at least {SHORTEST_CAPTION} characters",
        )
    return " ".join(caption.split())


def check_alternative_text(alt: object, caption: str, where: str) -> str:
    """An alternative text on one line that says more than the caption or the name of a file."""
    mend = "write one or two sentences that say what a reader sees in the figure"
    if not isinstance(alt, str) or len(alt.strip()) < SHORTEST_ALT:
        raise ContractError(f"the alternative text {alt!r} is missing or too short", where=where, mend=mend)
    alt = " ".join(alt.split())
    if _EMPTY_ALT.search(alt) or alt.rstrip(".").lower() == caption.rstrip(".").lower():
        raise ContractError(f"the alternative text {alt!r} does not say what is seen", where=where, mend=mend)
    return alt


def check_frame(frame: Any, where: str, what: str) -> None:
    """Refuse what is no frame, or has no plain name for each column."""
    import pandas as pd

    if not isinstance(frame, pd.DataFrame) or len(frame.columns) == 0:
        raise ContractError(
            f"{what} must be a table with columns, not {type(frame).__name__}",
            where=where,
            mend="pass a pandas DataFrame; a Series becomes one with .reset_index()",
        )
    repeated = list(frame.columns[frame.columns.duplicated()])
    if repeated or isinstance(frame.columns, pd.MultiIndex):
        raise ContractError(
            f"{what} needs one plain name for each column; repeated or nested: {repeated or list(frame.columns)}",
            where=where,
            mend="rename the columns",
        )


def check_points(data: pd.DataFrame, where: str) -> None:
    """Refuse plotted numbers of which there are none."""
    if len(data) == 0:
        raise ContractError(
            "data has no rows, so there is nothing that the figure could plot",
            where=where,
            mend="pass the frame that was plotted, or leave the figure out and say why with show_text",
        )
    numeric = data.select_dtypes("number")
    if len(numeric.columns) and numeric.isna().to_numpy().all():
        raise ContractError(
            "every number of the data is missing, so the figure has no points",
            where=where,
            mend="leave the figure out and say why with show_text",
        )
