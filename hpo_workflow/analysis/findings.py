"""What a study found and how sure one can be of it, in sentences.

Each sentence says something that is true of the trials, and nothing is said where the trials do not show it. What is
tested is tested with a correction for how often it is asked (Bonferroni), since a space of twenty parameters has forty
ends of ranges at which good trials may lie by chance.

Notation: losses (smaller is better) inside, values as the program printed them in sentences.
"""

from __future__ import annotations

import math
import statistics
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from hpo_workflow.analysis.importance import Importances
from hpo_workflow.analysis.importance import importances as importances_of
from hpo_workflow.analysis.summaries import Observed, observed
from hpo_workflow.objective import loss_of, reached
from hpo_workflow.space import Categorical, Parameter
from hpo_workflow.study_state import StudyState
from hpo_workflow.trial import Trial, TrialState, Value

CONFIDENCES = ("certain", "likely", "hint")
"""`certain` was counted, `likely` would come by chance in fewer than 5 % of studies, a `hint` is a rule of thumb."""

KINDS = ("best", "noise", "edge", "budget", "sampler", "importance", "failures", "untried", "comparability")
"""In the order of a page."""

CHANCE = 0.05
"""What comes by chance more often is not called likely."""

Z_CHANCE = 1.645
"""A normal variable is larger in 5 % of cases."""

FEW = 10
"""Of fewer complete trials only the best ones are told."""

ENOUGH = 20
"""Edges, budget and sampler need so many."""

EDGE = 0.1
"""An outer tenth of a range is its edge; where there are fewer than ten values it is the outermost one."""

MOST_AT_EDGE = 0.6
"""So many of the best are at an edge before it is said."""

ALIKE = 0.02
"""Configurations whose parameters differ by less than this part of their ranges are almost equal."""

MOST_ALIKE, FEWEST_PAIRS = 300, 5
"""Among so many of the best such pairs are looked for, and so many make an estimate."""

FEWEST_REPETITIONS = 3
"""Of configurations, beyond their first runs, for a standard deviation."""

TWO_RUNS = 2.33
"""One run of a configuration is better than another by less than so many standard deviations in 95 % of cases: 1.645
times the root of 2."""

BLIND = ("random", "sobol", "grid")
"""Samplers that do not look at results."""

LITTLE, MUCH = 0.01, 0.05
"""Parts of the distance between a median trial and the best one: less is no gain, more is one."""

NOTHING, SOME, SURELY = 0.01, 0.05, 0.1
"""A parameter may explain nothing where the lower end of its importance is below the first; it is named where that is
above the second, and likely matters where it is above the third: the drift of a sampler alone rarely gets there."""

HARDLY, WELL = 0.03, 0.5
"""A parameter hardly matters where the upper end of its importance is below the first while all of them together
explain more than the second."""

