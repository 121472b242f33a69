"""Which stages each kind of study has, what each reads and writes: the one place that lists them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module

from evaluation.errors import ContractError

WORKING = "working"
"""Folder of a run that holds what the stage ``report`` wrote and the editions in full, none of it cleared."""


def folder_of(stage: str) -> str:
    """Folder of a stage's results in a run: its name, but for the stage ``report``, beside whose results the cleared report must not lie."""
    return WORKING if stage == "report" else stage


@dataclass(frozen=True)
class Stage:
    """One step of a study: a notebook with its section of the protocol and its tables.

    ``raw`` names the extract tables it reads, ``effects`` marks a stage that estimates effects (left out of a
    formative run), ``whole_protocol`` a stage that reads every section, ``truth`` one that may read simulated truth.
    """

    name: str
    section: str
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    raw: tuple[str, ...] = ()
    notebook: str = ""
    effects: bool = False
    whole_protocol: bool = False
    truth: bool = False

    @property
    def notebook_name(self) -> str:
        """File name of the notebook below ``notebooks/``."""
        return f"{self.notebook or self.name}.ipynb"


@dataclass(frozen=True)
class Kind:
    """A kind of study: its protocol's model, its stages in order, and where its data come from by default.

    ``model``, ``simulator`` and ``checker`` (of extracts, before any kernel starts) are import paths ("module:name");
    ``module`` is where this kind is listed, so that a kernel finds it again.
    """

    name: str
    model: str
    default_params: str
    stages: tuple[Stage, ...]
    simulator: str | None = None
    simulator_sources: tuple[str, ...] = ()
    checker: str | None = None
    module: str = "evaluation.runs.stages"

    def stage(self, name: str) -> Stage:
        """The stage called ``name``.

        Raises
        ------
        ContractError
            There is none; the stages of this kind are named.
        """
        for stage in self.stages:
            if stage.name == name:
                return stage
        raise ContractError(f"a study of kind `{self.name}` has no stage `{name}`",
                            mend=f"its stages are {', '.join(s.name for s in self.stages)}")

    def writer(self, table: str) -> Stage:
        """The stage that writes a table."""
        for stage in self.stages:
            if table in stage.writes:
                return stage
        raise ContractError(f"no stage of kind `{self.name}` writes table `{table}`",
                            mend="declare it in evaluation/runs/stages.py")


def load_object(path: str):
    """The object behind an import path of the form "module:name"."""
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)


def model_of(kind: Kind):
    """The pydantic model of a kind's protocol."""
    return load_object(kind.model)


def section_model(kind: Kind, section: str):
    """The model of one section of a kind's protocol."""
    return model_of(kind).model_fields[section].annotation


def find_kind(kinds: Mapping[str, Kind], stage: str, kind: str | None = None) -> Kind:
    """The kind of study that a notebook belongs to: the one named, else the first that has the stage."""
    if kind is not None:
        if kind not in kinds:
            raise ContractError(f"there is no kind of study `{kind}`", mend=f"known kinds are {', '.join(kinds)}")
        return kinds[kind]
    for candidate in kinds.values():
        if any(s.name == stage for s in candidate.stages):
            return candidate
    known = ", ".join(dict.fromkeys(s.name for k in kinds.values() for s in k.stages))
    raise ContractError(f"there is no stage `{stage}`", mend=f"known stages are {known}")


