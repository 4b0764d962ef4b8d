"""YAML text as plain values, with the place of each in the file. Nothing in the text can run, grow or hide.

Numbers, booleans and null are those of the YAML 1.2 core schema: `1e-5` is a number; `no`, `on`, `12:30:45` and
`1_000` are text. Numbers with a leading zero are refused, because YAML 1.1 reads `010` as 8 and YAML 1.2 as 10.
Refused as well are tags, merge keys, duplicate keys and keys that are not text; the size of the file, the number of its
values (aliases count as what they stand for), the depth and the digits of a number are bounded.

PyYAML's scanner and parser do the reading; the values are built here from its events, as they come, so that a bound is
met before the memory is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from hpo_workflow.errors import ConfigError, Fault

Path = tuple[str | int, ...]
"""Where a value is: keys and indexes from the top."""

LARGEST_FILE = 256_000
"""Bytes; a study file has a few thousand."""
MOST_VALUES = 8_000
DEEPEST = 24
MOST_DIGITS = 18
"""Digits of a whole number, so that it fits into 64 bits."""

_NULL = re.compile(r"(?:null|Null|NULL|~|)")
_BOOL = re.compile(r"(?:true|True|TRUE|false|False|FALSE)")
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+")
_BOOL_1_1 = re.compile(r"(?:yes|no|on|off|y|n)", re.IGNORECASE)
_NUMBER_1_1 = re.compile(r"[-+]?(?:[0-9][0-9_]*_[0-9_]*(?:\.[0-9_]*)?|0b[01_]+|[1-9][0-9]*(?::[0-5]?[0-9])+)")


@dataclass(frozen=True)
class Place:
    """Where a value stands and how it is written.

    Args:
        line: From 1.
        column: From 1.
        style: `'`, `"`, `|` or `>`; empty for a plain scalar, a list or a mapping.
        source: A scalar as written, without its quotes; empty for a list or a mapping.
        comment: A comment behind it on its last line, with the `#`.
    """

    line: int
    column: int
    style: str = ""
    source: str = ""
    comment: str = ""


@dataclass
class Document:
    """What a file says.

    Args:
        value: Mappings with text as keys, lists, text, numbers, booleans, None.
        places: The place of each value by its path.
        faults: What is wrong but did not stop the reading.
        warnings: Scalars that YAML 1.1 would read as a boolean or number, by path, and what it would read.
    """

    value: Any = None
    places: dict[Path, Place] = field(default_factory=dict)
    faults: list[tuple[Path, Fault]] = field(default_factory=list)
    warnings: dict[Path, str] = field(default_factory=dict)

    def place(self, path: Path) -> Place:
        """The place of a value, or of the nearest value around it."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, Place(1, 1))


