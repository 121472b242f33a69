"""Results are shown whole, labelled, and safe, or not at all."""

from __future__ import annotations

import base64
import re

import pandas as pd
import pytest

from evaluation.errors import ContractError
from evaluation.reporting import show
from evaluation.reporting.palette import new_figure
from evaluation.reporting.text import SIMULATED, number_text

ALT = "Absence rises from the first half-term to the second."
CAPTION = "Absence by half-term"


def html_of(outputs: list[dict], position: int = -1) -> str:
    return outputs[position]["data"]["text/html"]


def test_a_figure_carries_alternative_text_caption_label_and_its_numbers(shown, figure, rows):
    show.show_figure(figure, alt=ALT, caption=CAPTION, data=rows)
    html = html_of(shown)
    assert f'alt="{ALT}"' in html
    assert CAPTION in html and SIMULATED in html
    assert "<details>" in html and "7.25" in html
    assert shown[-1]["metadata"]["evaluation"]["kind"] == "figure"
    assert ALT in shown[-1]["data"]["text/plain"] and SIMULATED in shown[-1]["data"]["text/plain"]


@pytest.mark.parametrize(
    ("alt", "caption"),
    [("", CAPTION), ("   ", CAPTION), ("Too short", CAPTION), ("figure_one_of_the_report.png", CAPTION),
     ("The same words as caption", "The same words as caption."), (None, CAPTION), (ALT, ""), (ALT, "x"), (ALT, None)],
)  # fmt: skip
def test_a_figure_without_words_is_refused_by_name(shown, figure, rows, alt, caption):
    with pytest.raises(ContractError) as refused:
        show.show_figure(figure, alt=alt, caption=caption, data=rows)
    assert refused.value.mend and refused.value.where
    assert not shown


@pytest.mark.parametrize("data", [None, pd.Series([1, 2]), pd.DataFrame(), pd.DataFrame({"a": []})])
def test_a_figure_without_its_numbers_is_refused(shown, figure, data):
    with pytest.raises(ContractError, match="data"):
        show.show_figure(figure, alt=ALT, caption=CAPTION, data=data)
    assert not shown


def test_alternative_text_caption_and_data_cannot_be_left_out(figure, rows):
    with pytest.raises(TypeError):
        show.show_figure(figure, caption=CAPTION, data=rows)
    with pytest.raises(TypeError):
        show.show_figure(figure, alt=ALT, data=rows)
    with pytest.raises(TypeError):
        show.show_figure(figure, alt=ALT, caption=CAPTION)
    with pytest.raises(TypeError):
        show.show_table(rows)


def test_the_simulated_label_is_drawn_on_the_picture_itself(shown, figure, rows):
    show.show_figure(figure, alt=ALT, caption=CAPTION, data=rows)
    show.set_context("impact", "published", None)
    show.show_figure(figure, alt=ALT, caption=CAPTION, data=rows)
    heights = []
    for output in shown:
        png = base64.b64decode(re.search(r"base64,([^\"]+)", output["data"]["text/html"])[1])
        heights.append(int.from_bytes(png[20:24], "big"))
    assert heights[0] > heights[1], "the strip with the label is missing from the simulated picture"
    assert SIMULATED not in html_of(shown)
    assert not figure.texts, "the label stays on the caller's figure"


def test_the_same_figure_gives_the_same_bytes(shown, figure, rows):
    show.show_figure(figure, alt=ALT, caption=CAPTION, data=rows, name="twice")
    show.set_context("impact", "simulated", None)
    show.show_figure(figure, alt=ALT, caption=CAPTION, data=rows, name="twice")
    assert html_of(shown, 0) == html_of(shown, 1)


def test_figure_and_numbers_are_kept_beside_without_formulas(shown, figure, tmp_path):
    show.set_context("impact", "simulated", tmp_path / "figures")
    data = pd.DataFrame({"=group": ["=1+1", "@now", "-3", "plain", "\tx"], "value": [-1.5, 2, 3, 4, 5]})
    show.show_figure(figure, alt=ALT, caption=CAPTION, data=data, name="Event study")
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == [
        "simulated-event-study.csv",
        "simulated-event-study.png",
    ]
    lines = (tmp_path / "figures" / "simulated-event-study.csv").read_text(encoding="utf-8").splitlines()
    assert lines == ["'=group,value", "'=1+1,-1.5", "'@now,2.0", "-3,3.0", "plain,4.0", "' x,5.0"]


def test_text_from_data_is_escaped_and_invisible_characters_shown(shown):
    hostile = '<script>alert("x")</script> & \u202egnp.exe\x00\u200b'
    frame = pd.DataFrame({f"col <b> {hostile}": [hostile], "b": [1]})
    show.show_table(frame, caption=f"Caption {hostile}", units={"b": hostile})
    html = html_of(shown)
    assert "<script" not in html and "<b>" not in html
    assert "&lt;script&gt;" in html
    for character in ("\u202e", "\x00", "\u200b"):
        assert character not in html and character not in shown[-1]["data"]["text/plain"]
    assert "[U+202E]" in html and "[U+0000]" in html


