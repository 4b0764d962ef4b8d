"""Results of earlier searches, mapped onto the present space: `history:` of a study file.

Pure: rows as they were read come in, observations come out, with an account of what was left out and why. Rules:

- values are mapped by name. A value that the present space cannot have leaves its row out; so does a parameter that is
  active and has no value, and a constant with another value than today's. Values of inactive parameters, of derived
  ones and of names that the space does not know are passed over;
- a row without a finite result is left out: it may have failed for a reason that is gone, and need not fail again;
- the result counts in the direction of the present objective;
- equal configurations stay separate results, as far as anything is known of their noise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hpo_workflow.objective import loss_of
from hpo_workflow.samplers.history import Observation
from hpo_workflow.space import Categorical, Float, Int, Parameter, SearchSpace
from hpo_workflow.space.parameters import exact
from hpo_workflow.space.reading import shown
from hpo_workflow.space.search_space import is_active
from hpo_workflow.trial import Value

CLOSE = 1e-9
"""A number that misses a step, or an end of the range, by this part of it was rounded when it was written."""

N_NAMES = 8
"""So many names that are passed over are listed."""


@dataclass(frozen=True)
class Row:
    """One earlier result.

    Args:
        where: What to call it: `line 7`, `trial 3`.
        params: Values by name.
        value: The objective as it was printed; None where there is none, its text where it is no number.
    """

    where: str
    params: Mapping[str, Any]
    value: float | str | None


@dataclass(frozen=True)
class Source:
    """The rows of one entry of `history:`.

    Args:
        name: What the user calls it: a folder, a file, a URL.
        rows: All of them, in their order.
        as_text: Values are the text of cells; an empty one is no value.
    """

    name: str
    rows: tuple[Row, ...]
    as_text: bool = False

    def to_json(self) -> dict[str, Any]:
        rows = [[row.where, dict(row.params), row.value] for row in self.rows]
        return {"name": self.name, "as_text": self.as_text, "rows": rows}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Source:
        return cls(data["name"], tuple(Row(*row) for row in data["rows"]), data["as_text"])


@dataclass(frozen=True)
class Mapped:
    """What became of the rows of one source.

    Args:
        name: The source.
        n_rows: How many rows it has.
        observations: What a sampler is told.
        left_out: By reason: how many rows, and the first of them.
        ignored: Names that the present space does not know.
    """

    name: str
    n_rows: int
    observations: tuple[Observation, ...]
    left_out: Mapping[str, tuple[int, str]]
    ignored: tuple[str, ...] = ()

    def sentence(self) -> str:
        """`84 of 90 rows of old.csv used; 6 left out (4 out of range: lr 0.5 in line 7; 2 without a result: line 9)`.

        The names that are passed over are listed after it.
        """
        used = len(self.observations)
        rows = "row" if self.n_rows == 1 else "rows"
        text = f"{used} of {self.n_rows} {rows} of {self.name} used"
        if self.left_out:
            reasons = "; ".join(f"{count} {reason}: {first}" for reason, (count, first) in self.left_out.items())
            text += f"; {self.n_rows - used} left out ({reasons})"
        if self.ignored:
            more = ", ..." if len(self.ignored) > N_NAMES else ""
            text += f"; no parameters here: {', '.join(self.ignored[:N_NAMES])}{more}"
        return text


class _LeftOut(Exception):
    """A row cannot be used. Its arguments: the reason, and what exactly."""


def map_rows(space: SearchSpace, direction: str, source: Source) -> Mapped:
    """The rows of a source as observations of the present space, in their order."""
    observations: list[Observation] = []
    left_out: dict[str, tuple[int, str]] = {}
    known = set(space.names())
    ignored: dict[str, None] = {}
    for row in source.rows:
        ignored.update((name, None) for name in row.params if name not in known)
        try:
            if isinstance(row.value, str):
                raise _LeftOut("with a result that is no number", row.value[:40])
            if row.value is None or not math.isfinite(row.value):
                raise _LeftOut("without a result", "")
            params = _configuration(space, row.params, source.as_text)
        except _LeftOut as problem:
            reason, what = problem.args
            count, first = left_out.get(reason, (0, f"{what} in {row.where}" if what else row.where))
            left_out[reason] = (count + 1, first)
        else:
            observations.append(Observation(params, loss_of(row.value, direction)))
    return Mapped(source.name, len(source.rows), tuple(observations), left_out, tuple(ignored))


def observations_of(space: SearchSpace, direction: str, sources: Sequence[Source]) -> tuple[Observation, ...]:
    """What a sampler is told of all sources."""
    return tuple(observation for source in sources for observation in map_rows(space, direction, source).observations)


def _configuration(space: SearchSpace, given: Mapping[str, Any], as_text: bool) -> dict[str, Value]:
    """The configuration that a row determines."""
    for name, constant in space.constants.items():
        if not _is_missing(given, name) and not _is_choice(constant, given[name], as_text):
            raise _LeftOut("with another constant", f"{name} {given[name]}")
    params: dict[str, Value] = {}
    for parameter in space.parameters:
        if not is_active(parameter, params, params):
            continue
        name = parameter.name
        if _is_missing(given, name):
            if parameter.size != 1:
                raise _LeftOut("without a value", name)
            params[name] = parameter.value(0)
            continue
        value = _possible(parameter, given[name], as_text)
        if value is None:
            raise _LeftOut("out of range", f"{name} {given[name] if as_text else shown(given[name])}")
        params[name] = value
    return params


def _is_missing(given: Mapping[str, Any], name: str) -> bool:
    return name not in given or given[name] is None or given[name] == ""


def _possible(parameter: Parameter, value: Any, as_text: bool) -> Value | None:
    """A value as the parameter has it; None where it is impossible."""
    if isinstance(parameter, Categorical):
        if not as_text:
            return parameter.canonical(value) if parameter.contains(value) else None
        return next((choice for choice in parameter.choices if _is_choice(choice, value, as_text)), None)
    number = number_of(value) if as_text else value
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not math.isfinite(number):
        return None
    if isinstance(parameter, Int):
        whole = int(number)
        return whole if whole == number and parameter.contains(whole) else None
    return _settled(parameter, float(number))


def _settled(parameter: Float, number: float) -> float | None:
    """A float where it lies, or on the step or end that it was rounded away from."""
    if parameter.contains(number):
        return parameter.canonical(number)
    near = [parameter.low, parameter.high]
    if parameter.step is not None and parameter.low <= number <= parameter.high:
        place = round((exact(number) - exact(parameter.low)) / exact(parameter.step))
        near.append(parameter.value(place))
    return next((end for end in near if abs(number - end) <= CLOSE * abs(end)), None)


def number_of(text: str) -> int | float | None:
    """The number that a cell holds; whole numbers exactly."""
    if "_" in text:  # Python reads 1_000 as 1000
        return None
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return None


def _is_choice(choice: Value, value: Any, as_text: bool) -> bool:
    """Whether a cell, or a value, is this choice. A cell may have the `'` that guards a spreadsheet from formulas."""
    if not as_text:
        return isinstance(choice, bool) is isinstance(value, bool) and bool(choice == value)
    if isinstance(choice, str):
        return value in (choice, f"'{choice}")
    if isinstance(choice, bool):
        return str(value).strip().lower() == str(choice).lower()
    return number_of(value) == choice


__all__ = ["Mapped", "Row", "Source", "map_rows", "number_of", "observations_of"]
