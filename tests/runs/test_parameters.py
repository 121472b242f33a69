"""Parameters, notebooks and data are checked before any kernel starts, and again in the kernel."""

from __future__ import annotations

import json

import pytest
import tiny_study

from evaluation.errors import ContractError, DataError, ParameterError
from evaluation.runs.notebook import notebook_parameters, read_source
from evaluation.runs.stage import open_stage


@pytest.mark.parametrize("old, new, said", [
    ("threshold: 5", "treshold: 5", "line 17: unknown key `second.treshold`; did you mean `threshold`?"),
    ("threshold: 5", "threshold: five", "line 17: `second.threshold`: Input should be a valid integer (given 'five')"),
    ("threshold: 5", "threshold: 5.5", "`second.threshold`"),
    ("threshold: 5", "threshold: \"5\"", "`second.threshold`"),
    ("threshold: 5", "threshold: true", "`second.threshold`"),
    ("threshold: 5", "threshold: 500", "less than or equal to 100 (given 500)"),
    ("  threshold: 5\n", "  {}\n", "key `second.threshold` is missing"),
    ("factor: 2.0", "factor: .nan", "`first.factor`"),
    ("factor: 2.0", "factor: 2.0\n  factor: 3.0", "line 15: key `first.factor` is given twice"),
    ("kind: tiny", "kind: tinny", "`kind` is 'tinny'; known kinds of study are tiny"),
    ("registered_on: 2026-01-05", "registered_on: soon", "line 5: `registered_on`"),
    ("amendments: []", "amendments: [{date: 2026-02-01, change: a, reason: b}]", "`amendments.0.outcomes_seen` is missing"),
    ("first:", "first: &anchor", "anchors and aliases"),
    ("first:", "first: [", "not valid YAML"),
    ("study: tiny", "study: Tiny/..", "`study`"),
    ("threshold: 5", "threshold: 010", "line 17: `second.threshold` is written '010', which YAML would read as another number"),
    ("threshold: 5", "threshold: 1:10", "which YAML would read as another number"),
    ("threshold: 5", "<<: {threshold: 5}", "merge keys"),
    ("registered_on: 2026-01-05", "registered_on: 2026-02-31", "is no date"),
    ("kind: tiny", "kind: [tiny]", "`kind` is ['tiny']"),
])
def test_a_wrong_params_file_is_refused_by_line_and_key(project, old, new, said):
    project.replace(old, new)
    with pytest.raises(ParameterError) as caught:
        project.study()
    assert said in str(caught.value) and "tiny.yaml" in str(caught.value) and "Mend:" in str(caught.value)
    assert not (project.root / "reports").exists()


def test_params_that_are_absent_or_no_text_are_refused(project):
    project.params.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ParameterError, match="not UTF-8"):
        project.study()
    project.params.unlink()
    with pytest.raises(ParameterError, match="no such params file"):
        project.study()


@pytest.mark.parametrize("cell, said", [
    ("treshold: int = 5", "`treshold` is no field of section `second`; `threshold` of section `second` is not set"),
    ("threshold: int = 5\nmore: int = 1", "`more` is no field"),
    ("threshold = 5", "not a typed assignment"),
    ("threshold: int = 2 + 3", "not a plain value"),
    ("threshold: int = 500", "less than or equal to 100"),
    ("threshold: str = \"5\"", "`threshold`"),
    ("threshold: int = 5\nthreshold: int = 6", "assigned twice"),
    ("threshold: int = (", "not Python"),
])
def test_notebook_and_model_that_drift_apart_are_refused(project, cell, said):
    project.cells("second", second_parameters=cell)
    with pytest.raises((ContractError, ParameterError)) as caught:
        project.study()
    assert said in str(caught.value) and "second.ipynb" in str(caught.value) and caught.value.exit_code == 2


def test_a_notebook_without_the_contract_is_refused(project):
    project.cells("second", second_open="stage = None")
    with pytest.raises(ContractError, match="must call open_stage"):
        project.study()
    path = project.root / "notebooks" / "second.ipynb"
    project.cells("second")
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for change, said in [(lambda n: n["cells"].pop(0), "0 headings of the first level"),
                         (lambda n: n["cells"].append(n["cells"][-1]), "cell ids stand twice"),
                         (lambda n: [c.pop("id") for c in n["cells"]], "not a notebook of format 4.5"),
                         (lambda n: [c["metadata"].update(tags=[]) for c in n["cells"]], "0 code cells are tagged")]:
        changed = json.loads(json.dumps(notebook))
        change(changed)
        path.write_text(json.dumps(changed), encoding="utf-8")
        with pytest.raises(ContractError, match=said):
            project.study()
    path.unlink()
    with pytest.raises(ContractError, match="has no notebook"):
        project.study()


