"""Runs the command of an external sampler: a question on its standard input, an answer from its standard output.

The one sampler module that touches the world. The command is somebody else's program: it gets a time limit, a bound on
what it may print, and a process group of its own, of which nothing is left when it has ended.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from typing import Any

from hpo_workflow.errors import SamplerError

LARGEST_ANSWER = 10_000_000
"""Bytes; a thousand proposals of a hundred parameters are two million."""

TAIL = 2000
"""So many bytes of the standard error are shown."""

GRACE_S = 5.0
"""Between the request to end (TERM) and the end by force (KILL)."""

POLL_S = 0.05
"""How often it is looked whether the command has ended, while something it has left behind holds its output open."""


def run_command(command: str | Sequence[str], question: str, timeout_s: float) -> bytes:
    """What the command prints, once it has ended well.

    Args:
        command: Text for bash, as that of a trial, or arguments.
        question: What it can read.

    Raises:
        SamplerError: It cannot be started, takes too long, prints too much, or ends with another exit code than 0.
    """
    words = ["bash", "-euo", "pipefail", "-c", command] if isinstance(command, str) else list(command)
    with tempfile.TemporaryFile() as given, _Stop() as stop:
        given.write(question.encode())
        given.seek(0)
        try:
            process = subprocess.Popen(
                words, stdin=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
            )
        except OSError as error:
            raise SamplerError(f"sampler.command: {words[0]} cannot be started: {error.strerror}.") from None
        reading = _Reading(process)
        try:
            problem = reading.until(time.monotonic() + timeout_s, timeout_s, stop)
            if problem:
                reading.end()
        finally:
            _kill_group(process.pid, signal.SIGKILL)
            code = process.wait()
            reading.close()
        if not problem and code:
            problem = f"ended with exit code {code}" if code > 0 else f"was ended by signal {-code}"
        if problem:
            raise SamplerError(f"sampler.command {problem}. {reading.said()}")
        return bytes(reading.answer)


class _Reading:
    """What a process prints, while it does."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.answer = bytearray()
        self._errors = bytearray()
        self._process = process
        self._selector = selectors.DefaultSelector()
        assert process.stdout is not None and process.stderr is not None
        self._pipes = (process.stdout, process.stderr)
        for pipe, kept in zip(self._pipes, (self.answer, self._errors), strict=True):
            os.set_blocking(pipe.fileno(), False)
            self._selector.register(pipe, selectors.EVENT_READ, kept)

    def until(self, deadline: float, timeout_s: float, stop: _Stop) -> str:
        """Read until the process has ended; what is wrong where it does not, or prints too much."""
        while not _has_ended(self._process.pid):
            self._read(POLL_S)
            if len(self.answer) > LARGEST_ANSWER:
                return f"printed more than {LARGEST_ANSWER // 1_000_000} MB"
            if stop.number is not None:
                return "was ended"
            if time.monotonic() > deadline:
                return f"took longer than {timeout_s:g} s (sampler.timeout)"
        while self._read(0.0):  # what is in the pipes still
            if len(self.answer) > LARGEST_ANSWER:
                return f"printed more than {LARGEST_ANSWER // 1_000_000} MB"
        return ""

    def _read(self, wait_s: float) -> bool:
        """Take what there is; whether there was anything."""
        if not self._selector.get_map():
            time.sleep(min(wait_s, POLL_S))  # both are closed, and the process goes on
            return False
        found = False
        for key, _ in self._selector.select(wait_s):
            try:
                data = os.read(key.fd, 65536)
            except BlockingIOError:
                continue
            if not data:
                self._selector.unregister(key.fileobj)
                continue
            found = True
            key.data.extend(data)
        del self._errors[:-TAIL]
        return found

    def end(self) -> None:
        """Ask the whole group to end, and wait a little for its first process."""
        _kill_group(self._process.pid, signal.SIGTERM)
        deadline = time.monotonic() + GRACE_S
        while not _has_ended(self._process.pid) and time.monotonic() < deadline:
            self._read(POLL_S)
            del self.answer[LARGEST_ANSWER:]
        while self._read(0.0):  # its last words may have come since
            del self.answer[LARGEST_ANSWER:]

    def close(self) -> None:
        self._selector.close()
        for pipe in self._pipes:
            pipe.close()

    def said(self) -> str:
        """The end of the standard error, without what a terminal would obey."""
        text = self._errors.decode("utf-8", "replace").strip()
        lines = ["".join(c if c.isprintable() or c == "\t" else "?" for c in line) for line in text.splitlines()]
        return "Its standard error was empty." if not lines else "\n  ".join(["It printed to standard error:", *lines])


def _has_ended(pid: int) -> bool:
    """Whether a child has ended; it is not collected, so that its number cannot become another process's."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _kill_group(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


class _Stop:
    """An order to this process to end (TERM, Ctrl-C), held back until the command has been ended too."""

    def __init__(self) -> None:
        self.number: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> _Stop:
        if threading.current_thread() is threading.main_thread():  # others cannot have handlers
            self._before = {number: signal.signal(number, self._note) for number in (signal.SIGTERM, signal.SIGINT)}
        return self

    def _note(self, number: int, frame: object) -> None:
        self.number = number

    def __exit__(self, *raised: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self.number == signal.SIGINT:
            raise KeyboardInterrupt
        if self.number is not None:
            raise SystemExit(128 + self.number)
