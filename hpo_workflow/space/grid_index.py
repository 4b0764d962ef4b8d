"""The configurations of a grid by number, without listing them: a grid of 10**12 is as cheap as one of 10.

The parameters are decided one after the other, parents before children. What has been decided matters to the rest only
through the *state*: which of the parameters that follow are known to be inactive. So for each parameter and state the
number of ways to go on is counted once, from the last parameter to the first, and a number is read like one whose
digits are the parameters' values. Standard library only.
"""

from __future__ import annotations

from hpo_workflow.space.search_space import SearchSpace, Span, children_close, children_of, grid_spans
from hpo_workflow.trial import Value

State = frozenset[str]


class GridIndex:
    """The grid of a space as a sequence from 0 to `size - 1`, each configuration once.

    Its order is an arbitrary one, which depends on nothing but the space.

    Args:
        space: A space whose `grid_size()` is not None.
    """

    def __init__(self, space: SearchSpace) -> None:
        assert space.grid_size() is not None, "a float has no points"
        self._names = [parameter.name for parameter in space.parameters]
        self._parameters = children_close(space.parameters)
        children = children_of(space.parameters)
        self._children = [frozenset(child for child, _ in children[p.name]) for p in self._parameters]
        self._spans: list[list[Span]] = [grid_spans(p, children[p.name]) for p in self._parameters]
        self._ways = self._count()

    def _count(self) -> list[dict[State, int]]:
        """For each parameter (and the end) and each state before it, how many ways there are to go on."""
        states: list[dict[State, int]] = [{frozenset(): 0}]
        for i in range(len(self._parameters)):
            states.append({after: 0 for state in states[i] for _, after in self._steps(i, state)})
        states[-1] = dict.fromkeys(states[-1], 1)
        for i in reversed(range(len(self._parameters))):
            for state in states[i]:
                states[i][state] = sum(n * states[i + 1][after] for n, after in self._steps(i, state))
        return states

    def _steps(self, i: int, state: State) -> list[tuple[int, State]]:
        """(number of values, state that follows) for each span of parameter `i`; one of 1 where it is inactive."""
        name = self._parameters[i].name
        if name in state:
            return [(1, (state - {name}) | self._children[i])]
        return [(span.stop - span.start, state | span.fails) for span in self._spans[i]]

    @property
    def size(self) -> int:
        """How many configurations there are; `len` would not bear more than 2**63."""
        return self._ways[0][frozenset()]

    def __getitem__(self, number: int) -> dict[str, Value]:
        """Configuration `number`, from 0."""
        chosen: dict[str, Value] = {}
        state: State = frozenset()
        for i, parameter in enumerate(self._parameters):
            place, number, each, after = self._find(i, state, number)
            if parameter.name not in state:
                assert parameter.grid is not None
                which, number = divmod(number, each)
                chosen[parameter.name] = parameter.grid[self._spans[i][place].start + which]
            state = after
        return {name: chosen[name] for name in self._names if name in chosen}

    def _find(self, i: int, state: State, number: int) -> tuple[int, int, int, State]:
        """The span that `number` falls into: its place, what is left of the number, ways on for each value, state."""
        for place, (n, after) in enumerate(self._steps(i, state)):
            each = self._ways[i + 1][after]
            if number < n * each:
                return place, number, each, after
            number -= n * each
        raise IndexError("the grid is smaller")
