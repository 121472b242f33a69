"""The commands. Nothing heavy is imported until a command needs it."""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evaluation.errors import EvaluationError

if TYPE_CHECKING:
    from evaluation.runs.stages import Kind
    from evaluation.runs.study import Study

INTERRUPTED = 130
KEPT = "finished stages are kept; give the same command again to continue"

app = typer.Typer(
    add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None,
    help="Evaluate the Attendance Mentors programme: check, plan and run a study, and show what a run found.",
)

Params = Annotated[Path | None, typer.Argument(help="Params file of the study; the simulated trial when not given.", show_default=False)]
Data = Annotated[Path | None, typer.Option("--data", help="Folder that holds the extracts.", show_default=False)]
Out = Annotated[Path | None, typer.Option("--out", help="Folder for runs and store; required for restricted data.", show_default=False)]
Only = Annotated[str | None, typer.Option("--only", help="Run this stage alone; its inputs must be stored.", show_default=False)]
From = Annotated[str | None, typer.Option("--from", help="Ignore stored results from this stage on.", show_default=False)]
Fresh = Annotated[bool, typer.Option("--fresh", help="Ignore all stored results.")]

_kinds: dict[str, Mapping[str, "Kind"]] = {}


def _open(params: Path | None, data: Path | None, out: Path | None, **more: Any) -> "Study":
    from evaluation.runs.study import open_study

    extra = {"kinds": _kinds["kinds"]} if "kinds" in _kinds else {}
    return open_study(params, data=data, out=out, announce=lambda text: print(f"{text} ...", file=sys.stderr, flush=True), **extra, **more)


@app.command()
def check(params: Params = None, data: Data = None, out: Out = None) -> None:
    """Check parameters, notebooks and data; nothing is run."""
    from evaluation.runs.study import check_extracts

    study = _open(params, data, out, need_data=False)
    for note in check_extracts(study):
        print(f"Note: {note}", file=sys.stderr)
    what = f", data ({study.data.label})" if study.data else ""
    print(f"{study.name}: parameters, {len(study.sources)} notebooks{what} are in order; protocol {study.loaded.digest[:8]}")


@app.command()
def plan(params: Params = None, data: Data = None, out: Out = None, only: Only = None, start: From = None, fresh: Fresh = False) -> None:
    """Say which stages would run, which would be reused, and why."""
    from evaluation.runs.study import plan_study, stored_results

    study = _open(params, data, out)
    if only is not None:
        stored_results(study, study.kind.stage(only))
    for planned in plan_study(study, only=only, start=start, fresh=fresh):
        print(f"{planned.stage.name:<16} {planned.action:<7} {planned.why}")


@app.command()
def run(params: Params = None, data: Data = None, out: Out = None, only: Only = None, start: From = None, fresh: Fresh = False) -> None:
    """Run a study and write its reports."""
    from evaluation.runs.run import run_study
    from evaluation.runs.root import shown
    from evaluation.runs.study import check_extracts
    from evaluation.runs.summary import describe_run

    study = _open(params, data, out)
    if data is not None:
        check_extracts(study)
    words = ["evaluation run", shown(study.loaded.path, study.root)]
    words += [f"--data {study.data.folder.name}"] if data is not None and study.data else []
    words += [f"--only {only}"] if only else []
    words += [f"--from {start}"] if start else []
    words += ["--fresh"] if fresh else []
    for note in study.data.notes if study.data else ():
        print(f"Note: {note}.", file=sys.stderr)
    result = run_study(study, only=only, start=start, fresh=fresh, command=" ".join(words))
    print(describe_run(result.folder, result.manifest, study.root))


@app.command()
def simulate(out: Annotated[Path, typer.Option("--out", help="Folder for the extracts; new, or one that this command wrote.")],
             params: Annotated[Path | None, typer.Option("--params", help="Params file whose design is simulated; the simulated trial when not given.", show_default=False)] = None,
             size: Annotated[str, typer.Option("--size", help="demo (the design as it is), trial (1,665 pupils referred) or national-sample (all phases, no mentors).")] = "demo",
             seed: Annotated[int | None, typer.Option("--seed", min=0, help="Any whole number; the params file's when not given.", show_default=False)] = None,
             faults: Annotated[bool, typer.Option("--faults", help="Plant known faults in a copy, beside the folder, with the list of what intake must find.")] = False) -> None:
    """Write simulated extracts with a known truth."""
    from evaluation.runs.simulated import describe_extracts, write_extracts

    written = write_extracts(Path.cwd(), out, params=params, size=size, seed=seed, faults=faults,
                             progress=lambda text: print(f"{text} ...", file=sys.stderr, flush=True), kinds=_kinds.get("kinds"))
    print(describe_extracts(written))


@app.command()
def show(wanted: Annotated[str | None, typer.Argument(metavar="[RUN]", help="A run's folder, name or the start of it; the newest when not given.", show_default=False)] = None,
         out: Out = None) -> None:
    """Show what a run did and found."""
    from evaluation.runs.root import find_root
    from evaluation.runs.run import find_run
    from evaluation.runs.summary import show_run

    root = None if out is not None or (wanted and Path(wanted).is_dir()) else find_root(Path.cwd())
    reports = out if out is not None else (root / "reports" if root else Path.cwd())
    print(show_run(find_run(reports, wanted)))