def test_a_very_long_cell_is_shortened_with_a_note(shown):
    show.show_table(pd.DataFrame({"a": ["y" * 10_000]}), caption="One long cell")
    html = html_of(shown)
    assert "y" * 301 not in html and "shortened: 10,000 characters in all" in html


def test_table_has_caption_scopes_units_and_right_aligned_numbers(shown, rows):
    show.show_table(rows, caption="Absence by half-term", units={"absence_rate": "percentage points"},
                    decimals={"absence_rate": 1}, labels={"half_term": "Half-term"})  # fmt: skip
    html = html_of(shown)
    assert re.findall(r"<th (scope=\"\w+\")", html) == ['scope="col"'] * 2 + ['scope="row"'] * 2
    assert "<th>" not in html
    assert "Absence rate (percentage points)" in html
    assert '<td class="num">7.2</td>' in html or '<td class="num">7.3</td>' in html
    identifiers = re.search(r'aria-labelledby="([^"]+)"', html)[1].split()
    assert all(f'id="{identifier}"' in html for identifier in identifiers) and 'tabindex="0"' in html and 'role="region"' in html


def test_large_wide_and_empty_tables_say_what_is_missing(shown):
    show.show_table(pd.DataFrame({"a": range(1234)}), caption="A long table", source="panel")
    assert "the first 200 of 1,234 rows" in html_of(shown) and "the table panel in the run folder" in html_of(shown)
    assert html_of(shown).count("<tr>") == 201
    show.show_table(pd.DataFrame({f"c{i}": [i] for i in range(40)}), caption="A wide table")
    assert "the first 30 of 40 columns" in html_of(shown)
    show.show_table(pd.DataFrame({"a": []}), caption="Nothing here")
    assert "No rows." in html_of(shown)


def test_values_are_written_for_reading(shown):
    frame = pd.DataFrame(
        {"name": ["a", "b"], "flag": [True, False], "day": pd.to_datetime(["2022-09-01", "2023-01-23"]),
         "money": [-1234567.891, None], "count": [1234567, 2], "tiny": [-0.0001, 0.0]}
    )  # fmt: skip
    show.show_table(frame, caption="Every kind of value", decimals={"money": 0, "tiny": 2})
    html = html_of(shown)
    for text in ("Yes", "No", "1 September 2022", "\u22121,234,568", "1,234,567", "[x] means not available", ">0.00<"):
        assert text in html
    assert "\u22120.00" not in html


@pytest.mark.parametrize("argument", ["units", "decimals", "labels"])
def test_a_misspelt_column_is_refused(shown, rows, argument):
    with pytest.raises(ContractError, match="halfterm"):
        show.show_table(rows, caption="Absence by half-term", **{argument: {"halfterm": 1 if argument == "decimals" else "x"}})


def test_repeated_column_names_are_refused(shown):
    with pytest.raises(ContractError, match="repeated"):
        show.show_table(pd.DataFrame([[1, 2]], columns=["a", "a"]), caption="Two columns of one name")


def test_ids_are_unique_within_a_notebook_and_prefixed_by_stage(shown, rows):
    for _ in range(3):
        show.show_table(rows, caption="Absence by half-term")
    show.set_context("delivery", "simulated", None)
    show.show_table(rows, caption="Absence by half-term")
    ids = [output["metadata"]["evaluation"]["id"] for output in shown]
    assert len(set(ids)) == 4
    assert ids[0].startswith("impact-") and ids[3].startswith("delivery-")


def test_sentences_are_paragraphs_and_lists_and_name_their_rows(shown):
    show.show_text("First <i>one</i>.\nSame paragraph.\n\n- a\n- b", rows=["estimates: B_referred"])
    html = html_of(shown)
    assert "<p>First &lt;i&gt;one&lt;/i&gt;. Same paragraph.</p>" in html
    assert "<ul><li>a</li><li>b</li></ul>" in html and '<a href="#result-table-estimates">estimates</a>: B_referred' in html
    with pytest.raises(ContractError):
        show.show_text("  ")


def test_without_a_context_results_still_show(shown, rows):
    show.set_context(None, None, None)
    show.show_table(rows, caption="Absence by half-term")
    assert SIMULATED not in html_of(shown) and "<table" in html_of(shown)


def test_an_unknown_label_is_refused():
    with pytest.raises(ContractError, match="secret"):
        show.set_context("impact", "secret", None)


def test_showing_does_not_change_the_frame(shown, figure, rows, tmp_path):
    show.set_context("impact", "simulated", tmp_path)
    before = rows.copy(deep=True)
    show.show_table(rows, caption="Absence by half-term")
    show.show_figure(figure, alt=ALT, caption=CAPTION, data=rows)
    pd.testing.assert_frame_equal(rows, before)


