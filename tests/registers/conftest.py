"""A small simulated study, made once, and ways to make others."""

import json
from pathlib import Path

import pytest
from small_study import ROOT, SEED, small_design, study_values

from evaluation.protocol.trial import RegistersSection


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def section() -> RegistersSection:
    return RegistersSection.model_validate_json(json.dumps(study_values()["registers"]))


@pytest.fixture(scope="session")
def extract(tmp_path_factory) -> Path:
    """A simulated extract; tests that change it copy it first."""
    from evaluation.registers.simulator import simulate_extracts

    folder = tmp_path_factory.mktemp("extract")
    simulate_extracts(small_design(), ROOT, folder, SEED)
    return folder


@pytest.fixture
def simulate(tmp_path):
    """Write a small extract with changes to the design; returns its folder."""

    from evaluation.registers.simulator import simulate_extracts

    def run(name: str, seed: int = SEED, **changes) -> Path:
        simulate_extracts(small_design(**changes), ROOT, tmp_path / name, seed)
        return tmp_path / name

    return run
