"""What holds of the default run holds of others: another draw of pupils, and other rules of disclosure."""

from __future__ import annotations

import json
import shutil

import pytest

from .differences import pinned
from .run_folder import EDITIONS, ROOT, RunFolder, evaluation
from .walk import counts_not_released, people_in_words, small_counts

PARAMS = "attendance_mentors_trial.yaml"


@pytest.mark.slow
@pytest.mark.parametrize(("old", "new"), [("seed: 20261121 ", "seed: 4711 "), ("{profile: srs, changes: null}", "{profile: dfe_absence, changes: null}")], ids=["another draw", "other rules"])
def test_a_run_is_written_and_tells_of_no_small_group(old, new, tmp_path):
    for name in ("notebooks", "params", "data_dictionary"):
        shutil.copytree(ROOT / name, tmp_path / "project" / name)
    params = tmp_path / "project" / "params" / PARAMS
    given = params.read_text(encoding="utf-8")
    assert given.count(old) == 1
    params.write_text(given.replace(old, new), encoding="utf-8")
    done = evaluation("run", params, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    run = RunFolder.only(tmp_path / "out")
    release = json.loads((run.folder / "release" / "release.json").read_text(encoding="utf-8"))
    threshold = release["profile"]["threshold"]
    assert run.manifest["release"]["proof"]["recovered"] == 0 and len(release["tables"]) > 50
    looked, wrong = counts_not_released(run.folder, ROOT / "data_dictionary", [stage.name for stage in run.kind.stages])
    assert looked > 100 and wrong == []
    assert [small_counts(run.page(edition), threshold) for edition in EDITIONS] == [[], []]
    places = set(run.table("planning_table").select_dtypes("number").stack().round())
    assert {n for edition in EDITIONS for n in people_in_words(run.page(edition)) if 0 < n < threshold} <= places
    tried, found = pinned(run.folder / "release", ROOT / "data_dictionary", threshold)
    assert tried > 1000 and found == []