@app.command()
def render(wanted: Annotated[str | None, typer.Argument(metavar="[RUN]", help="A run's folder, name or the start of it; the newest when not given.", show_default=False)] = None,
           out: Out = None,
           axe: Annotated[bool, typer.Option("--axe", help="Hold both editions against axe-core in Chromium as well; needs the extra `test`.")] = False,
           from_release: Annotated[Path | None, typer.Option("--from-release", help="Build every edition from this folder `release` alone, into --out.", show_default=False)] = None,
           earlier: Annotated[Path | None, typer.Option("--earlier-release", help="Folder `release` of an earlier run: nothing may be worked out from the two together.", show_default=False)] = None) -> None:
    """Write a finished run's report and release again, with the prose and the sign-off as they stand now; nothing is run."""
    if from_release is not None:
        from evaluation.runs.release import render_release

        for path in render_release(from_release, out if out is not None else Path.cwd() / "editions"):
            print(path)
        return
    from evaluation.runs.progress import Reporter
    from evaluation.runs.render import render_run
    from evaluation.runs.root import find_root, shown
    from evaluation.runs.run import find_run
    from evaluation.runs.summary import describe_report

    root = find_root(Path.cwd())
    folder = find_run(out if out is not None else root / "reports", wanted)
    report = render_run(root, folder, Reporter(), kinds=_kinds.get("kinds"), axe=axe, earlier=earlier)
    print(describe_report(folder, report, root))


@app.command("open")
def open_(stage: Annotated[str, typer.Argument(help="Stage whose notebook to open.")],
          wanted: Annotated[str | None, typer.Option("--run", help="Run whose values and tables it takes; the newest with that stage when not given.", show_default=False)] = None,
          out: Out = None,
          launch: Annotated[bool, typer.Option("--launch/--no-launch", help="Start JupyterLab on the working copy.")] = True) -> None:
    """Make a working copy of a stage's notebook with a run's values, and open it in JupyterLab."""
    from evaluation.runs.interactive import launch_lab, make_working_copy
    from evaluation.runs.root import find_root, shown

    root = find_root(Path.cwd())
    copy = make_working_copy(root, out if out is not None else root / "reports", stage, wanted, kinds=_kinds.get("kinds"))
    print(f"Working copy: {shown(copy, root)}")
    if launch:
        launch_lab(copy)


@app.command()
def dictionary(out: Annotated[Path | None, typer.Option("--out", help="Folder to write into; reports/dictionary when not given.", show_default=False)] = None) -> None:
    """Write the data dictionary as a page, a workbook, meta rows of open data and SQL."""
    from evaluation.reporting.dictionary import write_dictionary
    from evaluation.runs.root import find_root, shown

    root = find_root(Path.cwd())
    for path in write_dictionary(root, out if out is not None else root / "reports" / "dictionary"):
        print(shown(path, root))


def main(arguments: list[str] | None = None, kinds: "Mapping[str, Kind] | None" = None) -> None:
    """Run a command and end the process with its exit code: 0 done; 1 a stage failed; 2 parameters or contract; 3 data;
    4 report gate; 130 interrupted."""
    if kinds is not None:
        _kinds["kinds"] = kinds
    signal.signal(signal.SIGTERM, _interrupted)
    try:
        code = app(arguments, standalone_mode=False)
        if code == INTERRUPTED:
            _fail("Interrupted", KEPT, INTERRUPTED)
        sys.exit(code if isinstance(code, int) else 0)
    except EvaluationError as error:
        _fail(type(error).__name__, str(error), error.exit_code)
    except KeyboardInterrupt:
        _fail("Interrupted", KEPT, INTERRUPTED)
    except OSError as error:
        _fail("Error", _os_error(error), 1)
    except Exception as error:  # noqa: BLE001 - told apart below
        _end(error)


def _interrupted(signum: int, frame: object) -> None:
    """A request to end is treated as Ctrl-C is."""
    raise KeyboardInterrupt


def _os_error(error: OSError) -> str:
    import errno

    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full. Mend: free some space and give the same command again; finished stages are kept"
    return f"{error.strerror or error} ({error.filename or 'no file named'})"


def _end(error: Exception) -> None:
    """End on a stage that failed (its own code), a usage error (2) or an abort (130); anything else is a fault of ours."""
    if hasattr(error, "kept"):
        from evaluation.runs.summary import describe_failure

        print(describe_failure(error), file=sys.stderr, flush=True)
        sys.exit(error.exit_code)
    if isinstance(error, typer.Abort):
        _fail("Interrupted", KEPT, INTERRUPTED)
    if hasattr(error, "show") and hasattr(error, "exit_code"):
        error.show()
        sys.exit(error.exit_code)
    raise error


def _fail(name: str, text: str, code: int) -> None:
    print(f"{name}: {text}", file=sys.stderr, flush=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