def test_sentences_that_continue_an_item_stay_with_it(shown):
    from evaluation.reporting.headline import HeadlineRow, headline_frame

    rows = [HeadlineRow("label", "L."), HeadlineRow("verdict", "V one. V two."), HeadlineRow("verdict_more", "V three."),
            HeadlineRow("effect", "E one.", 1.0, source_table="estimates", source_key="k"), HeadlineRow("effect_started", "E two.")]  # fmt: skip
    show.show_headline(headline_frame(rows))
    html = html_of(shown)
    assert '<p class="verdict">V one.</p>' in html
    assert html.index("L.") < html.index("V one.") < html.index("V two.") < html.index("V three.") < html.index("<dl>")
    assert html.count("<dt>") == 1 and re.search(r"<dd><p>E one\..*?</p><p>E two\.</p></dd>", html)
    target = re.search(r'href="#([^"]+)"', html)[1]
    assert f'id="{target}"' in html, "the number does not lead to its row"


def test_a_headline_without_its_columns_is_refused(shown, rows):
    with pytest.raises(ContractError, match="headline"):
        show.show_headline(rows)


@pytest.mark.parametrize(
    ("values", "decimals"),
    [([1, 2], 0), ([1.0, 2.0], 0), ([0.25, 0.5], 3), ([1.5, 20.25], 2), ([1.5, 2000.25], 1), ([None, None], None), (["a", 1], None), ([True, False], None)],
)  # fmt: skip
@pytest.mark.parametrize("dtype", ["object", None])
def test_digits_follow_the_largest_value_of_a_column_whatever_its_type(values, decimals, dtype):
    from evaluation.reporting.digits import column_decimals

    assert column_decimals(pd.Series(values, dtype=dtype)) == decimals


@pytest.mark.parametrize(("value", "written"), [(0.0003, "0.00030"), (-0.0003, "\u22120.00030"), (0.0, "0.0"), (1e-9, "0.0"), (0.04, "0.040"), (0.346, "0.35"), (1043.02, "1,043.0"), (12.0, "12.0")])
def test_a_small_number_in_a_column_of_large_ones_is_not_written_as_zero(shown, value, written):
    show.show_table(pd.DataFrame({"measure": ["a", "b"], "value": [value, 2500.5]}), caption="Measures of several units")
    assert f">{written}</td>" in html_of(shown)
    show.show_table(pd.DataFrame({"measure": ["a", "b"], "value": [value, 2500.5]}), caption="Digits that were asked for", decimals={"value": 0})
    assert f">{number_text(value, 0)}</td>" in html_of(shown)


def test_a_figure_whose_numbers_are_all_missing_is_refused(shown, figure):
    with pytest.raises(ContractError, match="the figure has no points"):
        show.show_figure(figure, alt="Two lines that rise over the year.", caption="Absence by half-term", data=pd.DataFrame({"area": ["x"], "rate": [float("nan")]}))


@pytest.mark.parametrize("name", ["$\\frac{", "<script>alert(1)</script>", "**bold** $x$", "\u202eevil", "x" * 10_000])
def test_a_figure_draws_whatever_text_data_hold(shown, rows, name):
    drawn = new_figure(3, 2)
    axes = drawn.subplots()
    axes.plot([0, 1], [1, 2])
    axes.set_xticks([0, 1], [name[:200], "b"])
    axes.set_title(name[:200])
    show.show_figure(drawn, alt="Two lines that rise over the year.", caption="Absence by half-term", data=rows.assign(name=name))
    assert "<script>" not in html_of(shown) and "\u202e" not in html_of(shown)


@pytest.mark.parametrize("frame", [pd.DataFrame({"a": [1]}), pd.DataFrame({"a": pd.Series(dtype=float)}), pd.DataFrame([[1.0] * 500], columns=[f"c{i}" for i in range(500)])])
def test_a_table_of_one_row_none_or_500_columns_is_shown_with_what_was_cut(shown, frame):
    show.show_table(frame, caption="Rows of some table")
    html = html_of(shown)
    assert html.count("<th scope=\"col\"") == min(len(frame.columns), 30) and html.count("<tr>") == len(frame) + 1
    assert ("No rows." in html) == (len(frame) == 0) and ("30 of 500 columns" in html) == (len(frame.columns) == 500)


def test_rows_behind_a_text_are_folded_below_and_linked(shown, rows):
    show.show_text("Absence rose to 8.5%.\n\n- from 7.25", rows={"panel": rows})
    html = html_of(shown)
    target = re.search(r'class="row-link" href="#([^"]+)"', html)[1]
    assert html.count("class=\"row-link\"") == 2 and f'<details id="{target}">' in html and "Rows of panel behind \u201cAbsence rose to 8.5%. - from 7.25\u201d (impact)" in html and ">8.50<" in html


def test_rows_behind_a_text_must_be_a_table(shown):
    with pytest.raises(ContractError, match="rows of panel"):
        show.show_text("Absence rose.", rows={"panel": [1, 2]})


def test_a_number_that_none_of_the_rows_gives_is_recorded_with_the_text(shown, rows):
    show.show_text("Absence rose to 8.5%, not to 9.9%.", rows={"panel": rows})
    show.show_text("Absence rose.", rows=["panel"])
    marks = [item["metadata"]["evaluation"] for item in shown]
    assert [mark.get("numbers_without_rows") for mark in marks] == [["9.9%"], None]
