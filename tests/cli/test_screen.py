"""Lines that are drawn anew in place: what a user sees, and how little is sent for it."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator

import pytest
from rich.text import Text

from hpo_workflow.cli.screen import Screen, shows_utf8
from tests.terminal import Pty


@pytest.fixture
def pty(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pty]:
    for name in ("NO_COLOR", "COLUMNS", "LINES", "LC_ALL", "LC_CTYPE", "COLORTERM", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("LANG", "C.UTF-8")
    opened = Pty(30, 6)
    yield opened
    opened.close()


def texts(*lines: str) -> list[Text]:
    return [Text.assemble((line, "green")) for line in lines]


def test_a_picture_takes_the_place_of_the_one_before(pty: Pty) -> None:
    screen = Screen(pty.stream)
    for lines in (["a", "b"], ["a", "c", "d"], ["e"], ["e", "f"], [], ["g", "h", "i", "j"]):
        screen.draw(texts(*lines))
        assert pty.read().lines == lines
    screen.close()
    assert pty.read().lines == []


def test_notes_scroll_by_above_it(pty: Pty) -> None:
    screen = Screen(pty.stream)
    screen.draw(texts("x", "y"))
    for number in range(9):
        screen.note(f"note {number}", f"more {number}")
    screen.draw(texts("x", "z"))
    screen.close(keep=True)
    shown = pty.read()
    assert shown.lines[-2:] == ["x", "z"]
    said = [line for number in range(9) for line in (f"note {number}", f"more {number}")]
    assert shown.text.splitlines() == [*said, "x", "z"]


def test_only_what_differs_is_sent(pty: Pty) -> None:
    screen = Screen(pty.stream)
    line = [Text.assemble(("key     ", "dim"), ("12345678901234", "green"), f"  {n} s") for n in range(3)]
    screen.draw([Text("first"), line[0], Text("last")])
    written = screen.written
    screen.draw([Text("first"), line[0], Text("last")])
    assert screen.written == written, "nothing has changed"
    screen.draw([Text("first"), line[1], Text("last")])
    assert pty.read().lines == ["first", "key     12345678901234  1 s", "last"]
    assert screen.written - written < 34, "up, right, the rest of the line, down"


def test_keys_that_are_pressed_do_not_shift_it(pty: Pty) -> None:
    screen = Screen(pty.stream)
    screen.draw(texts("a", "b"))
    os.write(pty.slave, b"^C")
    screen.draw(texts("a", "c"))
    os.write(pty.slave, b"xyz")
    screen.note("note")
    assert pty.read().lines == ["note", "a", "c"]
    os.write(pty.slave, b"^C")
    screen.close(keep=True)
    assert pty.read().lines == ["note", "a", "c"]


def test_long_and_wide_lines_are_cut_and_never_wrap(pty: Pty) -> None:
    screen = Screen(pty.stream)
    screen.draw(texts("x" * 100, "漢字" * 30, "é" + "\u0301" * 50 + "😀" * 40, "end"))
    lines = pty.read().lines
    assert lines[0] == "x" * 28 + "…" and lines[1] == "漢字" * 7 + "…" and lines[-1] == "end"
    assert len(lines) == 4


def test_it_is_never_higher_than_the_terminal(pty: Pty) -> None:
    screen = Screen(pty.stream)
    for n in range(3):
        screen.draw(texts(*(f"line {k} {n}" for k in range(20))))
    assert pty.read().lines == [f"line {k} 2" for k in range(5)] and not pty.screen.scrolled


def test_a_terminal_that_gets_narrower_is_drawn_anew(pty: Pty) -> None:
    screen = Screen(pty.stream)
    screen.draw(texts("0123456789012345", "b"))
    pty.read()
    pty.resize(12, 6)
    screen.draw(texts("0123456789012345", "c"))
    assert pty.read().lines == ["0123456789…", "c"]


def test_without_utf8_it_is_ascii(pty: Pty, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    screen = Screen(pty.stream)
    screen.note("grün")
    screen.draw([Text.assemble(("name=漢 ", "bold"), "é")])
    assert pty.read().lines == ["gr\\xfcn", "name=\\u6f22 \\xe9"]


def test_no_color_keeps_what_is_bold_and_nothing_coloured(pty: Pty, monkeypatch: pytest.MonkeyPatch) -> None:
    Screen(pty.stream).draw([Text.assemble(("x", "bold green"))])
    assert "1;32" in pty.read().colours or {"1", "32"} <= pty.screen.colours
    pty.screen.colours.clear()
    Screen(pty.stream, no_color=True).draw([Text.assemble(("y", "bold green"))])
    monkeypatch.setenv("NO_COLOR", "1")
    Screen(pty.stream).draw([Text.assemble(("z", "bold green"))])
    assert pty.read().colours <= {"1", "0"} and pty.screen.lines == ["x", "y", "z"]


def test_a_terminal_that_has_gone_ends_nothing() -> None:
    opened = Pty()
    screen = Screen(opened.stream)
    screen.draw(texts("a"))
    opened.read()
    os.close(opened._master)
    for text in ("b", "c"):
        screen.draw(texts(text))
        screen.note(text)
    screen.close()
    try:
        opened.stream.close()
    except OSError:
        pass
    os.close(opened.slave)


def test_what_steers_a_terminal_is_made_visible(pty: Pty) -> None:
    screen = Screen(pty.stream)
    screen.note("\x1b[2J\x07evil\u202e")
    assert pty.read().text == "\\x1b[2J\\x07evil\\u202e"


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        ({"LANG": "de_DE.UTF-8"}, True),
        ({"LANG": "de_DE.UTF-8", "LC_ALL": "C"}, False),
        ({"LC_CTYPE": "C.utf8", "LANG": "C"}, True),
        ({"LANG": "de_DE.ISO-8859-1"}, False),
        ({}, False),
    ],
)
def test_the_locale_tells_whether_more_than_ascii_is_shown(names: dict[str, str], shown: bool) -> None:
    assert shows_utf8(io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), names) is shown
    assert not shows_utf8(io.TextIOWrapper(io.BytesIO(), encoding="latin-1"), names)
