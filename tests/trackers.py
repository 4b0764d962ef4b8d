"""One server of MLflow for all tests that want one, and a door before it that can be shut. A plugin of pytest.

Tests that use it are marked `xdist_group("mlflow")`, so that one worker has them all and starts it once.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.machine import need

START_S = 120.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real server on loopback."""
    need("mlflow")
    folder = tmp_path_factory.mktemp("mlflow")
    port = free_port()
    call = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    call += ["--backend-store-uri", f"sqlite:///{folder / 'runs.db'}", "--artifacts-destination", str(folder / "files")]
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(call, stdout=log, stderr=log, cwd=folder, env=environment, start_new_session=True)
    address = f"http://127.0.0.1:{port}"
    until = time.monotonic() + START_S
    try:
        while True:
            try:
                with urllib.request.urlopen(f"{address}/health", timeout=2):
                    break
            except OSError:
                assert server.poll() is None and time.monotonic() < until, (folder / "log").read_text()
                time.sleep(0.1)
        yield address
    finally:
        os.killpg(server.pid, 15)
        server.wait(30)


@pytest.fixture
def experiment() -> str:
    """A name that no other test has."""
    return f"e-{uuid.uuid4().hex[:8]}"


class Door:
    """An address that leads to another one while it is open."""

    def __init__(self, target: str) -> None:
        host, _, port = target.removeprefix("http://").partition(":")
        self._target = (host, int(port))
        self.port = free_port()
        self._listener: socket.socket | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def open(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._serve, args=(self._listener,), daemon=True).start()

    def shut(self) -> None:
        if self._listener is not None:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            far = socket.create_connection(self._target)
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pass_on, args=(source, sink, listener), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, listener: socket.socket) -> None:
        with source, sink:
            try:
                while data := source.recv(65536):
                    if listener.fileno() < 0:
                        return
                    sink.sendall(data)
            except OSError:
                return


@pytest.fixture
def door(mlflow_server: str) -> Iterator[Door]:
    """A door before the server, shut."""
    found = Door(mlflow_server)
    yield found
    found.shut()


@pytest.fixture
def no_tracker_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings of MLflow and wandb but that nothing is tried twice; the working directory is the test's own."""
    for name in [each for each in os.environ if each.startswith(("MLFLOW_", "WANDB_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.chdir(tmp_path)
