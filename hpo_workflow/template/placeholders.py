"""Text with placeholders, split into literals and placeholders.

    ${hpo.NAME}  ${hpo.NAME:FMT}            the value of a parameter, optionally in a Python format such as `.3e`
    ${hpo.NAME?}  ${hpo.NAME:FMT?}          the same; where the parameter is inactive, what contains it is left out
    ${hpo.NAME?TEXT}                        TEXT where the parameter is true or active, else left out likewise
    ${trial.FACT}  ${trial.file.NAME}       a fact of the trial, known when it starts
    ${study.name}                           the study
    $${hpo.x}                               the text `${hpo.x}` itself

Any other `${...}` belongs to the shell. What only looks like a placeholder (`{hpo.lr}`, `$hpo.lr`, `${hpo_lr}`) is a
mistake that no program would report, so it is a problem here.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

NAME = r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*"
"""What a parameter may be called; dots are for hydra-style names (`model.lr`)."""

FACTS = ("number", "config", "dir", "seed", "attempt", "params_file", "port", "fidelity", "resume_from")
"""What `${trial.FACT}` can be, besides `file.NAME`."""

NUMBER_FACTS = frozenset({"number", "config", "seed", "attempt", "port", "fidelity"})
"""Facts that are numbers; the others are paths."""

FIDELITY_FACTS = ("fidelity", "resume_from")
"""Facts that only a study with `fidelity:` has."""

_FORMAT = re.compile(r"[<>=^]?[-+ ]?#?0?[0-9]{0,3}(?:\.[0-9]{1,3})?[bdeEfFgGosxX%]?")
_START = re.compile(r"\$?\$\{(hpo(?=[.}:?])|trial(?=\.)|study(?=\.))")
_HPO = re.compile(rf"(?P<name>{NAME})(?::(?P<format>[^?}}]*))?(?P<optional>\?(?P<text>[^}}]*))?")
_NEAR_MISSES = (
    re.compile(rf"\$\{{\s+hpo\.(?P<name>{NAME})\s*\}}"),
    re.compile(r"\$\{\s*hpo[_:\-/\[](?P<name>[A-Za-z_][\w.]*)\]?\s*\}"),
    re.compile(rf"\$\{{(?:[Hh][Pp][Oo]|hp|HPO)\.(?P<name>{NAME})\}}"),
    re.compile(rf"\$\{{(?:trialParameters|params?|hparams?|config|wandb)\.(?P<name>{NAME})\}}"),
    re.compile(rf"\$[({{]{{1,2}}hpo\.(?P<name>{NAME})[^)}}]*[)}}]{{1,2}}"),
    re.compile(rf"(?<!\$)\{{{{1,2}}\s*hpo\.(?P<name>{NAME})[^}}]*\}}{{1,2}}"),
    re.compile(rf"\$hpo[._](?P<name>{NAME})"),
    re.compile(rf"(?<!\$)\{{{{?\s*(?P<fact>(?:trial\.(?:{'|'.join(FACTS)}|file\.\w+))|study\.name)\s*\}}"),
    re.compile(rf"\$(?P<fact>trial\.(?:{'|'.join(FACTS)}|file\.\w+)|study\.name)\b"),
    re.compile(rf"\$\{{(?P<fact>trial_(?:{'|'.join(FACTS)})|study_name)\}}"),
)


class _Placed:
    """What stands in a text: from `start` on, written as `source`."""

    source: str
    start: int

    @property
    def end(self) -> int:
        """Where it ends."""
        return self.start + len(self.source)


@dataclass(frozen=True)
class Hpo(_Placed):
    """A parameter's value.

    Args:
        name: The parameter.
        format: A Python format, or empty.
        optional: What contains the placeholder is left out where the parameter is inactive.
        text: What stands here instead of the value where the parameter is true or active; None for the value.
        source: The placeholder as written.
        start: Where it starts in the text.
    """

    name: str
    format: str
    optional: bool
    text: str | None
    source: str
    start: int


@dataclass(frozen=True)
class Fact(_Placed):
    """A fact of the trial: `number`, `dir`, `file.NAME`, ..."""

    name: str
    source: str
    start: int


@dataclass(frozen=True)
class StudyName(_Placed):
    """The study's name."""

    source: str
    start: int


@dataclass(frozen=True)
class Escaped(_Placed):
    """A placeholder that is meant as text: `$${hpo.x}` stands for `${hpo.x}`."""

    source: str
    start: int

    @property
    def literal(self) -> str:
        return self.source[1:]


Placeholder = Hpo | Fact | StudyName | Escaped


@dataclass(frozen=True)
class Problem:
    """Something wrong in a text: a sentence, and what to write instead."""

    problem: str
    cure: str = ""


