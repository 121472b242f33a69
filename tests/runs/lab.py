"""A real JupyterLab server on loopback, driven as a browser drives it: contents, session, kernel channels."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import requests
import websocket

from evaluation.runs.interactive import lab_options


@dataclass
class CellRun:
    """What came back from one cell."""

    cell_id: str
    status: str
    error: str
    html: list[str]
    text: str


class Lab:
    """One server; use as a context manager."""

    def __init__(self, root: Path, home: Path, environment: dict[str, str] | None = None):
        self.root, self.token = root, uuid.uuid4().hex
        settings = {"HOME": str(home), "JUPYTER_CONFIG_DIR": str(home / "config"), "JUPYTER_DATA_DIR": str(home / "data"),
                    "JUPYTER_RUNTIME_DIR": str(home / "runtime"), "IPYTHONDIR": str(home / "ipython")}
        self._environment = {**os.environ, **settings, **(environment or {})}
        self._lines: list[str] = []

    def __enter__(self) -> Lab:
        command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--ip=127.0.0.1", "--port=0", "--allow-root",
                   f"--ServerApp.root_dir={self.root}", f"--IdentityProvider.token={self.token}", *lab_options()]
        self._process = subprocess.Popen(command, cwd=self.root, env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        threading.Thread(target=self._drain, daemon=True).start()
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            found = re.search(r"http://127\.0\.0\.1:(\d+)/", "".join(self._lines))
            if found and found.group(1) != "0":
                self._address = f"127.0.0.1:{found.group(1)}"
                try:
                    if self._get("/api/status").ok:
                        return self
                except requests.ConnectionError:
                    pass
            if self._process.poll() is not None:
                break
            time.sleep(0.2)
        raise RuntimeError("JupyterLab did not start:\n" + "".join(self._lines[-20:]))

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def _drain(self) -> None:
        for line in self._process.stdout:
            self._lines.append(line)

    def _get(self, path: str) -> requests.Response:
        return requests.get(f"http://{self._address}{path}", headers={"Authorization": f"token {self.token}"}, timeout=30)

    def run_all(self, path: str, *, change: dict[str, str] | None = None, timeout: float = 600) -> list[CellRun]:
        """Open a notebook, replace text in its cells, run every code cell; stops after the first error, as Run All does."""
        model = self._get(f"/api/contents/{quote(path)}?content=1")
        model.raise_for_status()
        started = requests.post(f"http://{self._address}/api/sessions", headers={"Authorization": f"token {self.token}"}, timeout=120,
                                data=json.dumps({"path": path, "name": path, "type": "notebook", "kernel": {"name": "python3"}}))
        started.raise_for_status()
        kernel = started.json()["kernel"]["id"]
        socket = websocket.create_connection(f"ws://{self._address}/api/kernels/{kernel}/channels?token={self.token}", timeout=timeout)
        done: list[CellRun] = []
        try:
            for cell in model.json()["content"]["cells"]:
                code = cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])
                for old, new in (change or {}).items():
                    code = code.replace(old, new)
                if cell["cell_type"] == "code" and code.strip():
                    done.append(_execute(socket, cell.get("id", ""), code))
                    if done[-1].status != "ok":
                        break
        finally:
            socket.close()
            requests.delete(f"http://{self._address}/api/sessions/{started.json()['id']}", headers={"Authorization": f"token {self.token}"}, timeout=60)
        return done


def _execute(socket: websocket.WebSocket, cell_id: str, code: str) -> CellRun:
    message = {"header": {"msg_id": uuid.uuid4().hex, "msg_type": "execute_request", "username": "", "session": uuid.uuid4().hex, "version": "5.3", "date": ""},
               "parent_header": {}, "metadata": {"cellId": cell_id}, "channel": "shell", "buffers": [],
               "content": {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False, "stop_on_error": True}}
    socket.send(json.dumps(message))
    run = CellRun(cell_id, "", "", [], "")
    idle = False
    while not (idle and run.status):
        reply = json.loads(socket.recv())
        if reply.get("parent_header", {}).get("msg_id") != message["header"]["msg_id"]:
            continue
        kind, content = reply["header"]["msg_type"], reply["content"]
        if kind == "execute_reply":
            run.status = content["status"]
            run.error = f"{content.get('ename', '')}: {content.get('evalue', '')}" if content["status"] == "error" else ""
        elif kind == "status":
            idle = idle or content["execution_state"] == "idle"
        elif kind in ("display_data", "execute_result"):
            run.html += [content["data"]["text/html"]] if "text/html" in content["data"] else []
        elif kind == "stream":
            run.text += content["text"]
    return run
