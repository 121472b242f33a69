"""Figures look alike, can be told apart without colour, and are stored the same way each time."""

from __future__ import annotations

import subprocess
import sys
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from evaluation.reporting import palette


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("colour", [palette.TEXT_COLOUR, palette.QUIET_COLOUR, palette.LABEL_COLOUR])
def test_words_in_figures_can_be_read_on_white(colour):
    assert 1.05 / (luminance(colour) + 0.05) >= 4.5


def test_the_first_four_colours_have_a_marker_and_a_line_of_their_own():
    assert len(set(palette.CATEGORICAL)) == len(set(palette.MARKERS)) == 6
    assert len(set(palette.LINES)) == 4


def test_the_label_is_put_above_and_moves_nothing():
    def drawn():
        figure = palette.new_figure(3, 2)
        axes = figure.subplots()
        axes.plot([1, 2], [1, 2], label="Mentored")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left")
        return figure

    plain, labelled = (np.asarray(Image.open(BytesIO(palette.png_bytes(drawn(), label))).convert("RGB")) for label in (None, "SIMULATED"))
    strip = labelled.shape[0] - plain.shape[0]
    assert strip > 0 and np.array_equal(labelled[strip:], plain)
    assert labelled[:strip].min() < 200, "the strip holds no words"


def test_a_stored_figure_carries_no_version_or_date():
    figure = palette.new_figure(2, 2)
    for label in (None, "SIMULATED"):
        png = palette.png_bytes(figure, label)
        assert b"Software" not in png and b"matplotlib" not in png.lower() and b"tIME" not in png


def test_the_palette_needs_no_drawing_library_until_a_figure_is_made():
    code = "import sys, evaluation.reporting.palette, evaluation.reporting.show; sys.exit('matplotlib' in sys.modules or 'pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_names_of_lines_that_end_close_together_do_not_overlap():
    figure = palette.new_figure(7, 4)
    axes = figure.subplots()
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 10)
    palette.label_ends(axes, [(1, 5.0, "Pupils referred"), (1, 5.1, "Similar pupils,\nusual support"), (1, 9.0, "Far away")])
    figure.draw_without_rendering()
    boxes = sorted((text.get_window_extent() for text in axes.texts), key=lambda box: box.y0)
    assert all(below.y1 <= above.y0 for below, above in zip(boxes, boxes[1:], strict=False))
    assert [text.get_text() for text in axes.texts] == ["Pupils referred", "Similar pupils,\nusual support", "Far away"]
