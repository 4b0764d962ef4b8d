"""A stream of bytes -> its lines, numbered as editors number them and of bounded length.

A line ends at `\\n` or `\\r` (progress bars); lines are counted by `\\n`. Terminal colours and NUL are removed.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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

    def block(self, data: bytes) -> tuple[bytes, Sequence[int]]:
        """The text of the lines that end in `data`, with `\\n` between them, and the number of each line.

        Lines may be empty, and longer than CAP_LINE; `bounded` makes of each what is read of it.
        """
        if data:
            self._at_start = data.endswith(b"\n")
        if len(self._rest) > CAP_LINE:  # the rest of an over-long line is not kept
            ends = [position for position in (data.find(b"\n"), data.find(b"\r")) if position >= 0]
            if not ends:
                return b"", ()
            data = data[min(ends) :]
        end = max(data.rfind(b"\n"), data.rfind(b"\r"))
        if end < 0:
            self._rest += data[: CAP_LINE + 1 - len(self._rest)]
            return b"", ()
        text = self._rest + data[: end + 1]
        self._rest = data[end + 1 : end + CAP_LINE + 2]
        number = self.number
        if b"\r" in text:
            text = text.replace(b"\r\n", b"\n")
        if b"\r" not in text:
            self.number += text.count(b"\n")
            return text[:-1], range(number, self.number)
        numbers = []
        for ended in text.split(b"\n"):
            if b"\r" in ended:
                numbers += [number] * (ended.count(b"\r") + 1)
            else:
                numbers.append(number)
            number += 1
        self.number = number - 1
        return text.replace(b"\r", b"\n")[:-1], numbers

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """The lines that end in `data`, without empty ones, as they are read."""
        text, numbers = self.block(data)
        for number, line in zip(numbers, text.split(b"\n")):  # noqa: B905 - 3.8
            if line:
                yield number, self.bounded(line)

    def close(self) -> Iterator[tuple[int, bytes]]:
        rest, self._rest = self._rest, b""
        if rest:
            yield self.number, self.bounded(rest)

    def bounded(self, line: bytes) -> bytes:
        """What is read of a line."""
        if len(line) > CAP_LINE:
            self.cut += 1
            line = line[:CAP_LINE]
        if 0x1B in line:  # a number: Python looks for bytes in bytes eight times slower
            line = _ESCAPE.sub(b"", line)
        return line.replace(b"\x00", b"") if 0 in line else line
