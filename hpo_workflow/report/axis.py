"""Axes of charts: where a value lies, which values are marked, and how they are written.

A *place* is a number from 0 (left or bottom) to 1. An axis is linear, logarithmic, or has a strip for each choice.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from hpo_workflow.space import Categorical, Parameter
from hpo_workflow.space.parameters import Float, same_choice
from hpo_workflow.trial import Value

LARGEST = 1e300
"""Values beyond this are drawn as this one: differences of two stay finite."""

LOG_RATIO = {"minimize": 50.0, "maximize": 1e4, "": 1e3}
"""Values above 0 that differ by such a factor get a logarithmic axis; minimised ones sooner, for their good end."""

OUTLIERS = 8.0
"""An axis is cut where values lie this many times the span of the middle 80 % beyond it, ..."""

EXTREME_POWER = 307
"""Powers of ten beyond this are not numbers that a computer holds in full."""

KEPT_SPANS = 4.0
"""... at so many times that span."""

FEW = 8
"""With fewer values nothing is an outlier; up to so many whole numbers have a strip each."""

SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Axis:
    """A linear or logarithmic axis.

    Args:
        title: What it shows.
        low, high: Its ends; on a logarithmic axis their decimal logarithms.
        ticks: Place and text of each mark, ascending.
        log: Whether it is logarithmic.
        cut: Whether values lie beyond its ends; these are drawn at the end.
    """

    title: str
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    log: bool = False
    cut: bool = False

    def _scaled(self, value: float) -> float:
        if not self.log:
            return min(max(value, -LARGEST), LARGEST)
        return math.log10(value) if value > 0 else -math.inf

    def place(self, value: float) -> float:
        """Where a value lies; what is beyond an end lies at it."""
        return min(max((self._scaled(value) - self.low) / (self.high - self.low), 0.0), 1.0)

    def holds(self, value: float) -> bool:
        """Whether a value lies between the ends."""
        slack = 1e-9 * (self.high - self.low)
        return self.low - slack <= self._scaled(value) <= self.high + slack


@dataclass(frozen=True)
class Strips:
    """An axis with a strip for each choice.

    Args:
        title: What it shows.
        choices: In the order of the strips.
    """

    title: str
    choices: tuple[Value, ...]

    def place(self, value: Value, number: int) -> float:
        """Where a value lies; `number` moves it within its strip, so that equal values do not hide each other."""
        strip = [same_choice(choice) for choice in self.choices].index(same_choice(value))
        jitter = (number * 0.6180339887498949) % 1 - 0.5  # the golden ratio: neighbours in number lie far apart
        return (strip + 0.5 + 0.6 * jitter) / len(self.choices)

    @property
    def ticks(self) -> tuple[tuple[float, str], ...]:
        """Place and text of the middle of each strip."""
        return tuple(((i + 0.5) / len(self.choices), choice_text(c)) for i, c in enumerate(self.choices))


def value_axis(title: str, values: Iterable[float], direction: str = "", wanted: float | None = None) -> Axis:
    """An axis for values of a metric.

    It is logarithmic where the values are above 0 and differ by orders of magnitude, and leaves out far outliers:
    only on the bad side where `direction` says which that is. `wanted` (a target) is shown unless that would squeeze
    the values.
    """
    finite = sorted(min(max(value, -LARGEST), LARGEST) for value in values if math.isfinite(value))
    if not finite:
        return _linear(title, 0.0, 1.0)
    log = _spans_magnitudes(finite, direction)
    scaled = [math.log10(value) for value in finite] if log else finite
    low, high = _without_outliers(scaled, direction)
    cut = low > scaled[0] or high < scaled[-1]
    if wanted is not None and math.isfinite(wanted) and (wanted > 0 or not log):
        mark = math.log10(wanted) if log else min(max(wanted, -LARGEST), LARGEST)
        reach = 3 * (high - low)
        if low - reach <= mark <= high + reach or high == low:
            low, high = min(low, mark), max(high, mark)
    return _logarithmic(title, low, high, cut=cut) if log else _linear(title, low, high, cut=cut)


def _spans_magnitudes(ascending: Sequence[float], direction: str) -> bool:
    """Whether values above 0 differ by orders of magnitude, whatever the worst tenth of them does."""
    few = len(ascending) < FEW
    worst = 0 if few or not direction else len(ascending) // 10
    low = ascending[worst if direction == "maximize" else 0]
    high = ascending[-1 if direction == "maximize" else -1 - worst]
    return ascending[0] > 0 and high / low >= LOG_RATIO[direction]


def _without_outliers(ascending: Sequence[float], direction: str) -> tuple[float, float]:
    low, high = ascending[0], ascending[-1]
    n = len(ascending)
    if n < FEW:
        return low, high
    first, last = ascending[n // 10], ascending[n - 1 - n // 10]
    span = last - first
    if span > 0 and direction != "maximize" and (high - last) / OUTLIERS > span:
        high = max(value for value in ascending if value - last <= KEPT_SPANS * span)
    if span > 0 and direction != "minimize" and (first - low) / OUTLIERS > span:
        low = min(value for value in ascending if first - value <= KEPT_SPANS * span)
    return low, high


def number_axis(title: str, low: float, high: float, *, whole: bool = False) -> Axis:
    """A linear axis from `low` to `high`; with `whole` only whole numbers are marked."""
    return _linear(title, low, high, whole=whole)


def parameter_axis(parameter: Parameter) -> Axis | Strips:
    """The axis of a parameter, over all of its range; choices and a few whole numbers are strips."""
    if isinstance(parameter, Categorical):
        return Strips(parameter.name, parameter.by_rank)
    if not isinstance(parameter, Float) and parameter.size <= FEW:
        return Strips(parameter.name, tuple(parameter.value(i) for i in range(parameter.size)))
    if parameter.log and parameter.low > 0:
        return _logarithmic(parameter.name, math.log10(parameter.low), math.log10(parameter.high))
    return _linear(parameter.name, float(parameter.low), float(parameter.high), whole=not isinstance(parameter, Float))


def _linear(title: str, low: float, high: float, *, whole: bool = False, cut: bool = False) -> Axis:
    low, high = (min(max(end, -LARGEST), LARGEST) for end in (low, high))
    alone = whole and low == high
    if high - low <= 1e-9 * max(abs(low), abs(high)):  # one value, or as good as one
        middle = low / 2 + high / 2
        half = max(abs(middle) * 0.05, 1.0 if whole or middle == 0 else 0.0)
        low, high = middle - half, middle + half
    pad = 0.03 * (high - low)
    start, stop = low - pad, high + pad
    marks = [low / 2 + high / 2] if alone else linear_marks(start, stop, whole=whole)
    texts = tick_texts(marks)
    ticks = tuple(((mark - start) / (stop - start), text) for mark, text in zip(marks, texts, strict=True))
    return Axis(title, start, stop, ticks, cut=cut)


def _logarithmic(title: str, low: float, high: float, *, cut: bool = False) -> Axis:
    if high - low < 1e-6:
        low, high = low - 0.1, high + 0.1
    pad = 0.03 * (high - low)
    start, stop = low - pad, high + pad
    marks = log_marks(start, stop)
    ticks = tuple(((math.log10(m) - start) / (stop - start), t) for m, t in zip(marks, tick_texts(marks), strict=True))
    return Axis(title, start, stop, ticks, log=True, cut=cut)


def linear_marks(low: float, high: float, about: int = 6, *, whole: bool = False) -> list[float]:
    """Round numbers between two ends, about `about` of them."""
    rough = (high - low) / about
    size = 10.0 ** math.floor(math.log10(rough)) if rough >= 1e-307 else 1e-307
    step = next(factor * size for factor in (1, 2, 5, 10) if factor * size >= rough * 0.99)
    if whole:
        step = max(1.0, step)
    first, last = math.ceil(low / step), math.floor(high / step)
    return [index * step for index in range(first, last + 1)]


def log_marks(low: float, high: float) -> list[float]:
    """Round numbers between two ends that are given as decimal logarithms."""
    decades = high - low
    if decades < 1:  # as on a linear axis; powers of ten would be too few
        return [mark for mark in linear_marks(10**low, 10**high, 4) if mark > 0]
    if decades > 3:
        stride = next(stride for stride in (1, 2, 3, 5, 10, 20, 50, 100, 200) if decades / stride <= 6.5)
        exponents = range(math.ceil(low / stride) * stride, math.floor(high) + 1, stride)
        return [_power(exponent) for exponent in exponents if abs(exponent) <= EXTREME_POWER]
    digits = (1, 2, 5) if decades < 2 else (1, 3) if decades < 2.6 else (1,)
    marks = [digit * _power(exponent) for exponent in range(math.floor(low), math.ceil(high) + 1) for digit in digits]
    return [mark for mark in marks if low <= math.log10(mark) <= high]


def _power(exponent: int) -> float:
    return float(f"1e{exponent}")  # 10.0 ** -5 is 1.0000000000000001e-05


def tick_texts(marks: Sequence[float]) -> list[str]:
    """The marks of one axis as texts that are short and all of one kind."""
    if not marks:
        return []
    largest = max(map(abs, marks))
    smallest = min((abs(mark) for mark in marks if mark), default=0.0)
    if largest == 0 or (largest < 1e6 and smallest >= 1e-4):
        texts = [f"{mark:.10g}" for mark in marks]
        if all("e" not in text for text in texts):
            steps = [b - a for a, b in pairwise(marks)]
            if steps and max(steps) < 1.0001 * min(steps):  # equal steps: equally many decimals
                decimals = max(len(text.partition(".")[2]) for text in texts)
                texts = [f"{mark:.{decimals}f}" for mark in marks]
            return [text.replace("-", MINUS) for text in texts]
    return [_scientific(mark) for mark in marks]


def _scientific(mark: float) -> str:
    if mark in (0, 1):
        return f"{mark:g}"
    mantissa, _, exponent = f"{mark:.9e}".partition("e")
    mantissa = mantissa.rstrip("0").rstrip(".").replace("-", MINUS)
    power = "10" + str(int(exponent)).translate(SUPERSCRIPTS)
    if mantissa in ("1", f"{MINUS}1"):
        return mantissa[:-1] + power
    return f"{mantissa}·{power}"


def choice_text(value: Value) -> str:
    """A choice as it is written in a study file."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
