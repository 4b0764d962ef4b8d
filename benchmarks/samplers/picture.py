"""The course of regrets as an SVG: values in, text out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 58, 150, 34, 46
COLOURS = ("#d55e00", "#0072b2", "#009e73", "#000000", "#cc79a7", "#56b4e9", "#8a6d00", "#7f4fc9", "#a05a2c", "#5f6b73")
"""Those of Okabe and Ito, who chose them for all eyes, and four more."""
RANDOM_COLOUR = "#999999"
TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
LINE_HEIGHT = 15.0

DOTTED = ' stroke-dasharray="1 5"'
"""Leads from the end of a course that is shorter than others to its name, so that nobody takes it for a part."""


def draw(title: str, courses: Mapping[str, Sequence[float]], first: int) -> str:
    """A chart with a logarithmic axis of regrets.

    Args:
        title: Above it.
        courses: For each name the regrets after 1, 2, ... trials; those of ours come first and are drawn thicker.
        first: The number of trials where the drawing begins.
    """
    shown = {name: list(course)[first - 1 :] for name, course in courses.items()}
    last = max((len(course) for course in courses.values()), default=first + 1)
    values = [value for course in shown.values() for value in course if value > 0]
    low, high = math.log10(max(min(values, default=0.1) * 0.9, TICKS[0])), math.log10(max(values, default=1.0) * 1.05)

    def x(trials: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (trials - first) / (last - first)

    def y(value: float) -> float:
        place = (math.log10(max(value, 10**low)) - low) / (high - low)
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * place

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        'font-family="sans-serif" font-size="12" fill="#222">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="6" fill="#fff"/>',
        f'<text x="{LEFT}" y="20" font-size="14">{escape(title)}</text>',
    ]
    for tick in TICKS:
        if low <= math.log10(tick) <= high:
            parts.append(f'<path d="M{LEFT} {y(tick):.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
            parts.append(f'<text x="{LEFT - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for tick in range(math.ceil(first / 10) * 10, last + 1, 10):
        parts.append(f'<text x="{x(tick):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{tick}</text>')
    middle = LEFT + (WIDTH - LEFT - RIGHT) / 2
    parts.append(f'<text x="{middle:.0f}" y="{HEIGHT - 8}" text-anchor="middle">trials that have ended</text>')
    half = TOP + (HEIGHT - TOP - BOTTOM) / 2
    parts.append(f'<text transform="translate(14 {half:.0f}) rotate(-90)" text-anchor="middle">mean regret</text>')
    ends = _apart({name: y(course[-1]) for name, course in shown.items() if course})
    for index, (name, course) in enumerate(shown.items()):
        if not course:
            continue
        colour = RANDOM_COLOUR if name == "random" else COLOURS[index % len(COLOURS)]
        points = "L".join(f"{x(first + step):.1f} {y(value):.1f}" for step, value in enumerate(course))
        ours = name.startswith("**")
        width = 2.6 if ours else 1.4
        end = x(first + len(course) - 1)
        short = first + len(course) - 1 < last
        label = escape(name.strip("*")) + (f" (to {first + len(course) - 1})" if short else "")
        weight = ' font-weight="bold"' if ours else ""
        parts.append(f'<path d="M{points}" fill="none" stroke="{colour}" stroke-width="{width}"/>')
        parts.append(
            f'<path d="M{end:.1f} {y(course[-1]):.1f}L{WIDTH - RIGHT + 12} {ends[name]:.1f}" '
            f'stroke="{colour}" stroke-width="0.6"{DOTTED if short else ""}/>'
        )
        parts.append(f'<text x="{WIDTH - RIGHT + 16}" y="{ends[name] + 4:.1f}" fill="{colour}"{weight}>{label}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _apart(heights: Mapping[str, float]) -> dict[str, float]:
    """Heights of texts, moved up and down until none covers another."""
    order = sorted(heights, key=heights.__getitem__)
    placed: dict[str, float] = {}
    at = -math.inf
    for name in order:
        at = max(heights[name], at + LINE_HEIGHT)
        placed[name] = at
    at = HEIGHT - BOTTOM + LINE_HEIGHT
    for name in reversed(order):
        at = min(placed[name], at - LINE_HEIGHT)
        placed[name] = at
    return placed