def dotted(path: Path) -> str:
    """A path as people write it: `space.batch[2]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def read_yaml(data: bytes | str, file: str) -> Document:
    """Read one YAML document.

    Raises:
        ConfigError: The text is not YAML, or breaks a bound. Faults that leave the rest readable are in the document.
    """
    text = _decoded(data, file)
    try:
        return _Builder(text, file).document()
    except yaml.MarkedYAMLError as error:
        raise ConfigError(file, [_syntax_fault(error, text)]) from None
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        place = f"line {before.count(chr(10)) + 1}, column {error.position - before.rfind(chr(10))}"
        problem = f"the character #x{ord(text[error.position]):04x} in {place} cannot stand in YAML."
        raise ConfigError(file, [Fault("", problem, "Remove it.")]) from None


def _decoded(data: bytes | str, file: str) -> str:
    if isinstance(data, str):
        data = data.encode("utf-8", errors="surrogatepass")
    if len(data) > LARGEST_FILE:
        problem = f"the file has {len(data)} bytes; a study file has at most {LARGEST_FILE}."
        raise ConfigError(file, [Fault("", problem, "Give the study file; data belongs elsewhere.")])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ConfigError(file, [Fault("", f"line {line} is not UTF-8 text.", "Save the file as UTF-8.")]) from None


def line_of(event: yaml.Event) -> int:
    """The line of an event, from 1."""
    return event.start_mark.line + 1 if event.start_mark is not None else 1


def column_of(event: yaml.Event) -> int:
    """The column of an event, from 1."""
    return event.start_mark.column + 1 if event.start_mark is not None else 1


class _Builder:
    """Builds a document from the parser's events."""

    def __init__(self, text: str, file: str) -> None:
        self.lines = text.splitlines()
        self.file = file
        self.events: Iterator[yaml.Event] = iter(yaml.parse(text, Loader=yaml.SafeLoader))
        self.found = Document()
        self.n_values = 0
        self.anchors: dict[str, tuple[Any, int, int]] = {}
        """Value, number of values in it, and its depth."""
        self.open_anchors: set[str] = set()

    def stop(self, problem: str, cure: str = "", key: str = "") -> NoReturn:
        raise ConfigError(self.file, [Fault(key, problem, cure)])

    def document(self) -> Document:
        next(self.events)
        event = next(self.events)
        if isinstance(event, yaml.StreamEndEvent):
            self.stop("the file is empty.", "`hpo init` writes a study file to start from.")
        if isinstance(event, yaml.DocumentStartEvent) and event.version and tuple(event.version) < (1, 2):
            self.stop(
                "the file asks for YAML 1.1.", "Remove the line that starts with %YAML; study files are YAML 1.2."
            )
        self.found.value, _ = self.node(next(self.events), (), 0)
        next(self.events)
        event = next(self.events)
        if not isinstance(event, yaml.StreamEndEvent):
            line = line_of(event)
            self.stop(
                f"a second document starts in line {line}.", "Give one study in one file, without `---` in between."
            )
        return self.found

    def node(self, event: yaml.Event, path: Path, depth: int) -> tuple[Any, int]:
        """The value that starts with `event`, and how deep it is."""
        line = line_of(event)
        self.count(1)
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event, path, depth)
        if depth > DEEPEST:
            self.stop(f"line {line} nests deeper than {DEEPEST} levels.", "No study needs that; check the brackets.")
        anchor = getattr(event, "anchor", None)
        if anchor:
            self.open_anchors.add(anchor)
        before = self.n_values
        tag = getattr(event, "tag", None)
        if tag:
            shown = tag.replace("tag:yaml.org,2002:", "!!")[:60]
            self.fault(path, f"the tag {shown} in line {line} is not read.", "Write the value without a tag.")
        self.found.places[path] = Place(line, column_of(event))
        value: Any
        inner = 0
        if isinstance(event, yaml.ScalarEvent):
            value = self.scalar(event, path)
        elif isinstance(event, yaml.SequenceStartEvent):
            value = []
            while not isinstance(item := next(self.events), yaml.SequenceEndEvent):
                element, deep = self.node(item, (*path, len(value)), depth + 1)
                value.append(element)
                inner = max(inner, deep + 1)
        else:
            value, inner = self.mapping(path, depth)
        if anchor:
            self.open_anchors.discard(anchor)
            self.anchors[anchor] = (value, self.n_values - before + 1, inner)
        return value, inner

    def count(self, n: int) -> None:
        self.n_values += n
        if self.n_values > MOST_VALUES:
            self.stop(f"the file holds more than {MOST_VALUES} values, its aliases written out.", "Give fewer.")

    def alias(self, event: yaml.AliasEvent, path: Path, depth: int) -> tuple[Any, int]:
        line = line_of(event)
        if event.anchor in self.open_anchors:
            self.stop(f"the alias *{event.anchor} in line {line} contains itself.", "Write the value out.")
        if event.anchor not in self.anchors:
            cure = f'Text that starts with * needs quotes: "*{event.anchor}".'
            self.stop(f"the alias *{event.anchor} in line {line} has no anchor &{event.anchor} before it.", cure)
        value, size, inner = self.anchors[event.anchor]
        self.count(size - 1)
        if depth + inner > DEEPEST:
            self.stop(
                f"line {line} nests deeper than {DEEPEST} levels.", "No study needs that; write less into aliases."
            )
        self.found.places[path] = Place(line, column_of(event))
        return value, inner

    def mapping(self, path: Path, depth: int) -> tuple[dict[str, Any], int]:
        value: dict[str, Any] = {}
        first_lines: dict[str, int] = {}
        inner = 0
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            line = line_of(event)
            if not isinstance(event, yaml.ScalarEvent):
                self.stop(
                    f"the key in line {line} is not text.",
                    "Keys are words; lists and mappings cannot be keys.",
                    dotted(path),
                )
            key = event.value
            item = next(self.events)
            if key == "<<" and not event.style:
                self.fault(path, f"the merge key << in line {line} is not read.", "Write the keys out.", (*path, key))
                self.node(item, (*path, "<<"), depth + 1)
                continue
            if key in value:
                problem = f"is given twice, in line {first_lines[key]} and in line {line}."
                self.fault((*path, key), problem, "Keep one of them.", (*path, f"{key} "))
                self.found.places[(*path, f"{key} ")] = Place(line, column_of(event))
                kept = self.found.places[(*path, key)]
                self.node(item, (*path, key), depth + 1)
                self.found.places[(*path, key)] = kept
                continue
            first_lines[key] = line
            value[key], deep = self.node(item, (*path, key), depth + 1)
            inner = max(inner, deep + 1)
        return value, inner

    def fault(self, path: Path, problem: str, cure: str, place: Path | None = None) -> None:
        self.found.faults.append((path if place is None else place, Fault(dotted(path), problem, cure)))

    def scalar(self, event: yaml.ScalarEvent, path: Path) -> Any:
        text = event.value
        line = line_of(event)
        style = event.style or ""
        comment = ""
        end = event.end_mark
        if style not in ("|", ">") and end is not None and end.line < len(self.lines):
            rest = self.lines[end.line][end.column :]
            comment = rest.strip() if re.match(r"\s+#", rest) else ""
        self.found.places[path] = Place(line, column_of(event), style, text, comment)
        if style:
            return text
        if _NULL.fullmatch(text):
            return None
        if _BOOL.fullmatch(text):
            return text.lower() == "true"
        if _INT.fullmatch(text):
            return self.integer(text, path)
        if _FLOAT.fullmatch(text):
            return self.number(text, path)
        if _NOT_FINITE.fullmatch(text):
            self.fault(path, f"{text} is not a finite number.", "Give a finite number.")
            return 0.0
        if _BOOL_1_1.fullmatch(text):
            self.found.warnings[path] = "a boolean"
        elif _NUMBER_1_1.fullmatch(text):
            self.found.warnings[path] = "a number"
        return text

    def integer(self, text: str, path: Path) -> int:
        if len(text) > MOST_DIGITS + 1:
            shown = f"{text[:8]}... ({len(text)} digits)" if len(text) > 40 else text
            self.fault(path, f"{shown} is too large for a whole number of 64 bits.", "Quote it if it is text.")
            return 0
        if _LEADING_ZERO.fullmatch(text):
            decimal = int(text)
            old = str(int(text, 8)) if set(text.lstrip("+-")) <= set("01234567") else "text"
            problem = f"{text} has a leading zero: YAML 1.1 reads it as {old}, YAML 1.2 as {decimal}."
            self.fault(path, problem, f'Write {decimal} for the number, "{text}" for text.')
            return decimal
        return int(text, 0) if text[:2] in ("0x", "0o") else int(text)

    def number(self, text: str, path: Path) -> float:
        value = float(text)
        if not math.isfinite(value):
            self.fault(path, f"{text[:40]} is too large for a number.", "Give a finite number.")
            return 0.0
        return value