TRIAL = Kind(
    name="trial",
    model="evaluation.protocol.trial:TrialProtocol",
    default_params="params/attendance_mentors_trial.yaml",
    simulator="evaluation.registers.simulator:simulate_extracts",
    simulator_sources=("registers", "protocol"),
    checker="evaluation.registers.check:check_files",
    stages=(
        Stage("registers", "registers",
              raw=("schools", "pupils", "marks", "calendar", "referrals", "meetings", "costs", "programmes", "absence_by_period", "barriers",
                   "suspensions", "survey_items", "survey_scales", "deliveries"),
              writes=("panel", "enrolments", "school_list", "programme_list", "referral_list", "meeting_list", "barrier_list", "suspension_counts",
                      "survey_scores", "survey_reliability", "cost_list", "calendar_used", "intake_counts", "intake_rejects", "register_quality", "register_weeks",
                      "mark_counts", "absence_reconciliation", "measure_reconciliation", "linkage", "delivery_changes", "absence_by_band", "absence_by_half_term",
                      "absence_by_weekday", "completeness_by_area")),
        Stage("cohort", "cohort", reads=("panel", "enrolments", "school_list", "referral_list", "programme_list", "calendar_used"),
              writes=("cohort", "cohort_outcomes", "cohort_trajectories", "cohort_flow", "attrition", "baseline_table", "school_selection",
                      "comparison_pool", "co_interventions", "regression_to_mean", "support_timing", "placebo_cohort", "stack_pupils", "outcome_levels")),
        Stage("matching", "matching", reads=("cohort", "cohort_trajectories", "placebo_cohort"),
              writes=("matches", "match_weights", "balance", "school_balance", "trajectories", "unmatched", "offer_weights", "offer_overlap", "placebo_weights",
                      "match_alternatives", "alternative_weights", "matched_pupils")),
        Stage("impact", "impact",
              reads=("cohort", "cohort_trajectories", "cohort_outcomes", "match_weights", "matches", "unmatched", "offer_weights", "panel", "school_list",
                     "placebo_cohort", "placebo_weights", "match_alternatives", "alternative_weights",
                     "referral_list", "suspension_counts", "survey_scores", "survey_reliability"),
              writes=("specification_curve", "specification_tests", "estimates", "robustness_tests", "event_study", "honest_bounds", "sensitivity", "two_way_weights", "robustness_checks",
                      "impact_diagnostics", "limitations", "truth_comparison", "placebos", "attrition_schools", "attrition_bounds", "harms",
                      "leave_one_out", "spillover", "subgroups", "survey_response", "survey_changes", "referral_selection", "stack_effects"), effects=True, truth=True),
        Stage("delivery", "delivery", reads=("cohort", "match_weights", "estimates", "referral_list", "meeting_list", "school_list", "barrier_list"),
              writes=("delivery_reach", "delivery_dose", "delivery_fidelity", "delivery_barriers", "delivery_caseload", "delivery_model_effects",
                      "dose_response")),
        Stage("value_for_money", "value_for_money",
              reads=("estimates", "placebos", "cost_list", "cohort", "delivery_reach", "delivery_model_effects", "referral_list"),
              writes=("costs_by_perspective", "eef_cost", "appraisal", "plane_draws", "acceptability", "information_value", "tornado", "value_scenarios",
                      "planning_table", "value_inputs"), effects=True),
        Stage("report", "report", whole_protocol=True,
              reads=("estimates", "truth_comparison", "impact_diagnostics", "robustness_checks", "limitations", "placebos", "specification_curve", "specification_tests", "referral_selection", "subgroups", "survey_changes", "survey_response", "trajectories", "cohort_flow", "attrition", "delivery_reach",
                     "delivery_model_effects", "costs_by_perspective", "appraisal", "tornado", "planning_table", "value_inputs", "intake_counts"),
              writes=("headline",)),
    ),
)

AREA = Kind(
    name="area",
    model="evaluation.protocol.area:AreaProtocol",
    default_params="params/middlesbrough_area_study.yaml",
    checker="evaluation.registers.absence_bands:check_bands_file",
    stages=(
        Stage("area_panel", "area_panel", raw=("absence_bands",),
              writes=("area_panel", "area_outcomes", "area_authorities", "area_counts", "area_checks")),
        Stage("area_comparison", "area_comparison", reads=("area_panel", "area_authorities"),
              writes=("area_pools", "area_matches", "area_exclusions", "area_balance")),
        Stage("area_impact", "area_impact", reads=("area_outcomes", "area_pools", "area_matches"),
              writes=("area_estimates", "area_gaps", "area_drift", "area_placebos", "area_detectable"), effects=True),
        Stage("report", "report", notebook="area_report", whole_protocol=True,
              reads=("area_checks", "area_pools", "area_estimates", "area_gaps", "area_drift", "area_detectable"),
              writes=("headline",)),
    ),
)

KINDS: dict[str, Kind] = {kind.name: kind for kind in (TRIAL, AREA)}
