"""A study's command, environment and templates with the values of one trial in them.

Values are put in once, from left to right; what was put in is never looked at again, so a value that reads
`${hpo.x}` or `$(rm -rf /)` arrives at the program as these characters. Facts that are known only when a trial starts
stay symbolic: a rendered text is a list of strings and `{"trial": NAME, "quote": bool}`, and the runner replaces the
latter (with `shlex.quote` where `quote` is true).
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from hpo_workflow.errors import ConfigError, Fault
from hpo_workflow.spec import StudySpec, digest_of
from hpo_workflow.template.file_formats import CannotHold, spelled, spelled_fact, surroundings
from hpo_workflow.template.placeholders import NUMBER_FACTS, Escaped, Fact, Hpo, StudyName, Text, read_text
from hpo_workflow.template.shell_words import ShellText, Word, read_shell, variable_of
from hpo_workflow.template.values import LONGEST_VALUE, Values, formatted, problem_of
from hpo_workflow.trial import Params

Piece = str | dict[str, Any]
Rendered = list[Piece]

LONGEST_COMMAND = 120_000
"""Bytes of a rendered command; Linux refuses a single argument above 128 kB (MAX_ARG_STRLEN)."""

FACT_VARIABLES = {
    "HPO_TRIAL": "number",
    "HPO_TRIAL_DIR": "dir",
    "HPO_SEED": "seed",
    "HPO_ATTEMPT": "attempt",
    "HPO_PARAMS_FILE": "params_file",
    "HPO_FIDELITY": "fidelity",
    "HPO_RESUME_FROM": "resume_from",
}
"""Variables of a trial by which a command can read a fact, and the fact."""


@dataclass(frozen=True)
class RenderedTrial:
    """What one trial will run.

    Args:
        command: The text for the shell, or a list of arguments.
        env: Variables of the study file's `env:`; those left out for this trial are absent.
        files: Rendered templates by name: `{"to": path below the trial's directory, "text": Rendered}`.
        hpo_env: `HPO_PARAM_<NAME>` of all parameters that have a value.
        params_text: The same parameters as JSON, the content of `${trial.params_file}`.
    """

    command: Rendered | list[Rendered]
    env: Mapping[str, Rendered]
    files: Mapping[str, Mapping[str, Any]]
    hpo_env: Mapping[str, str]
    params_text: str

    def to_json(self) -> dict[str, Any]:
        """The trial as JSON values."""
        return {
            "command": self.command,
            "env": dict(self.env),
            "files": {name: dict(file) for name, file in self.files.items()},
            "hpo_env": dict(self.hpo_env),
            "params_text": self.params_text,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RenderedTrial:
        """The trial that `to_json` wrote."""
        return cls(data["command"], data["env"], data["files"], data["hpo_env"], data["params_text"])

    def digest(self, identity_digest: str, fidelity: float | None = None, parent: str | None = None) -> str:
        """Names what the trial computes: equal digests, equal results.

        Args:
            identity_digest: Of the study.
            fidelity: Of the trial, where the study has one.
            parent: Digest of the trial that it goes on from.
        """
        further = [] if fidelity is None else [fidelity, parent]
        return digest_of(identity_digest, self.command, self.env, self.files, self.params_text, *further)


def render_trial(spec: StudySpec, params: Params) -> RenderedTrial:
    """Put the parameters of one configuration into the study's command, environment and templates.

    Args:
        spec: A study that `load_study` accepted.
        params: Its active sampled parameters.
    """
    values = Values(spec.search_space, params)
    for name, value in values.values.items():
        if problem := problem_of(value):
            raise ConfigError(spec.study, [Fault(f"space.{name}", f"the value {problem}.", "Shorten or replace it.")])
    command: Rendered | list[Rendered]
    if isinstance(spec.command, str):
        command = _shell_command(spec.command, spec.study, values)
        size = sum(len(piece.encode()) for piece in command if isinstance(piece, str))
        if size > LONGEST_COMMAND:
            problem = (
                f"the rendered command is {size} bytes long; {LONGEST_COMMAND} is the most that a shell can be given."
            )
            raise ConfigError(spec.study, [Fault("command", problem, "Pass long values in a file, with templates:.")])
    else:
        words = (_raw(read(word), spec.study, values) for word in spec.command)
        command = [word for word in words if word is not None]
    env = {name: _raw(read(value), spec.study, values) for name, value in spec.env.items()}
    files = {
        name: {"to": template.to, "text": _file(template.format, template.text, spec.study, values)}
        for name, template in spec.templates.items()
    }
    return RenderedTrial(
        command=command,
        env={name: value for name, value in env.items() if value is not None},
        files=files,
        hpo_env={variable_of(name): text for name, text in values.texts.items()},
        params_text=json.dumps(values.values, ensure_ascii=False, allow_nan=False),
    )


@lru_cache(maxsize=256)
def read(source: str) -> Text:
    """`read_text`, remembered: a study renders the same texts for each trial."""
    return read_text(source)


@lru_cache(maxsize=16)
def read_command(source: str) -> ShellText:
    """`read_shell`, remembered."""
    return read_shell(read(source))


def _merged(pieces: Iterable[Piece]) -> Rendered:
    """Neighbouring strings as one; an empty text is one empty string."""
    merged: Rendered = []
    for piece in pieces:
        if isinstance(piece, str) and merged and isinstance(merged[-1], str):
            merged[-1] += piece
        elif piece != "" or not merged:
            merged.append(piece)
    if len(merged) > 1 and merged[0] == "":
        merged.pop(0)
    return merged or [""]


def _is_left_out(item: object, values: Values) -> bool:
    if not isinstance(item, Hpo) or not item.optional:
        return False
    return not values.is_true(item.name) if item.text else item.name not in values.active


def _value(item: Hpo, values: Values) -> str:
    if item.text is not None:
        return item.text
    return formatted(values.values[item.name], values.texts[item.name], item.format)


def _raw(text: Text, study: str, values: Values) -> Rendered | None:
    """A text that no shell reads; None where an optional placeholder leaves it out."""
    pieces: list[Piece] = []
    for item in text.pieces():
        if isinstance(item, str):
            pieces.append(item)
        elif _is_left_out(item, values):
            return None
        elif isinstance(item, Hpo):
            pieces.append(_value(item, values))
        elif isinstance(item, Fact):
            pieces.append({"trial": item.name, "quote": False})
        else:
            pieces.append(study if isinstance(item, StudyName) else item.literal)
    return _merged(pieces)


def _shell_command(source: str, study: str, values: Values) -> Rendered:
    shell = read_command(source)
    removed: list[tuple[int, int]] = []
    for item in shell.text.placeholders:
        if _is_left_out(item, values):
            word = shell.places[item.start].word
            assert word is not None
            removed.append(_span(source, word))
    pieces: list[Piece] = []
    position = 0
    for item in shell.text.placeholders:
        for start, end in sorted(removed):
            if position <= start <= item.start:
                pieces.append(source[position:start])
                position = end
        if item.start < position:
            continue
        pieces.append(source[position : item.start])
        position = item.end
        if isinstance(item, Escaped):
            pieces.append(shell.escapes[item.start])
            continue
        place = shell.places[item.start]
        if place.apart:
            pieces.append("''")
        if isinstance(item, Fact):
            pieces.append({"trial": item.name, "quote": place.word is not None})
        elif isinstance(item, StudyName):
            pieces.append(study)
        else:
            pieces.append(_value(item, values) if item.text else shlex.quote(_value(item, values)))
    pieces.append(source[position:])
    return _merged(pieces)


def _span(source: str, word: Word) -> tuple[int, int]:
    """The word and the blanks before it; these stay where only they keep its neighbours apart."""
    follows = source[word.end : word.end + 1]
    gap = word.gap if not follows or follows in " \t\n" else word.start
    while gap < word.start and source[gap] not in " \t":
        gap += 1
    return gap, word.end


def _file(form: str, source: str, study: str, values: Values) -> Rendered:
    """A template; a line with an optional placeholder of an inactive parameter is left out."""
    pieces: list[Piece] = []
    text = read(source)
    position = 0
    for item in text.placeholders:
        if item.start < position:
            continue
        if _is_left_out(item, values):
            line = source.rfind("\n", 0, item.start) + 1
            kept = max(line, position)
            if kept > line:
                pieces = _without_last_line(pieces)
            else:
                pieces.append(source[position:line])
            end = source.find("\n", item.end)
            position = len(source) if end < 0 else end + 1
            continue
        pieces.append(source[position : item.start])
        position = item.end
        where = surroundings(form, source, item.start, item.end)
        if isinstance(item, Escaped):
            pieces.append(item.literal)
        elif isinstance(item, StudyName):
            pieces.append(spelled(form, where, study, study))
        elif isinstance(item, Fact):
            before, after = spelled_fact(form, where, item.name in NUMBER_FACTS)
            pieces += [before, {"trial": item.name, "quote": False}, after]
        elif item.text is not None:
            pieces.append(item.text)
        else:
            try:
                pieces.append(spelled(form, where, values.values[item.name], _value(item, values)))
            except CannotHold as error:
                fault = Fault(f"space.{item.name}", f"{error}.", "Change the value or the template's format.")
                raise ConfigError(study, [fault]) from None
    pieces.append(source[position:])
    return _merged(pieces)


def _without_last_line(pieces: list[Piece]) -> list[Piece]:
    """What was written before the line that the last pieces began."""
    kept = list(pieces)
    while kept:
        last = kept.pop()
        if isinstance(last, str) and "\n" in last:
            kept.append(last[: last.rfind("\n") + 1])
            break
    return kept


def text_of_rendered(rendered: Rendered, facts: Mapping[str, object] | None = None, *, shell: bool = True) -> str:
    """A rendered text as one string; facts that are not given are shown as `${trial.NAME}`."""
    known = facts or {}
    parts = []
    for piece in rendered:
        if isinstance(piece, str):
            parts.append(piece)
        elif piece["trial"] in known:
            fact = str(known[piece["trial"]])
            parts.append(shlex.quote(fact) if piece["quote"] and shell else fact)
        else:
            parts.append(f"${{trial.{piece['trial']}}}")
    return "".join(parts)


def describe(trial: RenderedTrial, facts: Mapping[str, object] | None = None, *, passed: Collection[str] = ()) -> str:
    """The command as a person can paste it into a shell, with `env:` and the `HPO_*` that it reads in front of it.

    Args:
        trial: What `render_trial` made.
        facts: Facts of the trial by name (`number`, `dir`, `file.cfg`, ...); those not given are shown symbolically.
        passed: The study's `pass:`; what it names is read by the program, so the command itself need not mention it.
    """
    command = trial.command
    if command and isinstance(command[0], list):
        shown = " ".join(_quoted_word(word, facts) for word in command if isinstance(word, list))
    else:
        shown = text_of_rendered([piece for piece in command if not isinstance(piece, list)], facts).strip()
    settings = [f"{name}={shlex.quote(value)}" for name, value in _variables_read(trial, shown, facts or {}, passed)]
    settings += [f"{name}={_quoted_word(value, facts)}" for name, value in trial.env.items()]
    if not settings:
        return shown
    separator = "\n" if "\n" in shown or any(word in shown for word in ("&&", ";", "|", "$")) else " "
    if separator == "\n":
        return "\n".join([f"export {setting}" for setting in settings] + [shown])
    return " ".join([*settings, shown])


def _variables_read(
    trial: RenderedTrial, shown: str, facts: Mapping[str, object], passed: Collection[str]
) -> list[tuple[str, str]]:
    """The variables of the trial, other than `env:`, without which its command is another one."""
    mentioned = set(re.findall(r"HPO_[A-Z0-9_]+", shown))
    variables = [(name, text) for name, text in trial.hpo_env.items() if "env" in passed or name in mentioned]
    for name, fact in FACT_VARIABLES.items():
        if fact in facts and (name in mentioned or (name == "HPO_PARAMS_FILE" and "file" in passed)):
            variables.append((name, str(facts[fact])))
    return [(name, text) for name, text in variables if name not in trial.env]


def _quoted_word(rendered: Rendered, facts: Mapping[str, object] | None) -> str:
    """One argument, quoted for a shell; unknown facts stay readable."""
    known = facts or {}
    parts = []
    for piece in rendered:
        if isinstance(piece, str):
            parts.append(shlex.quote(piece) if piece or len(rendered) == 1 else "")
        elif piece["trial"] in known:
            parts.append(shlex.quote(str(known[piece["trial"]])))
        else:
            parts.append(f"${{trial.{piece['trial']}}}")
    return "".join(parts)


__all__ = [
    "LONGEST_COMMAND",
    "LONGEST_VALUE",
    "Rendered",
    "RenderedTrial",
    "describe",
    "read",
    "read_command",
    "render_trial",
    "text_of_rendered",
]
