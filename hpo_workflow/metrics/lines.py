"""A stream of bytes -> its lines, numbered as editors number them and of bounded length.

A line ends at `\\n` or `\\r` (progress bars); lines are counted by `\\n`. Terminal colours and NUL are removed.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

CAP_LINE = 64 * 1024
"""Bytes of a line that are read."""

_ESCAPE = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()*+][0-9A-Za-z]|[@-Z\\^_=>78c])?")


class Lines:
    """Cuts a stream into numbered lines of bounded length, whatever the sizes of its pieces."""

    def __init__(self) -> None:
        self.number = 1
        self.cut = 0
        self._at_start = True
        self._rest = b""

    @property
    def count(self) -> int:
        """Lines so far, the last one also where it has no end yet."""
        return self.number - self._at_start

    def feed(self, data: bytes, needle: bytes = b"") -> Iterator[tuple[int, bytes]]:
        """The lines that end in `data`.

        Args:
            data: The next piece of the stream.
            needle: The caller has no use for lines without it, and most of them are then left out.
        """
        if data:
            self._at_start = data.endswith(b"\n")
        if len(self._rest) > CAP_LINE:  # the rest of an over-long line is not kept
            ends = [position for position in (data.find(b"\n"), data.find(b"\r")) if position >= 0]
            if not ends:
                return
            data = data[min(ends) :]
        pieces = (self._rest + data).split(b"\n")
        last = len(pieces) - 1
        for index, piece in enumerate(pieces):
            if needle not in piece and index != last and len(piece) <= CAP_LINE:
                self.number += 1
                continue
            segments = piece.split(b"\r") if b"\r" in piece else [piece]
            rest = segments.pop() if index == last else None
            for segment in segments:
                if segment:
                    yield self.number, self._bounded(segment)
            if rest is None:
                self.number += 1
            else:
                self._rest = rest[: CAP_LINE + 1]

    def close(self) -> Iterator[tuple[int, bytes]]:
        rest, self._rest = self._rest, b""
        if rest:
            yield self.number, self._bounded(rest)

    def _bounded(self, line: bytes) -> bytes:
        if len(line) > CAP_LINE:
            self.cut += 1
            line = line[:CAP_LINE]
        if b"\x1b" in line:
            line = _ESCAPE.sub(b"", line)
        return line.replace(b"\x00", b"") if b"\x00" in line else line
