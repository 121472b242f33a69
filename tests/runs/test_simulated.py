"""`evaluation simulate`: what it writes and says, and what it refuses."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from evaluation import cli
from evaluation.errors import DataError, ParameterError
from evaluation.runs.simulated import _now_and_then, write_extracts

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "registers"))
from small_study import small_design  # noqa: E402


@pytest.fixture
def project(tmp_path) -> Path:
    """A project of its own whose default study is small."""
    root = tmp_path / "project"
    for name in ("notebooks", "params"):
        (root / name).mkdir(parents=True)
    shutil.copytree(ROOT / "data_dictionary", root / "data_dictionary")
    values = yaml.safe_load((ROOT / "params" / "attendance_mentors_trial.yaml").read_text(encoding="utf-8"))
    values["simulation"] = small_design().model_dump(mode="json")
    (root / "params" / "attendance_mentors_trial.yaml").write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    shutil.copyfile(ROOT / "params" / "simulation_sizes.yaml", root / "params" / "simulation_sizes.yaml")
    shutil.copyfile(ROOT / "params" / "middlesbrough_area_study.yaml", root / "params" / "middlesbrough_area_study.yaml")
    return root


def test_the_command_writes_extracts_and_a_faulted_copy_and_says_so(project, monkeypatch, capsys):
    monkeypatch.chdir(project)
    with pytest.raises(SystemExit) as end:
        cli.main(["simulate", "--out", "made", "--seed", "5", "--faults"])
    assert end.value.code == 0
    said = capsys.readouterr().out
    record = json.loads((project / "made" / "simulation.json").read_text(encoding="utf-8"))
    assert record["seed"] == 5 and "size demo, seed 5" in said
    for path in (project / "made").glob("*.parquet"):
        assert path.stem in said
    assert f"{len(json.loads((project / 'made-faults' / 'faults.json').read_text(encoding='utf-8'))['faults'])} planted faults" in said
    assert not (project / "made-faults" / "simulation.json").exists()


def test_the_seed_is_the_studys_when_none_is_given(project):
    params = project / "params" / "attendance_mentors_trial.yaml"
    written = write_extracts(ROOT, project / "made", params=params, size="demo", seed=None, faults=False)
    assert written.seed == yaml.safe_load(params.read_text(encoding="utf-8"))["execution"]["seed"] and written.faulted is None
    assert written.rows["marks"] > 100_000


def test_an_unknown_size_and_a_study_without_a_simulator_are_refused(project):
    with pytest.raises(ParameterError, match="no size `huge`"):
        write_extracts(project, project / "made", params=None, size="huge", seed=None, faults=False)
    with pytest.raises(ParameterError, match="has no simulator"):
        write_extracts(project, project / "made", params=project / "params" / "middlesbrough_area_study.yaml", size="demo", seed=None, faults=False)
    assert not (project / "made").exists()


def test_a_folder_of_others_for_the_copy_is_refused_before_anything_is_simulated(project):
    (project / "made-faults").mkdir()
    (project / "made-faults" / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(DataError, match="no planted faults"):
        write_extracts(project, project / "made", params=None, size="demo", seed=1, faults=True)
    assert not (project / "made").exists()


def test_words_come_every_two_seconds_at_most(monkeypatch):
    clock = iter([0.0, 0.5, 2.5, 2.5, 3.0, 9.0, 9.0])
    monkeypatch.setattr("evaluation.runs.simulated.time.monotonic", lambda: next(clock))
    said: list[str] = []
    say = _now_and_then(said.append)
    for word in "abcd":
        say(word)
    assert said == ["b", "d"]
