"""What this process and the programs that it starts write to the terminal, caught while a picture is drawn there.

A line that somebody else writes into the middle of a picture would tear it. So the descriptors of standard output and
error, where they are the terminal, lead to a nameless file for a while, and its lines are shown above the picture. A
file and not a pipe: a program that outlives this process writes on without being ended.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from typing import TextIO

READ_BYTES = 1 << 20
_STEERS = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)")


class CapturedOutput:
    """Catches from the moment it is made until `restore`.

    Attributes:
        terminal: The terminal, for the picture.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  (it lives as long as this)
        self._read_to = 0
        self._rest = b""
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        self._kept = {number: os.dup(number) for number in (1, 2) if os.isatty(number)}
        place = self._kept[max(self._kept)]
        encoding = sys.stderr.encoding or "utf-8"
        self.terminal: TextIO = os.fdopen(os.dup(place), "w", encoding=encoding, errors="backslashreplace")
        for number in self._kept:
            os.dup2(self._file.fileno(), number)

    def lines(self) -> list[str]:
        """What has been written since the last call, as whole lines without what steers a terminal."""
        data = os.pread(self._file.fileno(), READ_BYTES, self._read_to)  # whoever writes goes on where he was
        self._read_to += len(data)
        *whole, self._rest = (self._rest + data).split(b"\n")
        return [_plain(line) for line in whole]

    def restore(self) -> list[str]:
        """Let everybody write to the terminal again; gives what has not been shown."""
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        for number, kept in self._kept.items():
            os.dup2(kept, number)
            os.close(kept)
        self._kept = {}
        texts = []
        while more := self.lines():
            texts += more
        if self._rest:
            texts.append(_plain(self._rest))
        self.terminal.close()
        self._file.close()
        return texts


def _plain(line: bytes) -> str:
    text = line.decode("utf-8", "replace").rstrip("\r")
    return _STEERS.sub("", text.rpartition("\r")[2])
