"""The commands as a user types them: what they print and how they end."""

from __future__ import annotations

import json
import subprocess
import sys


def test_run_and_show_tell_what_was_done_and_where(finished):
    done = finished.command("run", "params/tiny.yaml")
    assert done.returncode == 0, done.stderr
    assert "3 stages, 3 reused (full run, data simulated)" in done.stdout and "working/technical.html (not cleared for publication)" in done.stdout and "No report:  not written: the protocol registers no disclosure rules" in done.stdout
    shown = finished.command("show")
    assert shown.returncode == 0 and "second           reused" in shown.stdout and "1 totals" in shown.stdout


def test_show_says_which_files_were_altered_since(finished):
    (run,) = finished.runs()
    path = run / "working" / "summary.html"
    path.write_text(path.read_text(encoding="utf-8") + " ", encoding="utf-8")
    assert "Altered since the run: working/summary.html" in finished.command("show", run.name[:12]).stdout


def test_check_and_plan_start_no_kernel(finished):
    checked = finished.command("check")
    assert checked.returncode == 0 and "3 notebooks are in order" in checked.stdout
    finished.replace("threshold: 5", "threshold: 9")
    planned = finished.command("plan")
    assert planned.returncode == 0 and "second           runs    threshold 5 -> 9" in planned.stdout
    assert len(finished.runs()) == 1


def test_exit_codes_of_refusals(finished):
    assert finished.command("run", "params/none.yaml").returncode == 2
    assert finished.command("run", "--only", "thrid").returncode == 2
    assert finished.command("run", "--colour").returncode == 2
    assert finished.command("run", "--data", "nowhere").returncode == 3
    said = finished.command("run", "--data", "nowhere").stderr
    assert said.startswith("DataError: nowhere: there is no such data folder. Mend:") and "Traceback" not in said


def test_a_failed_stage_says_what_to_do_and_ends_with_1(begun):
    begun.cells("second", second_work="1 / 0")
    done = begun.command("run")
    assert done.returncode == 1
    assert "Stage `second` failed under \"About second-work\"." in done.stderr
    assert "Cause: cell `second-work`: ZeroDivisionError" in done.stderr and "Traceback" not in done.stderr
    shown = begun.command("show", begun.runs()[0].name)
    assert shown.returncode == 0 and "did not finish" in shown.stdout and "Finished stages: first" in shown.stdout


def test_outside_a_project_the_commands_end_with_2_and_say_so(tmp_path):
    done = subprocess.run([sys.executable, "-m", "evaluation", "run"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "no folder here or above holds notebooks/" in done.stderr


def test_open_makes_a_working_copy_with_the_values_of_a_run(finished):
    finished.replace("threshold: 5", "threshold: 6")
    finished.run()
    opened = finished.command("open", "second", "--no-launch")
    assert opened.returncode == 0, opened.stderr
    (copy,) = (finished.root / "reports" / "by_hand").glob("second-*/second.ipynb")
    cells = json.loads(copy.read_text(encoding="utf-8"))["cells"]
    assert any("threshold: int = 6" in "".join(c["source"]) for c in cells)
    again = finished.command("open", "second", "--no-launch")
    assert "second-2.ipynb" in again.stdout, "a working copy is never overwritten"


def test_help_imports_nothing_heavy():
    code = "import sys, evaluation.cli\nheavy = {'pandas', 'numpy', 'pydantic', 'yaml', 'papermill', 'matplotlib', 'duckdb', 'rich'} & set(sys.modules)\nassert not heavy, heavy"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
