"""Lines at the bottom of a terminal that are drawn anew in place; what changes is all that is sent.

Other text scrolls by above them. On a slow line a picture that stands still costs nothing, and a number that grows
costs the rest of its line.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TextIO

from rich.cells import cell_len
from rich.color import ColorSystem
from rich.console import Console
from rich.segment import Segment
from rich.text import Text

from hpo_workflow.errors import printable

Line = tuple[tuple[str, str], ...]
"""Pieces of a line: text, and the same with what colours it."""

UP, DOWN, ERASE_LINE, ERASE_BELOW = "\x1b[{}A", "\x1b[{}B", "\x1b[K", "\x1b[J"
USUAL = 80, 24
"""Columns and rows of a terminal that does not tell."""

WRAP_OFF, WRAP_ON = "\x1b[?7l", "\x1b[?7h"


def shows_utf8(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Whether a terminal is taken to show more than ASCII: the locale says so, and the stream can write it."""
    names = (environment.get(name, "") for name in ("LC_ALL", "LC_CTYPE", "LANG"))
    locale = next((name for name in names if name), "")
    return "utf" in locale.lower() and (stream.encoding or "").lower().startswith("utf")


class Screen:
    """The bottom lines of a terminal.

    Args:
        stream: The terminal.
        no_color: Whether colours are left out; by default where NO_COLOR says so.

    Attributes:
        utf8: Whether more than ASCII may be drawn.
        written: Characters that were sent.
    """

    def __init__(self, stream: TextIO, *, no_color: bool | None = None) -> None:
        self._stream = stream
        self._console = Console(file=stream, highlight=False, markup=False, emoji=False, no_color=no_color or None)
        self.utf8 = shows_utf8(stream, os.environ)
        self.written = 0
        self._drawn: list[Line] = []
        self._width = self.size[0]
        self._is_gone = False

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines that a picture may have: one less than the terminal, so that nothing scrolls or wraps."""
        columns, rows = self._terminal()
        return max(1, columns - 1), max(1, rows - 1)

    def _terminal(self) -> tuple[int, int]:
        """Columns and rows of the terminal itself, which may be none of this process's standard streams."""
        try:
            size = os.get_terminal_size(self._stream.fileno())
        except (OSError, ValueError):
            return USUAL
        return size.columns or USUAL[0], size.lines or USUAL[1]

    def note(self, *texts: str) -> None:
        """Say something above the picture."""
        if not texts:
            return
        said = "".join(f"{self._writable(printable(text))}\n" for text in texts)
        drawn = self._drawn
        self._send(self._wiped() + said)
        self._redraw(drawn)

    def draw(self, lines: Sequence[Text]) -> None:
        """Show a picture in place of the one before."""
        width, height = self.size
        new = [self._line(text, width) for text in lines[:height]]
        if width != self._width or height < len(self._drawn):  # the terminal has broken old lines anew
            self._send(self._wiped())
            self._width = width
        self._redraw(new)

    def close(self, *, keep: bool = False) -> None:
        """End the picture.

        Args:
            keep: Whether it stays where it is; else it is taken away.
        """
        if self._drawn:
            self._send(f"\r{ERASE_LINE}" if keep else self._wiped())
        self._drawn = []

    # ---- drawing -------------------------------------------------------------------------------------------
    def _redraw(self, new: list[Line]) -> None:
        """Change what differs; the cursor rests at the start of the line below."""
        old, sent, row = self._drawn, [], len(self._drawn)
        wide = False
        for index, line in enumerate(new):
            if index < len(old) and old[index] == line:
                continue
            if row > index:
                sent.append(UP.format(row - index))
            elif row < index:
                sent.append(DOWN.format(index - row))
            same = _same(old[index], line) if index < len(old) else 0
            start = sum(len(text) for text, _ in line[:same])
            sent.append((f"\x1b[{start}C" if start else "") + "".join(shown for _, shown in line[same:]) + ERASE_LINE)
            wide = wide or not all(text.isascii() for text, _ in line)
            sent.append("\r\n")
            row = index + 1
        if row > len(new):
            if len(new) < len(old):
                sent.append(UP.format(row - len(new)) + ERASE_BELOW)
        else:
            sent.append(DOWN.format(len(new) - row) if row < len(new) else "")
            if len(new) < len(old):
                sent.append(ERASE_BELOW)
        self._drawn = new
        text = "".join(sent)
        if text and old:
            text = f"\r{ERASE_LINE}{text}"  # a key that was pressed is shown where the cursor rests
        # A terminal may take a sign for wider than we do; then the line is cut, and the picture stays whole.
        self._send(f"{WRAP_OFF}{text}{WRAP_ON}" if wide else text)

    def _wiped(self) -> str:
        """What takes the picture away and leaves the cursor where it began."""
        columns, height = self._terminal()
        rows = sum(max(1, math.ceil(sum(cell_len(text) for text, _ in line) / columns)) for line in self._drawn)
        self._drawn = []
        return f"\r{UP.format(min(rows, height - 1))}{ERASE_BELOW}" if rows else ""

    def _line(self, text: Text, width: int) -> Line:
        """A line as it is sent, not longer than `width` columns."""
        if self.utf8:
            text = text.copy()
        else:
            pieces = text.render(self._console)
            text = Text.assemble(*((self._writable(piece.text), piece.style or "") for piece in pieces))
        text.truncate(width, overflow="ellipsis" if self.utf8 else "crop")
        drawn: Iterable[Segment] = text.render(self._console)
        if self._console.no_color:
            drawn = Segment.remove_color(drawn)
        colours = ColorSystem.STANDARD if self._console.color_system else None
        return tuple(
            (piece.text, piece.style.render(piece.text, color_system=colours) if piece.style else piece.text)
            for piece in drawn
            if piece.text
        )

    def _writable(self, text: str) -> str:
        return text if self.utf8 else text.encode("ascii", "backslashreplace").decode()

    def _send(self, text: str) -> None:
        if not text or self._is_gone:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:  # the terminal has gone, and what runs goes on
            self._is_gone = True
            return
        self.written += len(text)


def _same(old: Line, new: Line) -> int:
    """How many pieces at the start of a line need not be sent again: equal ones, of signs whose width is certain."""
    count = 0
    for before, after in zip(old, new, strict=False):
        if before != after or not after[0].isascii():
            break
        count += 1
    return count
