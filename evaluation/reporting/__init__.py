"""Tables, figures, text and their rendering: the only room that knows matplotlib or HTML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evaluation.reporting.show import set_context, show_figure, show_headline, show_table, show_text

__all__ = ["set_context", "show_figure", "show_headline", "show_table", "show_text"]


def __getattr__(name: str) -> Any:
    """Import a public function when it is first asked for, so that the room itself stays light."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from evaluation.reporting import show

    return getattr(show, name)
