"""The glossary at the end of the technical edition: each term of the field in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

BOTH, TRIAL, AREA = frozenset({"trial", "area"}), frozenset({"trial"}), frozenset({"area"})

TERMS: tuple[tuple[str, str, frozenset[str]], ...] = (
    ("Absence rate", "Sessions a pupil missed, as a share of the sessions that were possible for that pupil.", BOTH),
    ("Attrition", "Pupils who entered the study but could not be followed to its end.", TRIAL),
    ("Before-and-after change", "What pupils did later less what they did before. It mixes the effect with all else that changed, so it is no effect.", BOTH),
    ("Break-even", "The point at which what was gained is worth what it cost.", TRIAL),
    ("Caliper", "The largest distance at which two pupils still count as similar.", TRIAL),
    ("Comparison schools, comparison pupils", "Schools without a mentor, and their pupils who met the same rule in the same weeks.", TRIAL),
    ("Confidence interval", "The range of effects that the data do not speak against, at the stated level. An interval that includes zero is not evidence of no effect.", BOTH),
    ("CR2, Satterthwaite", "A way to work out how uncertain an effect is when whole schools, not single pupils, were given a mentor, that stays honest with few schools.", TRIAL),
    ("Decision test", "The one test, named before outcomes were seen, by which the verdict is reached.", TRIAL),
    ("Design within areas, between areas", "Whether pupils are compared with pupils of other schools in the same area, or with pupils of other areas.", TRIAL),
    ("Effective number", "How many equally weighted pupils would carry as much information as the weighted ones.", TRIAL),
    ("Eligibility window", "The half-term in which a pupil's absence first met the rule of the programme.", TRIAL),
    ("Enrolment", "One pupil in one school; a pupil who moves counts in both.", BOTH),
    ("Estimand A, offer effect", "The effect of a mentor working in the school on all pupils who met the rule there, referred or not.", TRIAL),
    ("Estimand B, effect on referred pupils", "The effect on the pupils who were referred, given that referral is unrelated to what would have happened anyway.", TRIAL),
    ("Event study", "The gap between two groups, half-term by half-term, before and after support began.", TRIAL),
    ("Half-term", "One of the six parts of a school year.", TRIAL),
    ("Harmonised measure", "Absence counted by one rule on both sides of 19 August 2024, when the codes of absence changed.", TRIAL),
    ("Love plot", "A figure of how far two groups differ in what they were matched on, before and after matching.", TRIAL),
    ("Matched authorities", "The authorities that were most like the area before the programme, chosen by a registered rule.", AREA),
    ("Net benefit", "What the gain is worth less what it cost.", TRIAL),
    ("Persistent absence", "Missing 10% or more of the sessions that were possible.", BOTH),
    ("Placebo", "The same sum done where there can be no effect. If it finds one, the sum is at fault.", BOTH),
    ("Regression to the mean", "Pupils chosen in a bad spell do better afterwards on average, with or without help.", TRIAL),
    ("Security rating", "A rating from 0 to 5 of how far a finding can be relied on, from its design and from how many pupils were lost.", TRIAL),
    ("Session", "Half a school day, morning or afternoon.", BOTH),
    ("Severe absence", "Missing 50% or more of the sessions that were possible.", BOTH),
    ("Stack", "All pupils whose eligibility window was the same half-term, in schools with and without mentors.", TRIAL),
    ("Standardised difference", "A difference between two groups, in standard deviations of the group with mentors.", TRIAL),
    ("Switching value", "The value of an assumption at which the answer turns round.", TRIAL),
    ("Usual support", "What schools do anyway for pupils who miss school. The comparison is with this, not with nothing.", BOTH),
)


def glossary(kind: str) -> pd.DataFrame:
    """Return the terms that a kind of study uses, in alphabetical order.

    Parameters
    ----------
    kind : {"trial", "area"}

    Returns
    -------
    pandas.DataFrame
        ``term, meaning``.
    """
    import pandas as pd

    rows = sorted((term, meaning) for term, meaning, kinds in TERMS if kind in kinds)
    return pd.DataFrame(rows, columns=["term", "meaning"])
