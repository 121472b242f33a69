"""Nothing that went wrong is reported as success; what was finished is kept; the message says where and what to do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from evaluation.errors import ContractError
from evaluation.runs.execute import StageFailure
from evaluation.runs.summary import describe_failure

WORK = "numbers = stage.read(\"numbers\")\nabove = numbers[numbers.number > stage.parameters.threshold]\n"


def failure_of(project, **options) -> StageFailure:
    with pytest.raises(StageFailure) as caught:
        project.run(**options)
    return caught.value


def check_kept(project, failure: StageFailure, stage: str = "second") -> None:
    """The run is no success, the stage before it is whole, and the notebook as far as it got can be read."""
    (run,) = project.runs()
    assert not (run / "run.json").exists()
    assert not (run / stage).exists()
    assert (run / "first" / "tables" / "numbers.parquet").is_file()
    assert (run / "first" / "step.json").is_file()
    assert failure.kept == run / f"{stage}.partial"
    assert json.loads((failure.kept / "executed.ipynb").read_text(encoding="utf-8"))["cells"]
    events = [json.loads(line) for line in (run / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [e["event"] for e in events][-1] == "run failed"
    stored = [p for p in (project.root / "reports" / ".store" / "stages").iterdir()]
    assert len(stored) == 1, "only the finished stage is stored"
    said = describe_failure(failure)
    assert f"Stage `{stage}` failed" in said and "give the same command again" in said and "executed.ipynb" in said


def test_a_killed_kernel_is_a_failure(begun):
    begun.cells("second", second_work=WORK + "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    failure = failure_of(begun)
    assert failure.exit_code == 1 and "the kernel died" in failure.cause and "second-work" in failure.cause
    assert failure.heading == "About second-work"
    check_kept(begun, failure)


def test_a_cell_that_takes_too_long_is_a_failure(begun):
    begun.replace("cell_timeout_seconds: 60", "cell_timeout_seconds: 5")
    begun.cells("second", second_work=WORK + "import time\ntime.sleep(600)")
    failure = failure_of(begun)
    assert failure.exit_code == 1 and "longer than 5 seconds" in failure.cause and "cell_timeout_seconds" in failure.cause
    check_kept(begun, failure)


@pytest.mark.parametrize("code", ["import sys\nsys.exit(0)", "import os\nos._exit(0)", "exit()"])
def test_leaving_the_notebook_early_is_a_failure(begun, code):
    begun.cells("second", second_work=WORK + code)
    failure = failure_of(begun)
    assert failure.exit_code == 1 and "second-" in failure.cause
    check_kept(begun, failure)


def test_leaving_in_the_last_cell_after_all_tables_are_written_is_a_failure(begun):
    begun.cells("second", second_zz_last="import sys\nsys.exit(0)")
    failure = failure_of(begun)
    assert failure.exit_code == 1 and "SystemExit" in failure.cause and "second-zz-last" in failure.cause
    check_kept(begun, failure)


def test_an_error_in_a_cell_names_cell_heading_and_cause(begun):
    begun.cells("second", second_work=WORK + "1 / 0")
    failure = failure_of(begun)
    assert failure.exit_code == 1 and "cell `second-work`: ZeroDivisionError: division by zero" in failure.cause
    check_kept(begun, failure)


@pytest.mark.parametrize("error, code", [("DataError", 3), ("UnidentifiedError", 3), ("ContractError", 2), ("ParameterError", 2)])
def test_a_refusal_in_a_cell_ends_with_the_exit_code_of_its_kind(begun, error, code):
    begun.cells("second", second_work=f"from evaluation.errors import {error}\nraise {error}('too few', where='row 3', mend='supply more')")
    failure = failure_of(begun)
    assert failure.exit_code == code and "row 3: too few. Mend: supply more" in failure.cause


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no /dev/full")
def test_a_full_disk_while_a_table_is_written_is_a_failure(begun):
    begun.cells("second", second_zz_full="(stage.folder / \"tables\" / \"totals.parquet.partial\").symlink_to(\"/dev/full\")\n"
                                           "stage.write(\"totals\", stage.read(\"numbers\").head(0).assign(total_id=\"\", total=0.0, share=None)"
                                           "[[\"total_id\", \"total\", \"share\"]])")
    failure = failure_of(begun)
    assert failure.exit_code == 1 and "the disk is full: table `totals`" in failure.cause and "free some space" in failure.cause
    check_kept(begun, failure)


def test_a_declared_table_that_is_not_written_is_a_failure(begun):
    begun.cells("second", second_write="above")
    failure = failure_of(begun)
    assert failure.exit_code == 2 and "declared table `totals` was not written" in failure.cause
    check_kept(begun, failure)


@pytest.mark.parametrize("frame, said", [
    ("{\"total_id\": [\"a\", \"a\"], \"total\": [1.0, 2.0], \"share\": [None, None]}", "key must be unique"),
    ("{\"total_id\": [None], \"total\": [1.0], \"share\": [None]}", "a value is required"),
    ("{\"total_id\": [\"a\"], \"total\": [\"many\"], \"share\": [None]}", "declared number"),
    ("{\"total_id\": [\"a\"], \"total\": [float(\"inf\")], \"share\": [None]}", "infinite"),
    ("{\"total_id\": [\"a\"], \"total\": [1.0]}", "lacks `share`"),
    ("{\"total_id\": [\"a\"], \"total\": [1.0], \"share\": [None], \"more\": [1]}", "undeclared `more`"),
])
def test_a_malformed_table_is_a_failure(begun, frame, said):
    begun.cells("second", second_write=f"import pandas as pd\nstage.write(\"totals\", pd.DataFrame({frame}))")
    failure = failure_of(begun)
    assert failure.exit_code == 2 and said in failure.cause and "totals" in failure.cause


def test_a_table_changed_after_its_check_is_a_failure(begun):
    begun.cells("second", second_zz_change="(stage.folder / \"tables\" / \"totals.parquet\").write_bytes(b\"other\")")
    failure = failure_of(begun)
    assert failure.exit_code == 2 and "changed after stage.write" in failure.cause
    check_kept(begun, failure)


def test_an_undeclared_table_is_a_failure(begun):
    begun.cells("second", second_zz_more="stage.write(\"extras\", above)")
    failure = failure_of(begun)
    assert failure.exit_code == 2 and "does not declare table `extras`" in failure.cause
    check_kept(begun, failure)


def test_an_undeclared_file_beside_the_tables_is_a_failure(begun):
    begun.cells("second", second_zz_more="above.to_parquet(stage.folder / \"tables\" / \"extras.parquet\")")
    failure = failure_of(begun)
    assert failure.exit_code == 2 and "undeclared files among the tables: extras.parquet" in failure.cause
    check_kept(begun, failure)


def test_data_that_change_while_a_stage_reads_them_are_a_failure(project):
    project.cells("first", first_zz_change="with (stage.extracts / \"readings.parquet\").open(\"ab\") as handle:\n    handle.write(b\" \")")
    failure = failure_of(project)
    assert failure.exit_code == 3 and "`readings.parquet` changed while the stage was reading it" in failure.cause
    assert not (project.runs()[0] / "first").exists()


def test_reading_an_undeclared_table_is_a_failure(begun):
    begun.cells("second", second_work="numbers = stage.read(\"headline\")")
    failure = failure_of(begun)
    assert failure.exit_code == 2 and "does not declare that it reads `headline`" in failure.cause


def test_parameters_changed_in_a_later_cell_do_not_pass(begun):
    begun.cells("second", second_open="threshold = 99\nfrom evaluation.runs import open_stage\nstage = open_stage(\"second\", globals())")
    failure = failure_of(begun)
    assert failure.exit_code == 2 and "not those of the protocol" in failure.cause


def test_a_stage_that_failed_and_was_mended_continues_where_it_stopped(begun):
    begun.cells("second", second_work=WORK + "1 / 0")
    failure_of(begun)
    begun.cells("second")
    result = begun.run()
    assert result.outcomes["first"].reused and not result.outcomes["second"].reused
    assert (result.folder / "run.json").is_file()


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_ends_with_130_and_keeps_what_was_finished(begun, sent):
    begun.cells("second", second_work=WORK + "import time\nopen(stage.folder / \"here\", \"w\").close()\ntime.sleep(600)")
    process = subprocess.Popen([sys.executable, "-m", "tiny_study", "run"], cwd=begun.root, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 90
    while not list((begun.root / "reports").glob("*/second.partial/here")):
        assert time.monotonic() < deadline and process.poll() is None, "the second stage never began"
        time.sleep(0.1)
    process.send_signal(sent)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Interrupted" in said and "same command again" in said and "Traceback" not in said
    (run,) = begun.runs()
    assert not (run / "run.json").exists() and (run / "first" / "step.json").is_file()
    assert (run / "second.partial" / "executed.ipynb").is_file() and not (run / "second").exists()


def test_a_formative_run_leaves_out_the_stages_that_estimate_effects(project):
    project.replace("report_kind: interim", "report_kind: formative")
    result = project.run()
    assert list(result.outcomes) == ["first", "report"]
    with pytest.raises(ContractError, match="formative"):
        project.run(only="second")


def test_a_table_that_went_round_the_check_is_a_failure(begun):
    forged = ("import json\nfrom evaluation.runs.files import sha256_of\npath = stage.folder / \"tables\" / \"totals.parquet\"\n"
              "above.to_parquet(path, index=False)\n"
              "receipt = {\"totals\": {\"sha256\": sha256_of(path), \"rows\": 1, \"columns\": 3, \"sensitivity\": \"aggregate\"}}\n"
              "(stage.folder / \"receipts.json\").write_text(json.dumps(receipt))")
    begun.cells("second", second_write=forged)
    failure = failure_of(begun)
    assert failure.exit_code == 2 and "table `totals`" in failure.cause and "lacks" in failure.cause
    check_kept(begun, failure)


def test_files_beside_the_declared_outputs_are_a_failure(begun):
    begun.cells("second", second_zz_more="above.to_csv(stage.folder / \"pupils.csv\")")
    failure = failure_of(begun)
    assert failure.exit_code == 2 and "undeclared files in the stage's folder: pupils.csv" in failure.cause


def test_a_stage_that_alters_what_it_read_is_a_failure(begun):
    begun.cells("second", second_zz_alter="with open(stage.sources[\"numbers\"], \"ab\") as handle:\n    handle.write(b\" \")")
    failure = failure_of(begun)
    assert failure.exit_code == 2 and "table first altered" in failure.cause


def test_switches_of_the_environment_do_not_reach_the_kernel(begun, monkeypatch):
    monkeypatch.setenv("PANDERA_VALIDATION_ENABLED", "False")
    monkeypatch.setenv("PYTHONOPTIMIZE", "1")
    monkeypatch.setenv("TZ", "America/New_York")
    begun.cells("second", second_work=WORK + "import os\nfound = [os.environ.get(\"TZ\"), os.environ.get(\"PYTHONOPTIMIZE\"), "
                                             "os.environ.get(\"PANDERA_VALIDATION_ENABLED\")]\nraise ValueError(str(found))")
    assert "['UTC', None, None]" in failure_of(begun).cause
