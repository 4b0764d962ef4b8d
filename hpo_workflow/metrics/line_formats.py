"""What the three formats of `metrics.format` find on one line.

equals      `name=value`: a name that stands alone, any spaces around `=`, a plain decimal number that stands alone.
            `val/loss=1` is the metric `val/loss`, never `loss`. What could be read in two ways (`1,000`, `0x10`,
            `tensor(0.5)`) is no number; where a wanted metric is concerned it is a problem that names the line.
katib       Kubeflow Katib's default rule, with what it does to `1,234.5` (1) and `val/loss=0.3` (`loss`).
json        one flat JSON object a line; numbers, or strings that hold a number. Nested objects are not entered.
"""

from __future__ import annotations

import functools
import itertools
import json
import re

from hpo_workflow.metrics.numbers import (
    CAP_FOUND,
    CAP_NUMBER,
    CAP_REJECTED,
    NUMBER,
    Found,
    excerpt,
    number_of,
    refused,
    value_at,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

# Control characters, white space, brackets and quotes separate names; bytes of multi-byte characters belong to names,
# so that `é_loss=1` is not `loss`.
_SEPARATOR = rb"\x00-\x20()\[\]{},;|\"'`<>\x7f"
_NAME = rb"[A-Za-z0-9_\x80-\xff](?:[\w./:@\x80-\xff-]*[\w\x80-\xff])?"
EQUALS = re.compile(rb"(?<![^" + _SEPARATOR + rb"])(" + _NAME + rb")[ \t]*=(?!=)[ \t]*(?:" + NUMBER + rb")?")
_KATIB_NUMBER = re.compile(rb"[\t\n\f\r ]*([+-]?\d*(?:\.\d+)?(?:[Ee][+-]?\d+)?)")
_new = tuple.__new__
_KATIB_NAME = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_|-"


@functools.lru_cache(maxsize=1000)
def _text(name: bytes) -> str:
    return name.decode("utf-8", "replace")


def scan_equals(line: bytes) -> list[Found]:
    """All `name=value` of the line, in its order."""
    found = []
    try:
        for raw, number in EQUALS.findall(line)[:CAP_FOUND]:
            if len(number) > CAP_NUMBER:
                return _scan_equals_one_by_one(line)
            found.append(_new(Found, (_text(raw), float(number), "", "", "")))
    except ValueError:  # `5%`, or no number at all
        return _scan_equals_one_by_one(line)
    return found


def _scan_equals_one_by_one(line: bytes) -> list[Found]:
    """The same where not everything is a plain number: slower, with what is wrong."""
    found = []
    rejected = 0
    for match in itertools.islice(EQUALS.finditer(line), CAP_FOUND):
        raw, number = match.groups()
        name = _text(raw)
        if number is not None and len(number) <= CAP_NUMBER:
            value = float(number[:-1] if number.endswith(b"%") else number)
            found.append(Found(name, value, "", "", ""))
        else:
            start = match.end() if number is None else match.start(2)
            item = value_at(line, start, name, match.start(), rejected >= CAP_REJECTED)
            rejected += item.value is None
            found.append(item)
    return found


def scan_katib(line: bytes) -> list[Found]:
    """Matches of `([\\w|-]+)\\s*=\\s*([+-]?\\d*(\\.\\d+)?([Ee][+-]?\\d+)?)`, in time linear in the line.

    As written, the pattern tries every start inside a long word again. A match has exactly one `=`, so it is enough to
    look at each `=` once: the name is what stands before it and behind the previous match.
    Source: kubeflow/katib, pkg/metricscollector/v1beta1/common/const.go (Go's RE2: `\\w`, `\\d` are ASCII).
    """
    found: list[Found] = []
    rejected = 0
    for start, end, number in itertools.islice(katib_matches(line), CAP_FOUND):
        text = line[start:end].decode()
        digits = number.group(1)
        if digits.lstrip(b"+-")[:1] not in (b"", b"e", b"E"):  # the rule lets no other text through that is no number
            found.append(Found(text, float(digits), "", "", ""))
            continue
        rejected += 1
        if rejected <= CAP_REJECTED:
            reason = f"katib's rule reads `{digits.decode()}` here, which is no number"
            found.append(Found(text, None, excerpt(line[start : number.start() + 39], 80), "ambiguous", reason))
        else:
            found.append(Found(text, None, "", "ambiguous", "one of many on this line"))
    return found


def katib_matches(line: bytes) -> Iterator[tuple[int, int, re.Match[bytes]]]:
    """Start and end of each name, and the match behind its `=`, whose group 1 is what Katib takes for a number."""
    start = 0
    while True:
        equals = line.find(b"=", start)
        if equals < 0:
            return
        before = line[start:equals].rstrip(b"\t\n\f\r ")
        name = len(before.rstrip(_KATIB_NAME))
        begin, end = start + name, start + len(before)
        start = equals + 1
        if begin == end:
            continue
        match = _KATIB_NUMBER.match(line, start)
        assert match is not None  # every part is optional
        start = match.end()
        yield begin, end, match


def scan_json(line: bytes) -> tuple[list[Found], str]:
    """Metrics of one JSON object, and why the line is not one (empty where it is, or does not try to be)."""
    body = line.strip()
    if not body.startswith(b"{"):
        return [], ""
    try:
        # Whole numbers become floats at once: Python refuses, or takes long over, integers of thousands of digits.
        data = json.loads(body.decode("utf-8", "replace"), parse_int=float)
    except (ValueError, RecursionError):
        return [], "a Python dict, not JSON: print json.dumps(...)" if body.startswith(b"{'") else "not a JSON object"
    found = []
    for name, value in itertools.islice(data.items(), CAP_FOUND):
        if isinstance(value, float):
            found.append(Found(name, value, "", "", ""))
        elif isinstance(value, str):
            number = number_of(value.encode("utf-8", "replace"))
            if number is None:
                found.append(refused(name, json.dumps({name: value})[1:-1].encode(), value.encode("utf-8", "replace")))
            else:
                found.append(Found(name, number, "", "", ""))
        elif isinstance(value, dict):
            found.append(Found(name, None, name, "word", "a nested object, which is not entered"))
            found.extend(
                Found(f"{name}.{key}", None, f"{name}.{key}", "word", "inside a nested object")
                for key in list(value)[:20]
                if isinstance(value[key], float)
            )
        else:
            shown = json.dumps(value)
            found.append(Found(name, None, f'"{name}": {shown[:60]}', "word", f"`{shown[:40]}` is not a number"))
    return found, ""