# ---- syntax errors -------------------------------------------------------------------------------
def _syntax_fault(error: yaml.MarkedYAMLError, text: str) -> Fault:
    """What the scanner or parser stumbled over, as one sentence with its cure."""
    mark = error.problem_mark or error.context_mark
    if "quoted scalar" in (error.context or "") and "end of stream" in (error.problem or ""):
        mark = error.context_mark
    lines = text.splitlines()
    number = mark.line if mark is not None else 0
    column = mark.column if mark is not None else 0
    line = lines[number] if number < len(lines) else ""
    place = f"line {number + 1}, column {column + 1}"
    problem, context = error.problem or "", error.context or ""
    if trap := _flow_trap(error, lines):
        key, cure = trap
        return Fault(
            "", f"{place}: `{key}` holds ${{...}} inside brackets, where YAML takes its braces for a mapping.", cure
        )
    for pattern, sentence, cure in _SYNTAX:
        if found := re.search(pattern, f"{context} | {problem}"):
            groups = {name: value or "" for name, value in found.groupdict().items()}
            return Fault("", f"{place}: {sentence.format(**groups)}", cure.format(**groups))
    shown = f" at `{line.strip()[:60]}`" if line.strip() else ""
    return Fault("", f"{place}: this is not YAML{shown} ({problem}).", "Check indentation, quotes and brackets there.")


