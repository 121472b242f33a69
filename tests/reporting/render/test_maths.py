"""Formulas in prose: MathML without scripts, or a refusal that names the cell."""

from __future__ import annotations

import pytest

from evaluation.errors import GateError
from evaluation.reporting.render.maths import mathml
from evaluation.reporting.render.prose import prose_html


@pytest.mark.parametrize(("source", "body"), [
    ("x", "<mrow><mi>x</mi></mrow>"),
    ("2g + 1 = 6", "<mrow><mn>2</mn><mi>g</mi><mo>+</mo><mn>1</mn><mo>=</mo><mn>6</mn></mrow>"),
    ("a - b", "<mrow><mi>a</mi><mo>\u2212</mo><mi>b</mi></mrow>"),
    (r"\hat\tau_{i}^2", '<mrow><msubsup><mover accent="true"><mi>\u03c4</mi><mo>^</mo></mover><mrow><mi>i</mi></mrow><mn>2</mn></msubsup></mrow>'),
    (r"\frac{1}{n}", "<mrow><mfrac><mrow><mn>1</mn></mrow><mrow><mi>n</mi></mrow></mfrac></mrow>"),
    (r"\sqrt{x} \le \text{a & b}", "<mrow><msqrt><mrow><mi>x</mi></mrow></msqrt><mo>\u2264</mo><mtext>a &amp; b</mtext></mrow>"),
])  # fmt: skip
def test_formulas_become_mathml(source, body):
    assert body in mathml(source)


@pytest.mark.parametrize("source", [r"\href{javascript:x}", "{a", "a}", "x^^2", r"\frac{1}", "_", r"\unknown", "\u202e"])
def test_what_is_not_known_is_refused(source):
    with pytest.raises(GateError, match="cannot be shown without scripts"):
        mathml(source)


def test_prose_holds_formulas_in_the_line_and_on_their_own():
    html = prose_html("The gap $g$ satisfies\n\n$$\n2g + K = 5\n$$\n", "cohort", set(), [])
    assert "<math alttext=" in html and '<math display="block" alttext="2g + K = 5">' in html and "<script" not in html


def test_the_source_of_a_formula_cannot_leave_its_attribute():
    assert 'alttext="\\text{&quot; onload=&quot;x}"' in mathml('\\text{" onload="x}')


def test_a_tag_in_a_formula_is_shown_as_signs():
    assert "<script" not in mathml("<script>") and "&lt;" in mathml("<script>")