MOST_NAMED = 6


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Args:
        kind: One of KINDS.
        text: A sentence or two, with the cure where there is one.
        confidence: One of CONFIDENCES.
        parameter: The parameter that it is about; empty where it is about none.
    """

    kind: str
    text: str
    confidence: str
    parameter: str = ""


def findings(state: StudyState, importances: Importances | None = None, commits: Iterable[str] = ()) -> list[Finding]:
    """What was found, in the order of KINDS.

    Args:
        importances: Which parameters made the difference, where that is known.
        commits: The different git states of the working directory while trials ran, as `describe` shows them.
    """
    trials = _of_the_best_kind(state)
    known = observed(state)
    found = [*_best(state, trials)]
    if len(trials) >= FEW:
        found += _noise(state, trials)
    if len(known) >= ENOUGH:
        found += _edges(state, known, importances)
    if len(trials) >= ENOUGH:
        found += _budget(state, trials)
    found += _sampler(state)
    found += _importance(importances)
    found += _failures(state)
    found += _untried(state)
    found += _comparability(state, list(dict.fromkeys(commits)))
    return found


def edges(state: StudyState) -> list[Finding]:
    """Parameters whose best values lie at an end of their range, as `findings` tells them."""
    known = observed(state)
    if len(known) < ENOUGH or not any(_all_edges(state, known)):
        return []  # nobody waits for importances that nothing rests on
    parameters = state.spec.search_space.parameters
    return _edges(state, known, importances_of(parameters, [(each.params, each.loss) for each in known]))


def _of_the_best_kind(state: StudyState) -> list[Trial]:
    """Complete trials with a finite value, trained as far as the best one; by number."""
    best = state.incumbent
    if best is None:
        return []
    return [
        trial
        for _, trial in sorted(state.finished.items())
        if trial.state is TrialState.COMPLETE
        and trial.value is not None
        and math.isfinite(trial.value)
        and trial.proposal.fidelity == best.proposal.fidelity
    ]


def _loss(state: StudyState, trial: Trial) -> float:
    assert trial.value is not None
    return loss_of(trial.value, state.spec.objective.direction)


# ---- the best ----------------------------------------------------------------------------------------------
def _best(state: StudyState, trials: Sequence[Trial]) -> Iterator[Finding]:
    """The best value, those that follow it, and whether the metric can tell them apart."""
    objective = state.spec.objective
    best = state.incumbent
    if best is None or not trials:
        if state.n_in(TrialState.FAILED):
            yield Finding("best", f"No trial is complete; {_count(state.n_in(TrialState.FAILED))} failed.", "certain")
        return
    key = state.spec.search_space.key
    ranked = sorted(trials, key=lambda trial: (_loss(state, trial), trial.number))
    seen = {key(ranked[0].params)}  # of configurations that are told
    following: list[Trial] = []
    equal = 1
    for trial in ranked[1:]:
        is_equal = trial.value == ranked[0].value
        if len(following) == 2 and not is_equal:
            break
        if key(trial.params) not in seen:
            seen.add(key(trial.params))
            equal += is_equal
            following = [*following, trial][:2]
    first, *rest = _told_apart([trial.value for trial in (ranked[0], *following) if trial.value is not None])
    text = f"The best {objective.metric} is {first}, of trial {ranked[0].number}"
    if rest:
        named = [f"{value} (trial {trial.number})" for value, trial in zip(rest, following, strict=True)]
        text += f"; the next {'one is' if len(rest) == 1 else 'ones are'} {' and '.join(named)}"
    text += "."
    if objective.target is not None and best.value is not None:
        is_there = reached(best.value, objective.target, objective.direction)
        text += f" The target, {objective.target:g}, is {'reached' if is_there else 'not reached'}."
    yield Finding("best", text, "certain")
    if equal > 1:
        yield Finding(
            "best",
            f"{equal} configurations share the best value: {objective.metric} cannot tell them apart. "
            "A finer metric, or another one as well, would.",
            "certain",
        )
    if len(trials) < FEW:
        more = f"Only {_count(len(trials))} {'is' if len(trials) == 1 else 'are'} complete"
        if best.proposal.fidelity is not None:
            more += f" at {state.fidelity_text(best.proposal)}"
        yield Finding("best", f"{more}: too few to say how sure this is.", "certain")


def _told_apart(values: Sequence[float]) -> list[str]:
    """Values as short as they can be, but so that different ones look different."""
    texts = [str(value) for value in values]
    for digits in range(4, 17):
        texts = [f"{value:.{digits}g}" for value in values]
        if len(set(texts)) == len(set(values)):
            break
    return texts


# ---- noise -------------------------------------------------------------------------------------------------
def _noise(state: StudyState, trials: Sequence[Trial]) -> Iterator[Finding]:
    """How much a value changes from run to run, and what that means for the order of the best."""
    losses = [_loss(state, trial) for trial in trials]
    best = min(losses)
    metric = state.spec.objective.metric
    repeated = _repetitions(state, trials)
    n_free = sum(len(group) - 1 for group in repeated)
    if n_free >= FEWEST_REPETITIONS:
        said = f"{_count(len(repeated), 'configuration')} ran repeatedly ({sum(map(len, repeated))} trials in all)"
        if all(len(set(group)) == 1 for group in repeated):
            text = f"{said} and gave exactly the same value each time: "
            text += "the program draws nothing at random, or its seed is fixed."
            yield Finding("noise", text, "certain")
            return
        spread = math.sqrt(sum((x - statistics.fmean(group)) ** 2 for group in repeated for x in group) / n_free)
        near = _n_near(state, trials, best, TWO_RUNS * spread)
        text = f"{said}: {metric} varies from run to run with a standard deviation of {spread:.2g}. "
        if near:
            text += "1 other configuration is" if near == 1 else f"{near} other configurations are"
            text += " so close to the best that chance may have decided, and the best value is likely too good."
        else:
            text += "The best is ahead of all others by more than that."
        yield Finding("noise", text, "likely")
        return
    pairs = _almost_equal(state, trials)
    typical = statistics.median(pairs) if len(pairs) >= FEWEST_PAIRS else 0.0
    if typical > 0:
        near = _n_near(state, trials, best, typical)
        text = f"Almost equal configurations ({len(pairs)} pairs) differ in {metric} by {typical:.2g} as a rule, "
        text += "by chance or because the objective is that steep."
        if near:
            text += f" {_count(near, 'other one')} {'lies' if near == 1 else 'lie'} within that of the best."
        yield Finding("noise", text, "hint")
    text = f"No configuration ran often enough to say how much {metric} changes from run to run. "
    text += "Run the best ones again with other seeds before you rely on their order."
    yield Finding("noise", text, "hint")


def _repetitions(state: StudyState, trials: Sequence[Trial]) -> list[list[float]]:
    """Losses of each configuration that ran more than once from the start; what came from a cache did not run."""
    groups: dict[str, list[float]] = {}
    for trial in trials:
        if not trial.cached and trial.proposal.is_root:
            groups.setdefault(state.spec.search_space.key(trial.params), []).append(_loss(state, trial))
    return [group for group in groups.values() if len(group) > 1]


def _n_near(state: StudyState, trials: Sequence[Trial], best: float, distance: float) -> int:
    """How many other configurations have a loss within `distance` of the best."""
    key = state.spec.search_space.key
    near = {key(trial.params) for trial in trials if _loss(state, trial) <= best + distance}
    return max(0, len(near) - 1)


def _almost_equal(state: StudyState, trials: Sequence[Trial]) -> list[float]:
    """How much the losses of almost equal configurations differ, in pairs of which each trial is in one at most.

    They are looked for among the better half: what diverged says nothing of the noise where it matters.
    """
    key = state.spec.search_space.key
    ranked = sorted(trials, key=lambda trial: (_loss(state, trial), trial.number))
    ranked = ranked[: min(MOST_ALIKE, (len(ranked) + 1) // 2)]
    parameters = state.spec.search_space.parameters
    places = [[_place(parameter, trial.params.get(parameter.name)) for parameter in parameters] for trial in ranked]
    near = []
    for i, one in enumerate(places):
        for j in range(i):
            distance = _distance(one, places[j])
            if distance < ALIKE and key(ranked[i].params) != key(ranked[j].params):
                near.append((distance, j, i))
    taken: set[int] = set()
    differences = []
    for _, j, i in sorted(near):
        if i not in taken and j not in taken:
            taken |= {i, j}
            differences.append(abs(_loss(state, ranked[i]) - _loss(state, ranked[j])))
    return differences


def _place(parameter: Parameter, value: Value | None) -> float | None:
    """Where a value lies in its range, from 0 to 1, log scale taken into account; choices lie far apart."""
    if value is None:
        return None
    if isinstance(parameter, Categorical):
        return float(parameter.index(value)) if parameter.contains(value) else -1.0
    low, high, at = float(parameter.low), float(parameter.high), float(value)
    if high <= low:
        return 0.0
    if parameter.log:
        return math.log(at / low) / math.log(high / low)
    return (at - low) / (high - low)


def _distance(one: Sequence[float | None], other: Sequence[float | None]) -> float:
    """The largest difference of a place; what is active in one of them only makes them different."""
    largest = 0.0
    for a, b in zip(one, other, strict=True):
        if a is None or b is None:
            if a is not b:
                return math.inf
            continue
        largest = max(largest, abs(a - b))
        if largest >= ALIKE:
            return math.inf
    return largest


# ---- edges -------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class _End:
    """One end of a parameter's range.

    Args:
        name: `lower` or `upper`.
        value: The end itself.
        chance: The part of the range that counts as its edge.
        holds: Whether a value is there.
    """

    name: str
    value: Value
    chance: float
    holds: Callable[[Value], bool]


def _ends(parameter: Parameter) -> list[_End]:
    """Both ends of an ordered range of three values or more; choices have an order where all of them are numbers."""
    if isinstance(parameter, Categorical):
        numbers = [choice for choice in parameter.choices if not isinstance(choice, (bool, str))]
        if len(numbers) == len(parameter.choices):
            values: Sequence[Value] = sorted(numbers)
        elif parameter.ordered:
            values = parameter.by_rank
        else:
            return []
        return _outermost(values[0], values[-1], len(values))
    if parameter.size is not None and parameter.size * EDGE <= 1:
        return _outermost(parameter.low, parameter.high, parameter.size)

    def at(value: Value) -> float:
        place = _place(parameter, value)
        return 0.5 if place is None else place

    return [
        _End("lower", parameter.low, EDGE, lambda value: at(value) <= EDGE),
        _End("upper", parameter.high, EDGE, lambda value: at(value) >= 1 - EDGE),
    ]


def _outermost(low: Value, high: Value, size: int) -> list[_End]:
    if size < 3:
        return []
    return [
        _End("lower", low, 1 / size, lambda value: value == low),
        _End("upper", high, 1 / size, lambda value: value == high),
    ]


def _edges(state: StudyState, known: Sequence[Observed], importances: Importances | None) -> list[Finding]:
    """Parameters whose best values lie at an end of their range.

    Not the single best trial decides but the best twentieth, 5 to 20 of them: most lie there, the best one too, and if
    values were drawn evenly it would come by chance in few studies. Samplers do not draw evenly; they let parameters
    that do not matter drift, often to an end. So, where importances are known, one that may explain nothing is left
    out, and of those that do not surely matter only the most important one is told. Where the trials in the edge get
    worse towards the end, the best value lies within the range, if only just.
    """
    shares = {each.name: each for each in importances.parameters} if importances is not None else {}
    surely, perhaps = [], []
    for found in _all_edges(state, known):
        importance = shares.get(found.parameter)
        if importance is not None and importance.low > SURELY:
            surely.append(replace(found, confidence="likely"))
        elif importance is None or importance.low >= NOTHING:
            perhaps.append(found)
    if shares and perhaps:
        perhaps = [max(perhaps, key=lambda found: shares[found.parameter].share if found.parameter in shares else 0.0)]
    return surely + perhaps


def _all_edges(state: StudyState, known: Sequence[Observed]) -> Iterator[Finding]:
    """Parameters of which most of the best trials lie at an end of their range, whatever they explain; hints."""
    ranked = sorted(known, key=lambda each: (each.loss, each.number))
    top = ranked[: min(max(5, len(ranked) // 20), 20)]
    parameters = state.spec.search_space.parameters
    n_asked = 2 * max(1, len(parameters))
    for parameter in parameters:
        name = parameter.name
        values = [each.params[name] for each in top if name in each.params and parameter.contains(each.params[name])]
        if len(values) < 5 or name not in ranked[0].params:
            continue
        for end in _ends(parameter):
            there = sum(map(end.holds, values))
            rare = _binomial_tail(there, len(values), end.chance) * n_asked < CHANCE
            if not (rare and there >= MOST_AT_EDGE * len(values) and end.holds(ranked[0].params[name])):
                continue
            if _gets_worse(parameter, end, known):
                continue
            text = (
                f"The best values of {name} lie at the {end.name} end of its range ({_range_text(parameter)}): "
                f"{there} of the {len(values)} best trials are there. {_cure(parameter, end)}"
            )
            yield Finding("edge", text, "hint", name)


def _gets_worse(parameter: Parameter, end: _End, known: Sequence[Observed]) -> bool:
    """Whether of the trials in the edge the half nearer to the end is clearly worse than the other half."""
    inside = []
    for each in known:
        value = each.params.get(parameter.name)
        if value is not None and parameter.contains(value) and end.holds(value):
            inside.append((_place(parameter, value) or 0.0, each.loss))
    inside.sort(reverse=end.name == "upper")
    half = len(inside) // 2
    nearer, farther = inside[:half], inside[len(inside) - half :]
    if half < FEWEST_PAIRS or nearer[-1][0] == farther[0][0]:
        return False  # few, or the same value
    return _rank_sum([loss for _, loss in farther], [loss for _, loss in nearer])[1] > Z_CHANCE


def _range_text(parameter: Parameter) -> str:
    if isinstance(parameter, Categorical):
        shown = [_shown(choice) for choice in parameter.choices[:MOST_NAMED]]
        return ", ".join(shown) + (", ..." if len(parameter.choices) > MOST_NAMED else "")
    return f"{_shown(parameter.low)} to {_shown(parameter.high)}{', log' if parameter.log else ''}"


def _cure(parameter: Parameter, end: _End) -> str:
    if isinstance(parameter, Categorical):
        return f"Add choices beyond {_shown(end.value)}, if there are any."
    if end.name == "lower" and end.value == 0:
        return "Widen it downwards; if nothing below 0 makes sense, fix it at 0 or ask whether it is needed."
    direction = "downwards" if end.name == "lower" else "upwards"
    return f"Widen it {direction}, if values beyond {_shown(end.value)} make sense."


def _binomial_tail(n_hits: int, n: int, chance: float) -> float:
    """The probability of so many hits or more."""
    return math.fsum(math.comb(n, k) * chance**k * (1 - chance) ** (n - k) for k in range(n_hits, n + 1))


# ---- budget ------------------------------------------------------------------------------------------------
def _budget(state: StudyState, trials: Sequence[Trial]) -> Iterator[Finding]:
    """Whether more trials promise more."""
    losses = [_loss(state, trial) for trial in trials]
    best, distance = min(losses), statistics.median(losses) - min(losses)
    if distance <= 0:
        return
    n, at = len(losses), losses.index(best)
    direction = state.spec.objective.direction
    name = str(state.spec.sampler["name"])
    if name == "grid":
        return  # it ends where it ends
    if state.spec.fidelity is None and name in BLIND:
        half = expected_best(losses, n // 2)
        before, now = _told_apart([loss_of(half, direction), loss_of(best, direction)])
        text = f"Half of these trials, taken at random, would have found {before} on average instead of {now}"
        if half - best < LITTLE * distance:
            yield Finding("budget", f"{text}: twice as many promise little more.", "hint")
        elif half - best > MUCH * distance:
            text += ": more trials, or a sampler that learns from them, will probably find more."
            yield Finding("budget", text, "hint")
        return
    quarter, half = min(losses[: n * 3 // 4]), min(losses[: n // 2])
    if quarter - best > MUCH * distance:
        before, now = _told_apart([loss_of(quarter, direction), loss_of(best, direction)])
        text = f"The last quarter of the {n} complete trials still brought the best from {before} to {now}: "
        yield Finding("budget", text + "more trials will probably bring it further.", "hint")
    elif half - best < LITTLE * distance:
        text = f"The second half of the {n} complete trials brought less than 1 % of what lies between median and best"
        if half == best:
            text = f"None of the last {n - 1 - at} complete trials was better than trial {trials[at].number}"
        yield Finding("budget", f"{text}: more of the same promises little.", "hint")


def expected_best(losses: Sequence[float], m: int) -> float:
    """The lowest of `m` of the losses, drawn without replacement, on average: what fewer random trials would find.

    The i-th lowest of n (from 1) is the lowest of the sample in C(n - i, m - 1) of C(n, m) cases.
    """
    ordered, n = sorted(losses), len(losses)
    mean, chance = 0.0, m / n
    for i, loss in enumerate(ordered[: n - m + 1], start=1):
        mean += chance * loss
        chance *= (n - i - m + 1) / (n - i) if n > i else 0.0
    return mean


# ---- the sampler -------------------------------------------------------------------------------------------
def _sampler(state: StudyState) -> Iterator[Finding]:
    """Whether trials that a sampler chose are better than those with which it began, when it knew nothing."""
    name = str(state.spec.sampler["name"])
    if name in BLIND or state.spec.fidelity is not None or state.earlier or state.spec.history:
        return
    own = [each for each in observed(state) if state.emissions[each.number].origin == name]
    startup = state.spec.sampler.get("startup")
    n_first = startup if isinstance(startup, int) and startup > 0 else 10
    first, chosen = [each.loss for each in own[:n_first]], [each.loss for each in own[n_first:]]
    if len(first) < 8 or len(chosen) < 8:
        return
    better, z = _rank_sum(chosen, first)
    if z > Z_CHANCE:
        text = f"A trial that {name} chose is better than one of its first {len(first)} in {better:.0%} of pairs; "
        text += f"the best of those first ones was {loss_of(min(first), state.spec.objective.direction):.4g}."
        yield Finding("sampler", text, "likely")
    elif better <= 0.5 and len(chosen) >= 2 * len(first):
        text = f"The trials that {name} chose are no better than its first {len(first)} (in {better:.0%} of pairs): "
        text += "there may be much noise, or too many parameters for so few trials."
        yield Finding("sampler", text, "hint")


def _rank_sum(a: Sequence[float], b: Sequence[float]) -> tuple[float, float]:
    """In which share of pairs a loss of `a` is lower than one of `b`, and how far that is from chance.

    Ties count half. The distance from chance is in standard deviations, corrected for ties (Mann and Whitney 1947).
    """
    ordered = sorted([*((loss, 0) for loss in a), *((loss, 1) for loss in b)])
    n, rank_sum, tied, at = len(ordered), 0.0, 0.0, 0
    while at < n:
        until = at
        while until < n and ordered[until][0] == ordered[at][0]:
            until += 1
        rank_sum += (at + until + 1) / 2 * sum(which == 0 for _, which in ordered[at:until])
        tied += (until - at) ** 3 - (until - at)
        at = until
    n_pairs = len(a) * len(b)
    lower = n_pairs - (rank_sum - len(a) * (len(a) + 1) / 2)
    variance = n_pairs / 12 * (n + 1 - tied / (n * (n - 1)))
    return lower / n_pairs, (lower - n_pairs / 2) / math.sqrt(variance) if variance > 0 else 0.0


# ---- importance --------------------------------------------------------------------------------------------
def _importance(importances: Importances | None) -> Iterator[Finding]:
    """Which parameters made the difference, and which none."""
    if importances is None or importances.explained is None:
        return
    for each in [each for each in importances.parameters if each.low > SOME][:3]:
        interval = f"{each.low:.0%} to {each.high:.0%}"
        text = f"{each.name} explains {each.share:.0%} of the differences between trials ({interval})."
        yield Finding("importance", text, "likely" if each.low > SURELY else "hint", each.name)
    explained = importances.explained
    hardly = [each for each in importances.parameters if each.high < HARDLY]
    if hardly and explained > WELL and importances.n_trials >= 2 * ENOUGH:
        names = ", ".join(each.name for each in hardly[:MOST_NAMED])
        more = f" and {len(hardly) - MOST_NAMED} more" if len(hardly) > MOST_NAMED else ""
        text = f"These made hardly any difference by themselves, each less than {HARDLY:.0%}: {names}{more}."
        yield Finding("importance", text, "likely", hardly[0].name if len(hardly) == 1 else "")
    elif explained < 0.3 and importances.n_trials >= 2 * ENOUGH:
        text = f"One by one the parameters explain only {explained:.0%} of the differences between trials; "
        text += "the rest is noise, or what they do together."
        yield Finding("importance", text, "hint")


# ---- failures ----------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class _Region:
    """A part of the space: in words, and how many trials and failures lie in it."""

    text: str
    parameter: str
    n: int
    n_failed: int
    rarity: float


def _failures(state: StudyState) -> Iterator[Finding]:
    """Whether failures concentrate in a region that one parameter tells."""
    ended = [t for t in state.finished.values() if t.state is not TrialState.CANCELLED and t.proposal.is_root]
    failed = [trial for trial in ended if trial.state is TrialState.FAILED]
    if len(failed) < 5 or len(ended) - len(failed) < 5:
        return
    reason, count = Counter(trial.reason or "unknown" for trial in failed).most_common(1)[0]
    mostly = f" ({reason})" if count == len(failed) else f" (mostly {reason})" if count > len(failed) / 2 else ""
    regions = [region for parameter in state.spec.search_space.parameters for region in _regions(parameter, ended)]
    telling = [
        region
        for region in regions
        if region.rarity * len(regions) < CHANCE / 5
        and 2 * region.n_failed >= len(failed)
        and _rate(region.n_failed, region.n) >= 2 * _rate(len(failed) - region.n_failed, len(ended) - region.n)
    ]
    if telling:
        region = min(telling, key=lambda each: each.rarity)
        elsewhere = _rate(len(failed) - region.n_failed, len(ended) - region.n)
        text = (
            f"{region.n_failed} of {len(failed)} failed trials{mostly} have {region.text}; {region.n_failed} of the "
            f"{region.n} trials there failed, elsewhere {elsewhere:.0%}. Leave that region out, or look at its logs."
        )
        yield Finding("failures", text, "likely", region.parameter)
    elif len(failed) >= FEW:
        yield Finding(
            "failures", f"No single parameter tells the {len(failed)} failed trials{mostly} from the others.", "hint"
        )


def _rate(n_failed: int, n: int) -> float:
    return n_failed / n if n else 0.0


def _regions(parameter: Parameter, ended: Sequence[Trial]) -> Iterator[_Region]:
    """Each choice of a parameter, or all values from a threshold on and up to one; with how rare its failures are."""
    name = parameter.name
    active = [trial for trial in ended if name in trial.params and parameter.contains(trial.params[name])]
    n, n_failed = len(active), sum(trial.state is TrialState.FAILED for trial in active)
    parts: list[tuple[str, int, int]] = []  # in words, trials and failures in it
    if isinstance(parameter, Categorical):
        inside = Counter(parameter.index(trial.params[name]) for trial in active)
        failed = Counter(parameter.index(trial.params[name]) for trial in active if trial.state is TrialState.FAILED)
        for index, choice in enumerate(parameter.choices):
            parts.append((f"{name} = {_shown(choice)}", inside[index], failed[index]))
    elif active:
        ordered = sorted((float(trial.params[name]), trial.state is TrialState.FAILED) for trial in active)
        values = [value for value, _ in ordered]
        so_far = [0, *accumulate(is_failed for _, is_failed in ordered)]  # failures among the lowest so many
        for threshold in sorted({values[n * i // 10] for i in range(1, 10)}):
            first, after = bisect_left(values, threshold), bisect_right(values, threshold)
            parts.append((f"{name} of {_shown(threshold)} or more", n - first, n_failed - so_far[first]))
            parts.append((f"{name} of {_shown(threshold)} or less", after, so_far[after]))
    for text, size, hits in parts:
        if 0 < size < n:
            yield _Region(text, name, size, hits, _hypergeometric_tail(hits, size, n_failed, n))


def _hypergeometric_tail(hits: int, drawn: int, marked: int, n: int) -> float:
    """The probability of so many marked ones or more among `drawn` of `n`, of which `marked` are marked (Fisher)."""

    def log_comb(a: int, b: int) -> float:
        return math.lgamma(a + 1) - math.lgamma(b + 1) - math.lgamma(a - b + 1)

    every = log_comb(n, drawn)
    possible = range(max(hits, drawn - (n - marked)), min(drawn, marked) + 1)
    return math.fsum(math.exp(log_comb(marked, k) + log_comb(n - marked, drawn - k) - every) for k in possible)


# ---- what was never tried, and what cannot be compared -----------------------------------------------------
def _untried(state: StudyState) -> Iterator[Finding]:
    """Choices that no trial had, where there were trials enough for all."""
    proposals = [emission.proposal for emission in state.emissions.values()]
    for parameter in state.spec.search_space.parameters:
        used = [proposal.params[parameter.name] for proposal in proposals if parameter.name in proposal.params]
        if not used and len(proposals) >= FEW:
            text = f"{parameter.name} was never active: no trial fulfilled its condition."
            yield Finding("untried", text, "certain", parameter.name)
        if not isinstance(parameter, Categorical) or len(used) < len(parameter.choices):
            continue
        tried = {parameter.index(value) for value in used if parameter.contains(value)}
        missing = [_shown(choice) for i, choice in enumerate(parameter.choices) if i not in tried]
        if missing:
            more = f" and {len(missing) - MOST_NAMED} more" if len(missing) > MOST_NAMED else ""
            text = f"Never tried of {parameter.name}: {', '.join(missing[:MOST_NAMED])}{more}."
            yield Finding("untried", text, "certain", parameter.name)


def _comparability(state: StudyState, commits: Sequence[str]) -> Iterator[Finding]:
    """What stands in the way of comparing trials with each other."""
    best = state.incumbent
    fidelity = state.spec.fidelity
    if fidelity is not None and best is not None and best.proposal.fidelity is not None:
        last = fidelity.ladder.levels[-1]
        if best.proposal.fidelity < last:
            text = (
                f"The best trial was trained to {best.proposal.fidelity:g} of {last:g} {fidelity.name}: "
                "what it would come to in the end is not known."
            )
            yield Finding("comparability", text, "certain")
    if len(commits) > 1:
        shown = ", ".join(commits[:3]) + (", ..." if len(commits) > 3 else "")
        text = (
            f"The folder was at {len(commits)} states of its git repository while the study ran ({shown}): trials may "
        )
        text += "have run different programs where a file is neither in the command nor in inputs:."
        yield Finding("comparability", text, "certain")


def _shown(value: Value) -> str:
    """A parameter's value, short."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _count(count: int, noun: str = "trial") -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
