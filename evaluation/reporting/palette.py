"""The colours, type sizes and plain style of every figure, after the Government Analysis Function.

The colours are the Analysis Function's data visualisation palettes. Matplotlib is imported only when a
figure is made, and only through its object interface: no global drawing state, so that a figure cannot
change the look of the next one, and the same numbers give the same bytes.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CATEGORICAL = ("#12436D", "#28A197", "#801650", "#F46A25", "#3D3D3D", "#A285D1")
"""Colours for groups without an order; at most four in one chart, and never colour alone."""

DUO = ("#12436D", "#F46A25")
"""Two groups set against each other: pupils with a mentor first, the comparison second."""

SEQUENTIAL = ("#12436D", "#2073BC", "#6BACE6")
"""Ordered groups, darkest first."""

MARKERS = ("o", "s", "^", "D", "v", "P")
"""A marker for each categorical colour, so that no group is told apart by colour alone."""

LINES = ("-", "--", ":", "-.")
"""A line style for each of the (at most four) lines of one chart."""

TEXT_COLOUR = "#0B0C0C"
QUIET_COLOUR = "#505A5F"
GRID_COLOUR = "#CBCED0"

LABEL_COLOUR = "#942514"
"""Words that say "simulated": 8.4 to 1 on white."""

BODY_POINTS = 11
TITLE_POINTS = 12
RESOLUTION = 144
"""Dots per inch of every stored figure: sharp when printed at the width of a page."""

STORED_COLOURS = 128
"""Colours of a stored picture: a drawing holds few, and the file is a third of what it would be."""

LABEL_STRIP_INCHES = 0.32
"""Height of the strip above a figure that says what its data are."""


def new_figure(width: float = 7.2, height: float = 4.2) -> Figure:
    """Make an empty figure without touching matplotlib's global state.

    Parameters
    ----------
    width, height : float
        Size in inches. At the default width the figure fills a printed A4 page between its margins, and its
        text prints at the size it was set in.

    Returns
    -------
    matplotlib.figure.Figure
        Laid out by matplotlib's constrained layout; add axes with ``figure.subplots()``.
    """
    from matplotlib.figure import Figure as MatplotlibFigure

    return MatplotlibFigure(figsize=(width, height), dpi=RESOLUTION, layout="constrained", facecolor="white")


def style_axes(ax: Axes, *, grid: str | None = "y") -> Axes:
    """Give axes the house style: sans-serif text, no box, light grid behind the data.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes with its labels already set or not: call it before or after plotting.
    grid : {"x", "y", "both", None}
        The direction in which values are read.

    Returns
    -------
    matplotlib.axes.Axes
        The same axes.
    """
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_color(QUIET_COLOUR)
    ax.set_axisbelow(True)
    ax.grid(False)
    if grid is not None:
        ax.grid(True, axis=grid, color=GRID_COLOUR, linewidth=0.8)
    ax.tick_params(labelsize=BODY_POINTS, colors=TEXT_COLOUR, length=4)
    for label in (ax.xaxis.label, ax.yaxis.label):
        label.set_fontsize(BODY_POINTS)
        label.set_color(TEXT_COLOUR)
    ax.title.set_fontsize(TITLE_POINTS)
    ax.title.set_color(TEXT_COLOUR)
    legend = ax.get_legend()
    if legend is not None:
        legend.set_frame_on(False)
        for text in legend.get_texts():
            text.set_fontsize(BODY_POINTS)
            text.set_color(TEXT_COLOUR)
    return ax


def label_ends(ax: Axes, ends: Sequence[tuple[float, float, str]], *, points: float = BODY_POINTS) -> None:
    """Write the name of each line beside its end, apart from each other, in place of a legend.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        With its limits already set.
    ends : sequence of tuple
        ``(x, y, words)`` of the last point of each line, in data units. The words are in the colour of text, for the
        palette's colours are too light to read: the line beside them says which is meant.
    points : float
        Size of the words.
    """
    low, high = ax.get_ylim()
    height = ax.figure.get_size_inches()[1] * 72 * 0.75  # of the axes, near enough to keep words apart
    apart = abs(high - low) * 1.25 * points / height
    ordered = sorted(ends, key=lambda end: end[1])
    places: list[float] = []
    lines_below = 0
    for _, y, words in ordered:
        lines = words.count("\n") + 1
        places.append(y if not places else max(y, places[-1] + apart * (lines + lines_below) / 2))
        lines_below = lines
    shift = sum(place - y for place, (_, y, _) in zip(places, ordered, strict=True)) / max(len(ordered), 1)
    for place, (x, _, words) in zip(places, ordered, strict=True):
        ax.annotate(words, (x, place - shift), xytext=(9, 0), textcoords="offset points", va="center", fontsize=points, color=TEXT_COLOUR, annotation_clip=False)


def png_bytes(figure: Figure, label: str | None = None) -> bytes:
    """Return a figure as PNG bytes that depend on nothing but the figure and its label.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        A figure made by :func:`new_figure`, or any other matplotlib figure.
    label : str, optional
        Words drawn in a strip above the figure, inside the picture, whatever the figure's layout.

    Returns
    -------
    bytes
        A PNG at the house resolution, without the software version or date that matplotlib adds. The strip adds
        ``LABEL_STRIP_INCHES`` to the height.
    """
    _take_literally(figure)
    if figure.get_layout_engine() is not None:  # laid out once and then held: each further pass moves it slightly
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
    if not label:
        return _stacked(_saved(figure))
    width, _ = figure.get_size_inches()
    strip = new_figure(width, LABEL_STRIP_INCHES)
    strip.text(0.08 / width, 0.5, label, fontsize=BODY_POINTS, fontweight="bold", color=LABEL_COLOUR, verticalalignment="center")
    return _stacked(_saved(strip), _saved(figure))


def _take_literally(figure: Figure) -> None:
    """Show dollar signs in words from data as they are: they are no formulas here, and a broken one would end the drawing."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        if "$" in text.get_text() and "\\math" not in text.get_text():
            text.set_parse_math(False)


def _saved(figure: Figure) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=RESOLUTION, facecolor="white", metadata={"Software": None})
    return buffer.getvalue()


def _stacked(*pictures: bytes) -> bytes:
    """Put pictures below each other. What is inside a figure is never moved, whatever laid it out."""
    from PIL import Image

    images = [Image.open(BytesIO(picture)).convert("RGB") for picture in pictures]
    whole = Image.new("RGB", (max(image.width for image in images), sum(image.height for image in images)), "white")
    top = 0
    for image in images:
        whole.paste(image, (0, top))
        top += image.height
    buffer = BytesIO()
    reduced = whole.quantize(STORED_COLOURS, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    reduced.save(buffer, format="PNG", dpi=(RESOLUTION, RESOLUTION))
    return buffer.getvalue()
