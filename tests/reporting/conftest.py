"""Results shown as a kernel would store them, and notebooks made of them by hand."""

from __future__ import annotations

import pandas as pd
import pytest

from evaluation.reporting import show


@pytest.fixture
def shown(monkeypatch):
    """Collect what the show functions send to the notebook, as stored outputs."""
    import IPython.display

    outputs: list[dict] = []

    def keep(thing) -> None:
        data, metadata = thing._repr_mimebundle_()
        outputs.append({"output_type": "display_data", "data": data, "metadata": metadata})

    monkeypatch.setattr(IPython.display, "display", keep)
    show.set_context("impact", "simulated", None)
    yield outputs
    show.set_context(None, None, None)


@pytest.fixture
def figure():
    """A small drawn figure."""
    from evaluation.reporting.palette import DUO, new_figure, style_axes

    drawn = new_figure(3, 2)
    axes = drawn.subplots()
    axes.plot([1, 2], [3, 4], color=DUO[0], marker="o", label="Mentored")
    axes.legend()
    style_axes(axes)
    return drawn


@pytest.fixture
def rows() -> pd.DataFrame:
    """Two rows of numbers."""
    return pd.DataFrame({"half_term": [1, 2], "absence_rate": [7.25, 8.5]})
