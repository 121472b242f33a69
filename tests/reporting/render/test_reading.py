"""The reading age of an edition, on texts counted by hand."""

from __future__ import annotations

import pytest

from evaluation.reporting.render.reading import reading_age, syllables


def page(body: str) -> str:
    return f"<!DOCTYPE html><html><body><header><p>Extraordinarily complicated introductory considerations.</p></header><main>{body}</main></body></html>"


@pytest.mark.parametrize(("word", "count"), [
    ("cat", 1), ("pupils", 2), ("attendance", 3), ("mentor", 2), ("table", 2), ("make", 1), ("schools", 1), ("boxes", 2), ("missed", 1), ("counted", 2),
    ("evaluation", 5), ("radio", 3), ("nation", 2), ("the", 1), ("1,234", 1), ("you", 1), ("Department", 3), ("changes", 2), ("absence", 2),
])  # fmt: skip
def test_syllables(word, count):
    assert syllables(word) == count


def test_the_formula_on_a_text_counted_by_hand():
    """Two sentences, 9 words, 13 syllables."""
    assert reading_age(page("<p>The cat sat on the table. Pupils attended school.</p>")) == pytest.approx(0.39 * 4.5 + 11.8 * 13 / 9 - 15.59 + 5, abs=0.05)


def test_only_sentences_of_the_main_part_are_read():
    plain = "<p>The cat sat.</p>"
    hard = "Multidimensional heteroskedasticity considerations notwithstanding"
    around = (f"<h2>{hard}</h2><figure><figcaption>{hard}</figcaption></figure><table><caption>{hard}</caption><tr><td>{hard}</td></tr></table>"
              f"<details><p>{hard}</p></details><pre>{hard}</pre><section class='about'><p>{hard}</p></section><p class='note'></p>")
    assert reading_age(page(plain + around)) == reading_age(page(plain))
    assert reading_age(page(plain + f"<p>{hard}.</p>")) > reading_age(page(plain)) + 5


def test_a_page_without_sentences_has_no_age():
    assert reading_age(page("<h2>Nothing</h2>")) == 0.0


def test_links_and_notes_within_sentences_do_not_count():
    link = ' <a class="row-link" href="#x">row 3<span class="hidden"> of the extraordinarily numerous considerations</span></a>'
    assert reading_age(page(f"<p>The cat sat.{link}</p><p>The dog ran.</p>")) == reading_age(page("<p>The cat sat.</p><p>The dog ran.</p>"))
