"""Values in the spelling of a file's format, and refusals of values that the format cannot hold.

| format   | text                    | boolean         | float               |
| -------- | ----------------------- | --------------- | ------------------- |
| yaml     | `"adam"`                | `true`          | `1.0e-05`           |
| json     | `"adam"`                | `true`          | `1e-05`             |
| toml     | `"adam"`                | `true`          | `1e-05`             |
| ini      | `adam`                  | `true`          | `1e-05`             |
| namelist | `'adam'`                | `.true.`        | `1e-05`             |
| raw      | `adam`                  | `true`          | `1e-05`             |

A placeholder that stands alone as a value is spelled as above. Inside quotes that the template writes itself the
text is escaped for those quotes. In the middle of unquoted text only plain characters are accepted, except in `ini` and
`raw`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from hpo_workflow.trial import Value

FORMATS = ("yaml", "json", "toml", "ini", "namelist", "raw")

_SUFFIXES = {
    ".yaml": "yaml",
    ".yml": "yaml",
    ".json": "json",
    ".toml": "toml",
    ".ini": "ini",
    ".cfg": "ini",
    ".nml": "namelist",
    ".namelist": "namelist",
}
_PLAIN = re.compile(r"[A-Za-z0-9_.+/-]*")
_NUMBER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")


class CannotHold(Exception):
    """A format cannot hold a value; carries the reason as the end of a sentence."""


def format_of(path: str) -> str:
    """The format that a file's name tells; `.in` at its end does not count. `raw` where it tells none."""
    name = path[: -len(".in")] if path.endswith(".in") else path
    stem, dot, suffix = name.rpartition(".")
    return _SUFFIXES.get(dot + suffix.lower(), "raw") if stem else "raw"


def surroundings(form: str, text: str, start: int, end: int) -> str:
    """How the placeholder `text[start:end]` stands in a file: `alone | double | single | plain`."""
    if form == "raw":
        return "plain"
    if form == "toml":
        opened = _toml_block(text[:start])
        if opened:
            return opened
    line_start = text.rfind("\n", 0, start) + 1
    line_end = text.find("\n", end)
    before, after = text[line_start:start], text[end : len(text) if line_end < 0 else line_end]
    quote = _open_quote(form, before)
    if quote:
        return "double" if quote == '"' else "single"
    if form == "ini":
        return "plain"
    before, after = before.rstrip(), after.strip()
    opens = {"yaml": r"(?:^|[\[{,]|:|^\s*-|\s-)$", "json": r"(?:^|[\[{,:])$", "toml": r"(?:[=\[,])$"}
    pattern = opens.get(form, r"(?:^|[=,(*])$")
    closes = r"$|[\]},#!/]" if form == "namelist" else r"$|[\]},#]"
    glued = form == "yaml" and re.search(r"[:-]$", text[line_start:start]) is not None
    return "alone" if re.search(pattern, before) and re.match(closes, after) and not glued else "plain"


def _toml_block(before: str) -> str:
    for quotes, kind in (('"""', "double"), ("'''", "single")):
        if before.count(quotes) % 2:
            return kind
    return ""


def _open_quote(form: str, before: str) -> str:
    """The quote that is open at the end of `before`, the start of a line; empty where none is."""
    quote = ""
    position = 0
    while position < len(before):
        char = before[position]
        if quote:
            is_escape = char == "\\" and quote == '"' and form != "namelist"
            is_doubled = char == quote == "'" == before[position + 1 : position + 2] and form in ("yaml", "namelist")
            if is_escape or is_doubled:
                position += 1
            elif char == quote:
                quote = ""
        elif char in "\"'" and (char == '"' or form != "json"):
            starts_value = not before[:position].strip() or before[:position].rstrip()[-1] in ":-[,{(=*!&"
            if form in ("json", "toml", "namelist") or starts_value:
                quote = char
        position += 1
    return quote


def spelled(form: str, where: str, value: Value, text: str) -> str:
    """`value`, whose plain text is `text`, as it is written into a file.

    Args:
        form: One of FORMATS.
        where: What `surroundings` said.
        value: The value; decides between number, boolean and text.
        text: Its text, formatted where the placeholder has a format.
    """
    if "\0" in text:
        raise CannotHold("a NUL character cannot be written into a file of text")
    if form == "raw":
        return text
    if form == "ini":
        return _ini(text)
    if where == "double":
        return _double(form, text)
    if where == "single":
        return _single(form, text)
    is_number = not isinstance(value, (bool, str)) and _NUMBER.fullmatch(text) is not None
    is_flag = isinstance(value, bool) and text in ("true", "false")
    if where == "plain":
        if is_number or _PLAIN.fullmatch(text):
            return text
        raise CannotHold(f"{_show(text)} does not fit into unquoted text")
    if is_flag:
        return f".{text}." if form == "namelist" else text
    if is_number or (isinstance(value, bool) and text in ("0", "1")):
        return _number(form, value, text)
    if form == "namelist":
        return f"'{_single(form, text)}'"
    return f'"{_double(form, text)}"'


def _show(text: str) -> str:
    shown = json.dumps(text, ensure_ascii=False)
    return shown if len(shown) <= 40 else shown[:36] + '..."'


def _number(form: str, value: Value, text: str) -> str:
    if form == "toml" and isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise CannotHold(f"{text} does not fit into the 64 bits of a number in TOML")
    if form == "yaml" and "e" in text.lower():
        mantissa, _, exponent = text.lower().partition("e")
        sign = "" if exponent[0] in "+-" else "+"
        return f"{mantissa}{'' if '.' in mantissa else '.0'}e{sign}{exponent}"
    return text


def _double(form: str, text: str) -> str:
    if form == "namelist":
        _refuse_lines(form, text)
        return text.replace('"', '""')
    return json.dumps(text, ensure_ascii=False)[1:-1].translate(_CONTROLS)


_CONTROLS = {code: f"\\u{code:04x}" for code in (*range(0x7F, 0xA0), 0x2028, 0x2029, 0xFEFF, 0xFFFE, 0xFFFF)}
"""Characters that JSON may hold as they are and YAML or TOML may not."""


def _single(form: str, text: str) -> str:
    _refuse_lines(form, text)
    if form == "toml" and "'" in text:
        raise CannotHold(f"{_show(text)} does not fit between single quotes of TOML, which know no escapes")
    return text.replace("'", "''")


def _ini(text: str) -> str:
    _refuse_lines("ini", text)
    if text != text.strip():
        raise CannotHold(f"{_show(text)} starts or ends with a blank, which readers of INI files drop")
    if re.search(r"[;#%\"]|^'|^[\[]", text):
        raise CannotHold(
            f"{_show(text)} has a character that readers of INI files take for a comment, a quote or a reference"
        )
    return text


def _refuse_lines(form: str, text: str) -> None:
    if any(ord(char) < 32 or ord(char) in _CONTROLS for char in text):
        raise CannotHold(
            f"{_show(text)} has a line break or control character, which a value in {form} cannot have here"
        )


def spelled_fact(form: str, where: str, is_number: bool) -> tuple[str, str]:
    """What to write before and after a fact of the trial, which the runner knows."""
    if where != "alone" or is_number or form in ("ini", "raw"):
        return "", ""
    return ("'", "'") if form == "namelist" else ('"', '"')


def possible_faults(form: str, where: str, values: Iterable[tuple[Value, str]]) -> list[str]:
    """Why some of the values cannot stand there."""
    reasons: list[str] = []
    for value, text in values:
        try:
            spelled(form, where, value, text)
        except CannotHold as error:
            reasons.append(str(error))
    return list(dict.fromkeys(reasons))