@dataclass(frozen=True)
class Text:
    """A text and its placeholders, in order."""

    source: str
    placeholders: tuple[Placeholder, ...]
    problems: tuple[Problem, ...]

    def pieces(self) -> Iterable[str | Placeholder]:
        """Literals and placeholders in order, without empty literals."""
        position = 0
        for placeholder in self.placeholders:
            if placeholder.start > position:
                yield self.source[position : placeholder.start]
            yield placeholder
            position = placeholder.end
        if position < len(self.source):
            yield self.source[position:]

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters that it uses."""
        return tuple(dict.fromkeys(item.name for item in self.placeholders if isinstance(item, Hpo)))


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The name among `known` that a person may have meant by `word`."""
    known = list(known)
    folded = {name.lower(): name for name in reversed(known)}
    close = difflib.get_close_matches(word.lower(), folded, n=1, cutoff=0.6)
    return folded[close[0]] if close else None


def read_text(source: str) -> Text:
    """Split `source`; what cannot be a placeholder but looks like one becomes a problem."""
    placeholders: list[Placeholder] = []
    problems: list[Problem] = []
    taken: list[tuple[int, int]] = []
    position = 0
    while match := _START.search(source, position):
        start, kind = match.start(), match.group(1)
        escaped = match.group().startswith("$$")
        close = source.find("}", match.end())
        if close < 0 or "\n" in source[match.end() : close]:
            line = source[start:].splitlines()[0]
            problems.append(
                Problem(f"`{_shorten(line)}` opens a placeholder that is never closed.", "Close it with }.")
            )
            position = match.end()
            taken.append((start, position))
            continue
        whole = source[start : close + 1]
        position = close + 1
        taken.append((start, position))
        if escaped:
            placeholders.append(Escaped(whole, start))
            continue
        found = _read_one(kind, whole, source[match.end() : close], start)
        if isinstance(found, Problem):
            problems.append(found)
        else:
            placeholders.append(found)
    problems += _near_misses(source, taken)
    return Text(source, tuple(placeholders), tuple(problems))


def _shorten(text: str, length: int = 60) -> str:
    return text if len(text) <= length else text[: length - 3] + "..."


def _read_one(kind: str, whole: str, rest: str, start: int) -> Placeholder | Problem:
    """The placeholder whose text after `${kind` is `rest`."""
    body = rest[1:] if rest.startswith(".") else ""
    if kind == "study":
        if body == "name":
            return StudyName(whole, start)
        return Problem(f"`{_shorten(whole)}` is not known.", "Write ${study.name}, or $${...} for the text itself.")
    if kind == "trial":
        if body in FACTS or re.fullmatch(r"file\.[A-Za-z_][A-Za-z0-9_]*", body):
            return Fact(body, whole, start)
        known = [*FACTS, "file.NAME"]
        guess = nearest(body, known)
        cure = (
            f"Write ${{trial.{guess}}}." if guess else "Known are " + ", ".join(f"${{trial.{n}}}" for n in known) + "."
        )
        return Problem(f"`{_shorten(whole)}` is not known.", cure)
    match = _HPO.fullmatch(body)
    if match is None:
        cure = "Write ${hpo.NAME}, ${hpo.NAME:FMT}, ${hpo.NAME?} or ${hpo.NAME?TEXT}."
        return Problem(f"`{_shorten(whole)}` is not a placeholder.", cure)
    form, text = match["format"], match["text"]
    if form is not None and (not form or not _FORMAT.fullmatch(form)):
        cure = "Formats are Python's, for example ${hpo.lr:.3e} or ${hpo.layers:03d}."
        return Problem(f"`{_shorten(whole)}`: `{_shorten(form, 20)}` is not a format.", cure)
    if form and text:
        name = match["name"]
        cure = f"Write ${{hpo.{name}?{_shorten(text)}}} for the text, or ${{hpo.{name}:{form}?}} for the value."
        return Problem(f"`{_shorten(whole)}` has a format and a text; only one of them can stand there.", cure)
    return Hpo(match["name"], form or "", match["optional"] is not None, text or None, whole, start)


def _near_misses(source: str, taken: Collection[tuple[int, int]]) -> list[Problem]:
    """What looks like a placeholder outside of the parts that were read as one."""
    masked = list(source)
    for start, end in taken:
        masked[start:end] = " " * (end - start)
    text = "".join(masked)
    found: dict[int, Problem] = {}
    for pattern in _NEAR_MISSES:
        for match in pattern.finditer(text):
            if any(start <= match.start() < start + 4 for start in found):
                continue
            groups = match.groupdict()
            if groups.get("fact"):
                meant = "${" + groups["fact"].replace("_", ".", 1).replace("params.file", "params_file") + "}"
            else:
                meant = "${hpo." + groups["name"] + "}"
            found[match.start()] = Problem(
                f"`{_shorten(match.group())}` is not a placeholder: it would reach the program as it stands.",
                f"Write {meant}.",
            )
    return [found[start] for start in sorted(found)]