def test_the_parameters_cell_is_read_without_running_it(project):
    source = read_source(project.root, tiny_study.KINDS["tiny"].stage("first"))
    assert notebook_parameters(source) == {"factor": 2.0, "label_text": "plain"}


def test_data_that_are_absent_empty_doubled_or_misnamed_are_refused(project, tmp_path):
    folder = tmp_path / "extract"
    with pytest.raises(DataError, match="no such data folder"):
        project.study(data=folder)
    folder.mkdir()
    with pytest.raises(DataError, match="lacks table `readings`"):
        project.study(data=folder)
    (folder / "reading.csv").write_text("reading_id,reading\n1,2\n")
    with pytest.raises(DataError, match="there is `reading`: did you mean `readings`"):
        project.study(data=folder)
    (folder / "readings.csv").write_text("")
    with pytest.raises(DataError, match="readings.csv: the file is empty"):
        project.study(data=folder)
    (folder / "readings.csv").write_text("reading_id,reading\n1,2\n")
    (folder / "readings.parquet").write_bytes(b"x")
    with pytest.raises(DataError, match="there twice"):
        project.study(data=folder)
    (folder / "readings.parquet").unlink()
    (folder / "readings.csv").rename(tmp_path / "outside.csv")
    (folder / "readings.csv").symlink_to(tmp_path / "outside.csv")
    with pytest.raises(DataError, match="symbolic link"):
        project.study(data=folder)


def test_restricted_data_may_not_land_in_the_project(project, tmp_path):
    simulated = project.study().data
    assert simulated.label == "simulated"
    folder = tmp_path / "extract"
    folder.mkdir()
    (folder / "readings.parquet").write_bytes((simulated.folder / "readings.parquet").read_bytes())
    with pytest.raises(ContractError, match="restricted"):
        project.study(data=folder)
    with pytest.raises(ContractError, match="outside the project"):
        project.study(data=folder, out=project.root / "reports")
    assert project.study(data=folder, out=tmp_path / "out").data.label == "restricted"


def test_data_count_as_simulated_only_if_the_hashes_fit(project, tmp_path):
    simulated = project.study().data
    folder = tmp_path / "extract"
    folder.mkdir()
    for name in ("readings.parquet", "simulation.json"):
        (folder / name).write_bytes((simulated.folder / name).read_bytes())
    assert project.study(data=folder).data.label == "simulated"
    (folder / "readings.parquet").write_bytes((folder / "readings.parquet").read_bytes() + b" ")
    study = project.study(data=folder, out=tmp_path / "out")
    assert study.data.label == "restricted" and "does not fit the files (readings.parquet)" in study.data.notes[0]


@pytest.mark.parametrize("variables, said", [
    ({}, "parameter `threshold` is not set"),
    ({"treshold": 5}, "there is `treshold`: misspelt?"),
    ({"threshold": "5"}, "`threshold`: Input should be a valid integer"),
    ({"threshold": 500}, "less than or equal to 100"),
])
def test_parameters_are_validated_in_the_kernel(finished, tmp_path, monkeypatch, variables, said):
    study = finished.study()
    from evaluation.runs.stage import CONTEXT_VARIABLE
    from evaluation.runs.study import stored_results

    stage = study.kind.stage("second")
    context = study.context(stage, stored_results(study, stage), tmp_path / "work", "interactive")
    (tmp_path / "context.json").write_text(json.dumps(context), encoding="utf-8")
    monkeypatch.setenv(CONTEXT_VARIABLE, str(tmp_path / "context.json"))
    with pytest.raises(ParameterError) as caught:
        open_stage("second", variables)
    assert said in str(caught.value) and "stage `second`" in str(caught.value)
    assert open_stage("second", {"threshold": 7}).parameters.threshold == 7


def test_a_kernel_with_another_package_is_refused(finished, tmp_path, monkeypatch):
    from evaluation.runs.stage import CONTEXT_VARIABLE
    from evaluation.runs.study import stored_results

    study = finished.study()
    stage = study.kind.stage("second")
    context = {**study.context(stage, stored_results(study, stage), tmp_path / "work", "full"), "package": "/elsewhere/evaluation"}
    (tmp_path / "context.json").write_text(json.dumps(context), encoding="utf-8")
    monkeypatch.setenv(CONTEXT_VARIABLE, str(tmp_path / "context.json"))
    with pytest.raises(ContractError, match="another `evaluation` than the command"):
        open_stage("second", {"threshold": 5})
