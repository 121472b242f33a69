"""What the trial registers on value for money: costs, benefits, how long effects last, and for whom the answer is."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from .base import Quantity as SourcedQuantity
from .base import Section

Perspective = Literal["funder", "public_sector", "society"]
Pupils = Literal["eligible", "referred", "started"]
STREAMS = ("lifetime earnings", "GCSE grades", "exclusions avoided", "services avoided")
OVERLAPS = (frozenset({"lifetime earnings", "GCSE grades"}),)
"""Streams that hold the same gain twice: grades raise earnings, and are inside the association with earnings already."""


class Quantity(SourcedQuantity):
    """A sourced number that also says when its source was published or the choice made."""

    dated: str = Field(..., min_length=4, description="When the source was published or the choice made")


class Sourced(Section):
    """A table of numbers with where it comes from; standing as in :class:`Quantity`."""

    source: str = Field(..., min_length=1, description="Where the numbers come from")
    dated: str = Field(..., min_length=4, description="When the source was published or the choice made")
    standing: Literal["S", "C", "S2", "M", "judgement"] = Field(..., description="What the numbers rest on")


class Deflators(Sourced):
    """A published price index."""

    index: dict[str, float] = Field(..., min_length=2, description="Price index by price year", json_schema_extra={"unit": "index"})

    @model_validator(mode="after")
    def _positive(self) -> Deflators:
        """An index of zero or below divides nothing."""
        if any(value <= 0 for value in self.index.values()):
            raise ValueError("`index` must be above zero in every year")
        return self


class BenefitStream(Section):
    """A benefit of attendance with a value in money: whose, what it rests on, and how much of it attendance causes."""

    stream: Literal["lifetime earnings", "GCSE grades", "exclusions avoided", "services avoided"] = Field(..., description="What is gained")
    nature: Literal["association", "causal"] = Field(..., description="Whether the value is an association with attendance, or an effect of it")
    per_day: Quantity = Field(..., description="Value that goes with one extra day attended", json_schema_extra={"unit": "GBP per day"})
    causal_share: Quantity | None = Field(
        ..., description="Share of it taken as caused by attendance; an association needs one", json_schema_extra={"unit": "share"},
    )
    counted_in: list[Perspective] = Field(..., min_length=1, description="Perspectives whose net benefit counts this gain")

    @model_validator(mode="after")
    def _coherent(self) -> BenefitStream:
        """An association is no benefit until a share of it is taken as caused."""
        if self.nature == "association" and self.causal_share is None:
            raise ValueError(f"`{self.stream}` is an association: give the `causal_share` that is taken as caused by attendance")
        if self.per_day.value <= 0:
            raise ValueError("a value of one extra day must be above zero")
        if self.causal_share is not None:
            share = self.causal_share
            if not 0 <= share.value <= 1:
                raise ValueError("`causal_share` lies between 0 and 1")
            if (share.low is None) != (share.high is None) or (share.low is not None and not 0 <= share.low <= share.high <= 1):
                raise ValueError("`causal_share`: give `low` and `high` in order between 0 and 1, or both null")
        return self


class Discounting(Sourced):
    """The schedule of discount rates."""

    base_year: str = Field(..., pattern=r"^\d{4}/\d{2}$", description="Year 0", json_schema_extra={"unit": "academic year"})
    steps: list[list[float]] = Field(
        ..., min_length=1, description="Last year of each step and its annual real rate", json_schema_extra={"unit": "years, share a year"},
    )

    @model_validator(mode="after")
    def _rising(self) -> Discounting:
        """Steps in order, each a last year and a rate."""
        if any(len(step) != 2 or step[0] != int(step[0]) or not 0 <= step[1] < 1 for step in self.steps):
            raise ValueError("each step is [last year, rate], such as [30, 0.035]")
        years = [step[0] for step in self.steps]
        if years != sorted(set(years)):
            raise ValueError("the last years of `steps` must rise")
        return self

    @property
    def schedule(self) -> tuple[tuple[int, float], ...]:
        """The steps as the discount factor takes them."""
        return tuple((int(last), rate) for last, rate in self.steps)


class CostBands(Sourced):
    """Bands of cost per pupil per year; they differ between editions."""

    edition: str = Field(..., min_length=1, description="Edition of the bands")
    limits: list[float] = Field(
        ..., min_length=4, max_length=4, description="Very low is below the first; low, moderate and high go up to the others",
        json_schema_extra={"unit": "GBP per pupil per year"},
    )

    @model_validator(mode="after")
    def _rising(self) -> CostBands:
        """Limits in order."""
        if self.limits != sorted(set(self.limits)) or self.limits[0] <= 0:
            raise ValueError("`limits` must rise from above zero")
        return self


class Persistence(Section):
    """Days after the measured window: scenarios only, never the base case."""

    support_half_terms: Quantity = Field(..., description="Half-terms of support from its start", json_schema_extra={"unit": "half-terms"})
    half_life: Quantity = Field(..., description="Half-life of the effect after support", json_schema_extra={"unit": "half-terms"})
    first_measured_half_term: int = Field(
        ..., ge=1, le=6, description="First half-term of the follow-up; support starts in half-term 1", json_schema_extra={"unit": "half-term"},
    )
    measured_half_terms: int = Field(..., ge=1, le=6, description="Half-terms of the follow-up", json_schema_extra={"unit": "half-terms"})
    horizon_half_terms: int = Field(
        ..., ge=4, le=60, description="Last half-term counted, from the start of support", json_schema_extra={"unit": "half-terms"},
    )


    @model_validator(mode="after")
    def _covers_the_follow_up(self) -> Persistence:
        """Nothing is counted to a day before the follow-up ends."""
        if self.horizon_half_terms < self.first_measured_half_term + self.measured_half_terms - 1:
            raise ValueError("`horizon_half_terms` ends before the follow-up does")
        return self


class Distribution(Section):
    """Weights for who gains: the recipients' income against the taxpayers'."""

    income_ratio: Quantity = Field(
        ..., description="Median equivalised income of taxpayers over that of the recipients' households", json_schema_extra={"unit": "ratio"},
    )
    elasticity: Quantity = Field(..., description="Elasticity of the marginal utility of income", json_schema_extra={"unit": "elasticity"})


class Decision(Section):
    """Whom the decision covers, over which values of a day it is looked at."""

    pupils_a_year: Quantity = Field(..., description="Pupils a year whom the decision covers, of the headline's denominator", json_schema_extra={"unit": "pupils a year"})
    years: int = Field(..., ge=1, le=30, description="Years for which the decision holds", json_schema_extra={"unit": "years"})
    highest_threshold: float = Field(..., gt=0, le=100_000, description="Highest value of a day looked at", json_schema_extra={"unit": "GBP per day"})
    thresholds: int = Field(..., ge=5, le=2_000, description="Values of a day looked at, evenly from 0", json_schema_extra={"unit": "values"})


class PlanningPlace(Section):
    """A place that plans with the study's results."""

    place: Literal["school", "trust", "authority"] = Field(..., description="Kind of place")
    roll: int = Field(..., ge=1, description="Pupils on roll", json_schema_extra={"unit": "pupils"})
    persistent_absentees: int = Field(..., ge=0, description="Pupils who missed a tenth of sessions or more", json_schema_extra={"unit": "pupils"})
    severe_absentees: int = Field(..., ge=0, description="Pupils among them who missed half of sessions or more", json_schema_extra={"unit": "pupils"})
    referred: int = Field(..., ge=1, description="Pupils referred in a year", json_schema_extra={"unit": "pupils a year"})

    @model_validator(mode="after")
    def _nested(self) -> PlanningPlace:
        """Nobody is counted who is not there."""
        if not self.severe_absentees <= self.persistent_absentees <= self.roll or self.referred > self.persistent_absentees:
            raise ValueError("needs severe_absentees <= persistent_absentees <= roll, and referred <= persistent_absentees")
        return self


