"""A terminal in memory: what a user would see after the bytes that a program has sent."""

from __future__ import annotations

import codecs
import os
import pty
import re
import struct
import termios
from fcntl import ioctl
from typing import TextIO

from rich.cells import cell_len

_TOKEN = re.compile(r"\x1b\[(\??)([0-9;]*)([A-Za-z])|\x1b(.)|([^\x1b])", re.DOTALL)


class Terminal:
    """Signs on a grid, and those that have scrolled away.

    Args:
        columns, rows: Its size.

    Attributes:
        scrolled: Lines that have left at the top.
        colours: The codes of all `ESC [ ... m` so far.
    """

    def __init__(self, columns: int = 80, rows: int = 24) -> None:
        self.columns, self.rows = columns, rows
        self.cells = [[" "] * columns for _ in range(rows)]
        self.row = self.column = 0
        self.wraps = True
        self.scrolled: list[str] = []
        self.colours: set[str] = set()

    @property
    def lines(self) -> list[str]:
        """What is on the screen, without empty lines at the end."""
        shown = ["".join(cells).rstrip() for cells in self.cells]
        while shown and not shown[-1]:
            shown.pop()
        return shown

    @property
    def text(self) -> str:
        """All lines, also those that have scrolled away."""
        return "\n".join([*self.scrolled, *self.lines])

    def feed(self, text: str) -> None:
        """Take in what a program has sent."""
        for question, numbers, command, escaped, sign in _TOKEN.findall(text):
            assert not escaped, f"ESC {escaped!r}"
            if command:
                self._control(question, numbers, command)
            else:
                self._sign(sign)

    def _control(self, question: str, numbers: str, command: str) -> None:
        count = int(numbers or 1) if numbers.isdigit() or not numbers else 1
        if question:
            assert numbers == "7", f"unknown mode {numbers}"
            self.wraps = command == "h"
        elif command == "m":
            self.colours.update(numbers.split(";"))
        elif command == "A":
            self.row = max(0, self.row - count)
        elif command == "B":
            self.row = min(self.rows - 1, self.row + count)
        elif command == "C":
            self.column = min(self.columns - 1, self.column + count)
        elif command == "K":
            self.cells[self.row][min(self.column, self.columns - 1) :] = " " * max(1, self.columns - self.column)
        elif command == "J":
            self._control("", "", "K")
            for row in range(self.row + 1, self.rows):
                self.cells[row] = [" "] * self.columns
        else:
            raise AssertionError(f"unknown control {command!r}")

    def _sign(self, sign: str) -> None:
        if sign == "\r":
            self.column = 0
        elif sign == "\n":
            self.column = 0  # as a terminal line does with ONLCR
            self._down()
        else:
            width = cell_len(sign)
            if self.column + width > self.columns:
                if not self.wraps:
                    return
                self.column = 0
                self._down()
            self.cells[self.row][self.column : self.column + width] = [sign] + [""] * (width - 1)
            self.column += width

    def _down(self) -> None:
        if self.row < self.rows - 1:
            self.row += 1
            return
        self.scrolled.append("".join(self.cells.pop(0)).rstrip())
        self.cells.append([" "] * self.columns)


class Pty:
    """A pseudo-terminal, and the screen behind it.

    Attributes:
        stream: What a program in this process writes to.
        slave: The descriptor of it, for programs that are started.
        sent: Characters that have come.
    """

    def __init__(self, columns: int = 80, rows: int = 24) -> None:
        self._master, self.slave = pty.openpty()
        self._tell_size(columns, rows)
        os.set_blocking(self._master, False)
        self.stream: TextIO = os.fdopen(self.slave, "w", encoding="utf-8", closefd=False)
        self.screen = Terminal(columns, rows)
        self.sent = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def _tell_size(self, columns: int, rows: int) -> None:
        ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def resize(self, columns: int, rows: int) -> None:
        """Make it another size; lines that are too long for it go on in the next one."""
        shown = self.read().lines
        self.screen = Terminal(columns, rows)
        self.screen.feed("".join(f"{line}\n" for line in shown))
        self._tell_size(columns, rows)

    def read(self) -> Terminal:
        """Take in what was sent so far."""
        while True:
            try:
                data = os.read(self._master, 65536)
            except (BlockingIOError, OSError):
                return self.screen
            if not data:
                return self.screen
            self.sent += len(data)
            self.screen.feed(self._decoder.decode(data))

    def close(self) -> None:
        self.stream.close()
        os.close(self.slave)
        os.close(self._master)