_SYNTAX: tuple[tuple[str, str, str], ...] = (
    (
        r"character '\\t'",
        "a tab stands where YAML expects blanks.",
        "Indent with blanks.",
    ),
    (
        r"mapping values are not allowed",
        "a `: ` stands in the middle of a value.",
        "Put the text in quotes or, if the line is a key of its own, indent it like its neighbours.",
    ),
    (
        r"found character '(?P<char>[@`%])' that cannot start",
        "a value cannot start with {char}.",
        "Put the text in quotes.",
    ),
    (
        r"scanning an? alias|scanning an? anchor",
        "text that starts with * or & needs quotes.",
        'Write for example "*.py".',
    ),
    (
        r"found unexpected end of stream|scanning a quoted scalar",
        "a quote is opened and never closed.",
        "Close the quote.",
    ),
    (
        r"found unknown escape character '?(?P<char>.)",
        "the escape \\{char} is not known in double quotes.",
        "Use single quotes, in which a backslash is only a backslash.",
    ),
    (
        r"parsing a flow (?P<kind>sequence|mapping)",
        "a bracket is opened and the list or mapping in it does not end well.",
        "Check commas and the closing bracket, or write one element in each line.",
    ),
    (
        r"scanning a simple key \| could not find expected ':'",
        "this line is neither `key: value` nor part of the text above.",
        "Write `key: value`, or indent the line below its key.",
    ),
    (
        r"parsing a block mapping \| expected <block end>",
        "this line does not fit the indentation of the lines above.",
        "Give all keys of one mapping the same indentation.",
    ),
    (
        r"parsing a block collection \| expected <block end>",
        "this line does not fit the list above.",
        "Give all elements of one list the same indentation, each with `- `.",
    ),
    (
        r"could not determine a constructor|undefined tag|parsing a node \| found undefined tag handle|scanning a tag",
        "tags (!...) are not read.",
        "Write the value without a tag; text that starts with ! needs quotes.",
    ),
    (
        r"found duplicate anchor",
        "an anchor is given twice.",
        "Rename one of them.",
    ),
    (
        r"scanning a block scalar",
        "a block of text starts wrongly.",
        "Write `key: >-` or `key: |` and the text indented below.",
    ),
    (
        r"expected the node content|did not find expected node content",
        "a value is missing.",
        "Give a value, or put text that starts with a bracket or a comma in quotes.",
    ),
    (
        r"sequence entries are not allowed",
        "a list cannot start in the line of its key.",
        "Write each element as `- element` in a line of its own.",
    ),
    (
        r"expected '<document start>'",
        "text stands behind the end of the document.",
        "Check the indentation, and remove `---` and `...`.",
    ),
)


def _flow_trap(error: yaml.MarkedYAMLError, lines: list[str]) -> tuple[str, str] | None:
    """The key of a flow list or mapping with `${` in it, and the same in block form."""
    marks = [mark.line for mark in (error.problem_mark, error.context_mark) if mark is not None]
    for number in dict.fromkeys(range(min(marks), max(marks) + 1)) if marks and max(marks) - min(marks) < 50 else ():
        if number >= len(lines):
            continue
        match = re.match(r"(?P<indent>\s*)(?:- )?(?P<key>[\w.-]+):\s*(?P<open>[\[{])", lines[number])
        if not match or match.end() > len(lines[number]):
            continue
        body = " ".join(lines[number : max(marks) + 1])[match.end() :]
        if "${" not in body:
            continue
        items = _flow_items(body)
        if match["open"] == "[":
            block = [f"{match['key']}:", *(f"  - {item}" for item in items)]
        else:
            block = [f"{match['key']}:", *(f"  {item}" for item in items)]
        return match["key"], "Write it as a block:\n" + "\n".join(f"  {line}" for line in block)
    return None


def _flow_items(body: str) -> list[str]:
    """The elements of a flow list that was meant, `${...}` kept together."""
    items, current, depth, quote = [], "", 0, ""
    for char in body:
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'" and not current.strip():
            quote = char
        elif char in "[{":
            depth += 1
        elif char in "]}":
            if depth == 0:
                break
            depth -= 1
        elif char == "," and depth == 0:
            items.append(current.strip())
            current = ""
            continue
        current += char
    if current.strip():
        items.append(current.strip())
    return [item for item in items if item]


def from_mapping(value: Mapping[str, Any]) -> Document:
    """The document of a mapping that came from Python; it knows no lines."""
    found = Document()
    places: dict[Path, Place] = {}
    budget = [MOST_VALUES]

    def visit(item: Any, path: Path, depth: int) -> Any:
        budget[0] -= 1
        if depth > DEEPEST or budget[0] < 0:
            raise ConfigError(
                "config", [Fault(dotted(path[:3]), "nests too deep or holds too many values.", "Give less.")]
            )
        places[path] = Place(len(places) + 1, 1)
        if isinstance(item, Mapping):
            return {str(key): visit(element, (*path, str(key)), depth + 1) for key, element in item.items()}
        if isinstance(item, (list, tuple)):
            return [visit(element, (*path, index), depth + 1) for index, element in enumerate(item)]
        if isinstance(item, float) and not math.isfinite(item):
            found.faults.append((path, Fault(dotted(path), f"{item} is not a finite number.", "Give a finite number.")))
            return 0.0
        if isinstance(item, int) and not isinstance(item, bool) and abs(item) >= 10**MOST_DIGITS:
            problem = "is too large for a whole number of 64 bits."
            found.faults.append((path, Fault(dotted(path), problem, "Give a smaller number.")))
            return 0
        if item is None or isinstance(item, (bool, int, float, str)):
            return item
        return str(item)

    found.value = visit(value, (), 0)
    found.places = places
    return found