class Planning(Section):
    """What a place would pay for mentors of its own."""

    mentor_cost: Quantity = Field(..., description="Cost of one mentor for a year, all in", json_schema_extra={"unit": "GBP a year"})
    caseload: Quantity = Field(..., description="Pupils whom a mentor supports at once", json_schema_extra={"unit": "pupils"})
    courses_a_year: Quantity = Field(..., description="Courses of support, one after the other, in a year", json_schema_extra={"unit": "courses"})
    places: list[PlanningPlace] = Field(..., min_length=1, description="The places that plan")


class ValueForMoneySection(Section):
    """Stage `value_for_money`: what it cost, what that bought, and what would have to be true for it to pay."""

    study_periods: list[str] = Field(
        ..., min_length=1, description="Academic years whose costs belong to the study", json_schema_extra={"unit": "academic year"},
    )
    price_base: str = Field(
        ..., pattern=r"^\d{4}(/\d{2})?$", description="Price year in which every amount is stated",
        json_schema_extra={"unit": "price year"},
    )
    deflators: Deflators | None = Field(
        ..., description="A published price index; null when every cost is already in the price base",
    )
    payers: dict[str, list[str]] = Field(
        ..., description="Whose costs each perspective counts: funder, public_sector, society",
    )
    vat_counted_in: list[Perspective] = Field(
        ..., description="Perspectives in which recorded VAT is a cost",
    )
    perspective: Perspective = Field(..., description="Perspective of the headline")
    denominator: Pupils = Field(
        ..., description="Pupils over whom the headline states both cost and effect",
    )
    estimand_by_denominator: dict[Pupils, Literal["A", "B"]] = Field(
        ..., min_length=1, description="Which registered estimand gives the effect for each denominator",
    )
    outcome: str = Field(..., min_length=1, description="Outcome whose effect is turned into days, as named in the estimates table")
    cost_relative_error: Quantity = Field(
        ..., description="Standard error of cost per pupil as a share of it", json_schema_extra={"unit": "share"},
    )
    cost_effect_correlation: Quantity = Field(
        ..., description="Correlation of cost and effect in the draws", json_schema_extra={"unit": "correlation"},
    )
    value_per_day: Quantity = Field(
        ..., description="Value of one extra day attended in the base case", json_schema_extra={"unit": "GBP per day"},
    )
    benefits: list[BenefitStream] = Field(..., description="Streams of benefit, each a scenario; none may hold another's gain again")
    discounting: Discounting
    distribution: Distribution | None = Field(..., description="Weights for who gains, shown beside unweighted results; null leaves them out")
    cost_bands: CostBands
    persistence: Persistence
    take_up: Quantity = Field(..., description="Share of pupils referred who start, in scenarios", json_schema_extra={"unit": "share"})
    scale: Quantity = Field(..., description="Pupils served, as a multiple of the study's, in scenarios", json_schema_extra={"unit": "multiple"})
    decision: Decision
    planning: Planning
    draws: int = Field(..., ge=5_000, le=1_000_000, description="Probabilistic draws", json_schema_extra={"unit": "draws"})

    @model_validator(mode="after")
    def _coherent(self) -> ValueForMoneySection:
        """Rules between fields, so that a params file cannot state a case that the text would contradict."""
        if set(self.payers) != {"funder", "public_sector", "society"}:
            raise ValueError("`payers` needs exactly the perspectives funder, public_sector and society")
        if not set(self.payers["funder"]) <= set(self.payers["public_sector"]) <= set(self.payers["society"]):
            raise ValueError("`payers`: each wider perspective must hold the payers of the narrower one")
        if self.denominator not in self.estimand_by_denominator:
            raise ValueError("`estimand_by_denominator` lacks the headline's denominator")
        if not 0 <= self.cost_relative_error.value < 1:
            raise ValueError("`cost_relative_error` lies from 0 to below 1")
        if not -1 < self.cost_effect_correlation.value < 1:
            raise ValueError("`cost_effect_correlation` lies between -1 and 1")
        if self.value_per_day.value <= 0:
            raise ValueError("a value of one extra day must be above zero")
        if self.value_per_day.standing in ("S2", "M"):
            raise ValueError("`value_per_day` is the base case: a number read only in a secondary source may enter scenarios alone")
        if self.deflators is not None and self.price_base not in self.deflators.index:
            raise ValueError("`deflators` lack the price base")
        if not 0 < self.take_up.value <= 1 or not self.scale.value > 0:
            raise ValueError("`take_up` is a share above 0, `scale` a multiple above 0")
        self._benefits()
        return self

    def _benefits(self) -> None:
        """No gain is counted twice."""
        names = [benefit.stream for benefit in self.benefits]
        if len(set(names)) != len(names):
            raise ValueError("`benefits` names a stream twice")
        for pair in OVERLAPS:
            if pair <= set(names):
                raise ValueError(f"`benefits`: {' and '.join(sorted(pair))} overlap, for the one is inside the other already; keep one of them")


def quantities(section: Section, prefix: str = "") -> list[tuple[str, Quantity]]:
    """Every sourced number of a section with its path, in order."""
    found: list[tuple[str, Quantity]] = []
    for name in type(section).model_fields:
        value, path = getattr(section, name), f"{prefix}{name}"
        if isinstance(value, Quantity):
            found.append((path, value))
        elif isinstance(value, Section):
            found += quantities(value, f"{path}.")
        elif isinstance(value, list) and value and isinstance(value[0], BenefitStream):
            for benefit in value:
                found += quantities(benefit, f"{benefit.stream}: ")
    return found
