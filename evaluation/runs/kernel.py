"""Running a notebook's cells: papermill with our own interpreter as kernel, in a thread that can be stopped."""

from __future__ import annotations

import asyncio
import copy
import logging
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import papermill
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines

from .kernel_progress import Progress
from .root import PACKAGE

KERNEL = "python3"
IPC_PATH_LIMIT = 90
KERNEL_LOG = "kernel.log"
START_TIMEOUT_SECONDS = 120
KEPT_SWITCHES = ("PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX", "PYTHONNOUSERSITE")
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class OwnInterpreter(KernelSpecManager):
    """Every kernel is the interpreter that runs this command, whatever is registered under its name."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        """The specification of this interpreter's kernel."""
        argv = [sys.executable, "-Xfrozen_modules=off", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=argv, display_name="Python 3", language="python", resource_dir="", interrupt_mode="signal")

    def find_kernel_specs(self) -> dict[str, str]:
        """The one kernel there is."""
        return {KERNEL: ""}

    def get_all_specs(self) -> dict[str, Any]:
        """The one kernel there is, with its specification."""
        return {KERNEL: {"resource_dir": "", "spec": self.get_kernel_spec(KERNEL).to_dict()}}


class _Manager(AsyncKernelManager):
    """A kernel manager that starts our interpreter, over sockets in a private folder where the system has them."""

    def _kernel_spec_manager_default(self) -> KernelSpecManager:
        return OwnInterpreter()


class _Client(PapermillNotebookClient):
    """Papermill's client with our kernel manager, environment and progress."""

    def create_kernel_manager(self):
        folder = self.nb_man.private_folder
        self.km = _Manager(kernel_name=KERNEL, connection_file=str(folder / "kernel.json"))
        if os.name == "posix" and len(os.fsencode(folder)) < IPC_PATH_LIMIT:
            self.km.transport = "ipc"
            self.km.ip = str(folder / "k")
        self.km.client_class = "jupyter_client.asynchronous.AsyncKernelClient"
        self.nb_man.manager = self.km
        return self.km

    def papermill_execute_cells(self):
        self.nb_man.progress.total = len(self.nb.cells)
        for index, cell in enumerate(self.nb.cells):
            if self.nb_man.stopped.is_set():
                return
            self.nb_man.progress.index = index
            self._papermill_one(index, cell)
            self.nb_man.progress.done = index + 1
            if self.nb_man.failed_cell is not None:
                return

    def _papermill_one(self, index: int, cell: dict[str, Any]) -> None:
        from nbclient.exceptions import CellExecutionError

        self.nb_man.cell_start(cell, index)
        try:
            self.execute_cell(cell, index)
        except CellExecutionError as error:
            self.nb_man.failed_cell = index
            self.nb_man.cell_exception(self.nb.cells[index], cell_index=index, exception=error)
        except BaseException:
            # papermill would mark this cell "completed": a kernel that died or ran out of time completed nothing
            self.nb_man.failed_cell = index
            self.nb_man.cell_exception(self.nb.cells[index], cell_index=index)
            raise
        finally:
            self.nb_man.cell_complete(self.nb.cells[index], cell_index=index)


class _Engine(NBClientEngine):
    """The engine that papermill runs our notebooks with."""

    @classmethod
    def execute_managed_notebook(cls, nb_man, kernel_name, *, job: "NotebookJob", start_timeout=60, execution_timeout=None, **kwargs):
        nb_man.private_folder = job.private_folder
        nb_man.progress = job.progress
        nb_man.stopped = job.stopped
        nb_man.failed_cell = None
        nb_man.manager = None
        job.manager_of = nb_man
        client = _Client(nb_man, kernel_name=KERNEL, timeout=execution_timeout, startup_timeout=start_timeout)
        client.record_timing = False
        with job.log.open("ab") as log:
            return client.execute(env=job.environment, cwd=str(job.folder), stdout=log, stderr=log)


papermill_engines.register("evaluation", _Engine)
# papermill's own look at parameters is blind to types such as `float | None`; ours is done before any kernel starts
logging.getLogger("papermill").setLevel(logging.ERROR)


def _literal(path: Path) -> str:
    """A path that papermill's templates leave as it is."""
    return str(path).replace("{", "{{").replace("}", "}}")


def kernel_environment(private: Path) -> dict[str, str]:
    """The environment of a kernel without what would change a result and is in no reuse key: interpreter switches,
    switches of the table checks, start-up files, time zone, hash seed."""
    kept = {name: value for name, value in os.environ.items()
            if name in KEPT_SWITCHES or not name.startswith(("PYTHON", "PANDERA_", "IPYTHON", "JUPYTER_", "MPL", "MATPLOTLIB"))}
    path = os.pathsep.join([str(PACKAGE.parent), *filter(None, [kept.get("PYTHONPATH")])])  # the kernel imports the package that was digested
    return {**kept, **ONE_THREAD, "PYTHONPATH": path, "PYTHONHASHSEED": "0", "PYTHONUTF8": "1", "TZ": "UTC", "IPYTHONDIR": str(private / "ipython")}


class NotebookJob:
    """One notebook on its way: started, watched, stopped."""

    def __init__(self, source: dict[str, Any], target: Path, parameters: dict[str, Any], *, folder: Path, environment: dict[str, str],
                 cell_timeout_seconds: int):
        self.source, self.target, self.parameters, self.folder = source, target, parameters, folder
        self.cell_timeout_seconds = cell_timeout_seconds
        self.log = target.with_name(KERNEL_LOG)
        self.progress = Progress()
        self.stopped = threading.Event()
        self.error: BaseException | None = None
        self.manager_of: Any = None
        self._private = tempfile.TemporaryDirectory(prefix="ev-", ignore_cleanup_errors=True)
        self.private_folder = Path(self._private.name)
        self.environment = {**kernel_environment(self.private_folder), **environment}
        self._thread = threading.Thread(target=self._work, name="notebook", daemon=True)

    def _work(self) -> None:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            papermill.execute_notebook(
                nbformat.from_dict(copy.deepcopy(self.source)), _literal(self.target), parameters=self.parameters, engine_name="evaluation", kernel_name=KERNEL,
                language="python", progress_bar=False, log_output=False, start_timeout=START_TIMEOUT_SECONDS,
                execution_timeout=self.cell_timeout_seconds, job=self, autosave_cell_every=0)
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
            self.error = error
        finally:
            self._kill_kernel()
            self._private.cleanup()
            loop.close()

    def run(self, tick: Callable[[Progress], None], every_seconds: float = 0.1) -> None:
        """Run to the end, calling ``tick`` while it lasts; an interrupt stops the kernel and is raised again."""
        self._thread.start()
        try:
            last = 0.0
            while self._thread.is_alive():
                self._thread.join(0.05)
                if time.monotonic() - last >= every_seconds:
                    last = time.monotonic()
                    tick(self.progress)
        except BaseException:
            self.stop()
            raise
        if self.error is not None:
            raise self.error

    def stop(self) -> None:
        """Stop the kernel and wait until the notebook as far as it got is on disk."""
        self.stopped.set()
        self._kill_kernel()
        self._thread.join(20)

    def _kill_kernel(self) -> None:
        manager = getattr(self.manager_of, "manager", None)
        process = getattr(getattr(manager, "provisioner", None), "process", None)
        if process is None or process.poll() is not None:
            return
        try:
            if os.name == "posix" and os.getpgid(process.pid) == process.pid:
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
        except (OSError, ProcessLookupError):
            pass
