"""Any program as a sampler: a JSON question on its standard input, a JSON answer on its standard output.

`docs/how-to/external-sampler.md` describes the protocol field by field. The program is not trusted: every proposal is
checked, and one that cannot be used is replaced by a random configuration and counted, so that a poor sampler costs
quality and no more. A program that fails gives an error; nothing is lost by it, and asking again goes on.

Equal results give equal questions. Whether they give equal answers is the program's affair.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hpo_workflow.errors import SamplerError
from hpo_workflow.quantities import seconds_of
from hpo_workflow.samplers.design import draw_new, draw_within
from hpo_workflow.samplers.history import History
from hpo_workflow.samplers.replacement import Replacement
from hpo_workflow.space import Categorical, Float, Int, Parameter, SearchSpace
from hpo_workflow.space.conditions import BOUNDS, Condition
from hpo_workflow.space.start import read_start
from hpo_workflow.trial import Value

PROTOCOL = 1

ROUNDING = 1e-9
"""A number this part of the range (or of a step) beside a possible one is that one: other languages print otherwise."""


@dataclass(frozen=True)
class External:
    """A program that proposes.

    Args:
        command: Text for bash, or arguments.
        timeout: The longest time that it may take.
    """

    command: str | Sequence[str]
    timeout: str | float = "60s"

    def propose(self, space: SearchSpace, history: History, n: int, rng: np.random.Generator) -> list[dict[str, Value]]:
        return self.propose_checked(space, history, n, rng)[0]

    def propose_checked(
        self, space: SearchSpace, history: History, n: int, rng: np.random.Generator
    ) -> tuple[list[dict[str, Value]], list[Replacement]]:
        """The proposals, and what was replaced among them.

        Raises:
            SamplerError: The program failed, or its answer is none.
        """
        from hpo_workflow.samplers.external_command import run_command  # processes: only when there is one to run

        if n == 0:
            return [], []
        question = json.dumps(question_of(space, history, n, int(rng.integers(2**32))), allow_nan=False)
        answer = run_command(self.command, question + "\n", seconds_of(self.timeout))
        return checked(space, history.keys(space), proposals_of(answer), n, rng)


# ---- the question ------------------------------------------------------------------------------------------
def question_of(space: SearchSpace, history: History, n: int, seed: int) -> dict[str, Any]:
    """What the program is asked; results in the order of the history, which is that of the trials' numbers."""
    fitting = [o for o in history.observations if space.fits(o.params)]
    return {
        "protocol": PROTOCOL,
        "n": n,
        "seed": seed,
        "space": [_described(parameter) for parameter in space.parameters],
        "history": [{"params": dict(o.params), "loss": _finite(o.loss)} for o in fitting],
        "pending": [dict(params) for params in history.pending if space.fits(params)],
    }


def _finite(loss: float | None) -> float | None:
    return loss if loss is not None and math.isfinite(loss) else None


def _described(parameter: Parameter) -> dict[str, Any]:
    """A parameter with every key of its type, whatever the study file left out."""
    described: dict[str, Any] = {"name": parameter.name}
    if isinstance(parameter, Categorical):
        described |= {"type": "choice", "choices": list(parameter.by_rank), "ordered": parameter.ordered}
    else:
        kind = "int" if isinstance(parameter, Int) else "float"
        described |= {"type": kind, "low": parameter.low, "high": parameter.high}
        described |= {"log": parameter.log, "step": parameter.step}
    prior = parameter.prior
    described["prior"] = None if prior is None else {"center": prior.center, "strength": prior.strength}
    described["when"] = [_condition(condition) for condition in parameter.when]
    return described


def _condition(condition: Condition) -> dict[str, Any]:
    if condition.values is not None:
        return {"parent": condition.parent, "in": list(condition.values)}
    bounds = {bound: getattr(condition, bound) for bound in BOUNDS}
    return {"parent": condition.parent, **{bound: value for bound, value in bounds.items() if value is not None}}


# ---- the answer --------------------------------------------------------------------------------------------
def proposals_of(answer: bytes) -> list[Any]:
    """The proposals of an answer, not checked yet; SamplerError where it is none."""
    expected = 'It must print one JSON object, {"proposals": [{...}, ...]}, and nothing else, to standard output.'
    if not answer.strip():
        raise SamplerError(f"sampler.command printed nothing. {expected}")
    try:
        read = json.loads(answer)
    except (ValueError, RecursionError) as error:
        start = answer[:60].decode("utf-8", "replace")
        raise SamplerError(f"sampler.command: its answer is not JSON ({error}): {start!r}... {expected}") from None
    if not isinstance(read, dict) or not isinstance(read.get("proposals"), list):
        raise SamplerError(f"sampler.command: its answer has no list of proposals. {expected}")
    proposals: list[Any] = read["proposals"]
    return proposals


def checked(
    space: SearchSpace, taken: set[str], answered: Sequence[Any], n: int, rng: np.random.Generator
) -> tuple[list[dict[str, Value]], list[Replacement]]:
    """`n` new configurations: the first `n` that were answered, each replaced by a random one where it cannot be used.

    What a proposal leaves out is drawn. Fewer only when no more are left in the space.

    Args:
        taken: Keys of what is known.
    """
    taken = set(taken)
    found: list[dict[str, Value]] = []
    replaced: list[Replacement] = []
    for i in range(n):
        if i < len(answered):
            params, why = _read(space, answered[i], taken, rng)
        else:
            params, why = None, Replacement("missing", f"{len(answered)} proposals were answered, {n} were asked for.")
        if params is None:
            params = draw_new(space, taken, rng)
            if params is None:
                break
            assert why is not None
            replaced.append(why)
        taken.add(space.key(params))
        found.append(params)
    return found, replaced


def _read(
    space: SearchSpace, proposal: Any, taken: set[str], rng: np.random.Generator
) -> tuple[dict[str, Value] | None, Replacement | None]:
    """The configuration that a proposal means, or what is wrong with it."""
    if isinstance(proposal, Mapping):
        proposal = {name: _meant(space.sampled(name), value) for name, value in proposal.items()}
    read = read_start(space, [proposal])
    if read.faults:
        fault = read.faults[0]
        return None, Replacement("impossible", f"{fault.problem} {fault.cure}"[:300])
    point = read.points[0]
    if space.fits(point):
        params = None if space.key(point) in taken else space.canonical(point)
    else:
        params = draw_within(space, point, taken, rng)
    if params is None:
        return None, Replacement("known", f"{json.dumps(point)[:200]} was proposed before.")
    return params, None


def _meant(parameter: Parameter | None, value: Any) -> Any:
    """A number as the parameter has it: 3.0 for the int 3, 0.30000000000000004 for the step 0.3."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or abs(value) > 1e300:
        return value
    if isinstance(parameter, Int) and isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(parameter, Float):
        if parameter.step is not None and parameter.low <= value <= parameter.high + parameter.step * ROUNDING:
            near = parameter.value(parameter.index(value))
            return near if abs(near - value) <= parameter.step * ROUNDING else value
        slack = ROUNDING * (abs(value) if parameter.log else parameter.high - parameter.low)
        if parameter.low - slack <= value <= parameter.high + slack:
            return min(max(float(value), parameter.low), parameter.high)
    return value
