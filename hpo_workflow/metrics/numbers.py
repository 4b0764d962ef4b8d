"""What is a number on a line, and what is refused with a reason.

A plain decimal number that stands alone is one; `nan` and `inf` are numbers that are not finite. What could be read in
two ways (`1,000`, `0x10`, `tensor(0.5)`) is none.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple

CAP_NUMBER = 100
"""Characters of a number."""
CAP_REJECTED = 50
"""Values of one line that are told one by one why they are no numbers."""
CAP_FOUND = 2000
"""Values of one line that one rule reads; a line with more is data, and only its start is read."""
CAP_TEXT = 200
"""Characters of a line that are quoted in a message."""

_DIGITS = rb"\d+(?:_\d+)*"
DECIMAL = rb"[+-]?(?:" + _DIGITS + rb"(?:\.(?:" + _DIGITS + rb")?)?|\." + _DIGITS + rb")(?:[eE][+-]?\d+)?%?"
END = rb"(?=[\x00-\x20;)\]}|]|$|[\"'`](?!\d)|,(?![+-]?\.?\d))"
# `1 000` where nothing that is counted follows (`1 200 steps`, `3 100%`) and no other column (`5 100 20`); `1 000 000`.
_NOTHING_COUNTED = rb"(?:[.,]\d*)?(?!\d)(?=[ \t]*(?:$|[;,)\]}|\"'`]|[A-Za-z0-9_\x80-\xff][^\x00-\x20=]*[ \t]*=(?!=)))"
_GROUPED = rb"[+-]?[1-9]\d{0,2}(?:(?: \d{3})+" + _NOTHING_COUNTED + rb"|(?: \d{3}){2,}(?![^\x00-\x20]))"
NUMBER = rb"(?!" + _GROUPED + rb")(" + DECIMAL + rb")" + END
"""A number that stands alone, as a group."""
GROUPED_OR_LIKE_IT = re.compile(rb"[+-]?\d+(?:(?: \d+)+" + _NOTHING_COUNTED + rb"|(?: \d+){2,}(?![^\x00-\x20]))")
"""`1 000`, and what differs from it in the number of digits."""
_NUMBER = re.compile(NUMBER)
_GROUPED_NUMBER = re.compile(_GROUPED)
_NUMBER_ALONE = re.compile(DECIMAL + rb"\Z")
_NONFINITE = re.compile(rb"([+-]?)(?:(nan(?:\(\w*\))?)|inf(?:inity)?|1\.#(?:(inf)|\w+))(?![\w.(])", re.IGNORECASE)
_TOKEN = re.compile(rb"[^\x00-\x20]*")
_WORD = re.compile(rb"[\"'`]?[^,;)\]}|\"'`]*[\"'`]?")


if TYPE_CHECKING:

    class Found(NamedTuple):
        """One metric on one line: a value, or (value None) why what stands there is not one."""

        name: str
        value: float | None
        text: str
        kind: str
        reason: str
else:
    from collections import namedtuple

    Found = namedtuple("Found", "name value text kind reason")


def printable(text: str, cap: int = CAP_TEXT) -> str:
    """`text` without what could steer a terminal (controls, bidirectional marks), cut to `cap` characters."""
    shown = "".join(c if c.isprintable() else " " if c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in text)
    return shown if len(shown) <= cap else shown[: cap - 1] + "…"


def excerpt(data: bytes, cap: int = CAP_TEXT) -> str:
    """What a message quotes of `data`: its start, printable, without the space around it."""
    return printable(data[: 4 * cap].decode("utf-8", "replace").strip(), cap)


def number_of(text: bytes) -> float | None:
    """The number that `text` is as a whole, or None; `nan`, `inf` and `1e400` are numbers that are not finite."""
    text = text.strip()
    if len(text) <= CAP_NUMBER and _NUMBER_ALONE.match(text):
        return float(text[:-1] if text.endswith(b"%") else text)
    match = _NONFINITE.match(text)
    return _nonfinite(match) if match and match.end() == len(text) else None


def _nonfinite(match: re.Match[bytes]) -> float:
    sign, nan, msvc_inf = match.groups()
    word = match.group().lower()
    if nan or (b"#" in word and not msvc_inf):
        return float("nan")
    return float("-inf") if sign == b"-" else float("inf")


def is_finite(value: float) -> bool:
    return value - value == 0


def refused(name: str, shown: bytes, token: bytes) -> Found:
    """Says why `token`, found behind a name, is not a number. Kind `word`: no digit in it, as in `optimizer='SGD'`."""
    quoted = excerpt(shown, 80)
    bare = token.strip(b"\"'`")
    if not any(character.isdigit() for character in token.decode("utf-8", "replace")):
        word = _WORD.match(token)
        if word is not None and word.group():
            quoted = excerpt(shown[: len(shown) - len(token) + word.end()], 80)
            bare = word.group().strip(b"\"'`")
        reason = f"`{excerpt(bare, 40)}` is not a number" if bare else "no number follows"
        return Found(name, None, quoted, "word", reason)
    if re.match(rb"[+-]?0[xXbBoO]", bare):
        reason = "only decimal numbers are read"
    elif re.match(rb"[+-]?\d+,\d", bare):
        reason = "the comma can be a decimal point or a thousands separator; print it without"
    elif _GROUPED_NUMBER.match(bare):
        reason = "the blank can be a thousands separator; print it without"
    elif re.match(rb"[+-]?[\d.]+[dD][+-]?\d+", bare):
        reason = "a Fortran `D` exponent; print it with `E` (ES format)"
    elif re.match(rb"[A-Za-z_.]+\(", bare):
        reason = "an object around the number; print the bare number (`.item()`)"
    else:
        reason = f"`{excerpt(bare, 40)}` is not a plain number"
    return Found(name, None, quoted, "ambiguous", reason)


def value_at(line: bytes, start: int, name: str, shown_from: int, brief: bool) -> Found:
    """What stands at `start` of `line`, where a number was expected and the quick pattern found none.

    Args:
        shown_from: Where the text begins that a message quotes.
        brief: Do not spend time on saying what is wrong.
    """
    match = _NUMBER.match(line, start)
    if match and match.end() - start <= CAP_NUMBER:
        token = match.group()
        return Found(name, float(token[:-1] if token.endswith(b"%") else token), "", "", "")
    bad = _NONFINITE.match(line, start)
    if bad:
        return Found(name, _nonfinite(bad), "", "", "")
    quote = line[start : start + 1]
    if quote in (b'"', b"'", b"`") and quote:
        close = line.find(quote, start + 1, start + CAP_NUMBER)
        value = number_of(line[start + 1 : close]) if close >= 0 else None
        if value is not None:
            return Found(name, value, "", "", "")
    if brief:
        return Found(name, None, "", "ambiguous", "one of many on this line")
    token_match = _GROUPED_NUMBER.match(line, start, start + CAP_NUMBER) or _TOKEN.match(
        line, start, start + CAP_NUMBER
    )
    assert token_match is not None  # it matches the empty text
    end = token_match.end()
    return refused(name, line[max(shown_from, start - CAP_NUMBER) : end], line[start:end])
