"""Charts: what is in the SVG."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
from itertools import pairwise

from hpo_workflow.report.axis import Strips, number_axis, value_axis
from hpo_workflow.report.chart import MANY, Dot, Line, curves, progress, scatter, shade
from tests.report.pages import HOSTILE

UNIT = number_axis("x", 0.0, 1.0)


def paths(svg: str, kind: str) -> list[dict[str, str]]:
    """The attributes of the paths that have a class."""
    return [path.attrib for path in ET.fromstring(svg).iter("path") if kind in path.attrib["class"].split()]


def texts(svg: str) -> list[str]:
    return [text.text or "" for text in ET.fromstring(svg).iter("text")]


def places(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"[ML]([-\d.]+) ([-\d.]+)", path)]


def test_each_dot_is_listed_with_its_trial_and_larger_values_are_higher() -> None:
    y = value_axis("loss", [0.0, 1.0])
    svg = scatter(UNIT, y, [Dot(3, 0.0, 0.0), Dot(5, 1.0, 1.0)], None)
    (dots,) = paths(svg, "dots")
    assert dots["data-n"] == "3 5"
    (left, low), (right, high) = places(dots["d"])
    assert left < right and high < low  # y of SVG grows downwards


def test_both_axes_have_titles_and_texts_at_their_marks() -> None:
    svg = scatter(number_axis("momentum", 0, 1), value_axis("loss", [1e-4, 1.0], "minimize"), [Dot(0, 0.5, 0.1)], None)
    assert {"momentum", "loss (log)", "0.2", "0.4", "0.01"} <= set(texts(svg))


def test_dots_have_the_colour_of_their_order() -> None:
    y = value_axis("loss", [0.0, 1.0])
    svg = scatter(UNIT, y, [Dot(n, 0.5, 0.5, n / 11) for n in range(12)], None)
    assert [path["class"] for path in paths(svg, "dots")] == [f"dots o{i}" for i in range(6)]
    assert [shade(order) for order in (0.0, 0.17, 0.99, 1.0)] == [0, 1, 5, 5]


def test_the_best_trial_has_a_ring_where_its_dot_is() -> None:
    y = value_axis("loss", [0.0, 1.0])
    for x, at in ((UNIT, 0.25), (Strips("c", ("a", "b")), "b")):
        svg = scatter(x, y, [Dot(7, at, 0.5)], 7)
        ring = next(ET.fromstring(svg).iter("circle")).attrib
        assert places(paths(svg, "dots")[0]["d"]) == [(float(ring["cx"]), float(ring["cy"]))]


def test_pruned_trials_are_fainter_dots_of_the_same_colour() -> None:
    y = value_axis("loss", [0.0, 1.0], "minimize")
    svg = scatter(UNIT, y, [Dot(0, 0.5, 0.5), Dot(1, 0.2, 0.7, pruned=True)], None)
    assert [path["class"] for path in paths(svg, "dots")] == ["dots o0", "dots o0 pruned"]


def test_failed_trials_are_crosses_below_the_plot() -> None:
    y = value_axis("loss", [0.0, 1.0])
    svg = scatter(UNIT, y, [Dot(0, 0.5, 0.0), Dot(1, 0.5, None)], None)
    (crosses,) = paths(svg, "crosses")
    assert crosses["data-n"] == "1"
    assert places(crosses["d"])[0][1] > places(paths(svg, "dots")[0]["d"])[0][1]
    assert "failed" in texts(svg)
    assert "failed" not in texts(scatter(UNIT, y, [Dot(0, 0.5, 0.0)], None))


def test_a_value_beyond_the_axis_is_marked_as_such() -> None:
    values = [1 + i / 10 for i in range(20)] + [900.0]
    svg = scatter(UNIT, value_axis("loss", values, "minimize"), [Dot(i, 0.5, v) for i, v in enumerate(values)], None)
    assert [path["data-n"] for path in paths(svg, "beyond")] == ["20"]


def test_the_best_so_far_goes_down_in_steps_to_the_last_trial() -> None:
    y = value_axis("loss", [0.2, 0.8])
    svg = progress(number_axis("trial", 0, 9), y, [Dot(n, n, 0.8) for n in range(10)], [(0, 0.8), (4, 0.2)], None)
    (line,) = paths(svg, "best")
    assert re.fullmatch(r"M[\d.]+ [\d.]+H[\d.]+V[\d.]+H[\d.]+", line["d"])
    assert not paths(svg, "target")


def test_the_target_is_a_line_where_it_is_on_the_axis() -> None:
    y = value_axis("loss", [0.2, 0.8], "minimize", 0.1)
    x = number_axis("trial", 0, 1)
    assert "target" in texts(progress(x, y, [Dot(0, 0, 0.8)], [(0, 0.8)], 0.1))
    assert not paths(progress(x, y, [Dot(0, 0, 0.8)], [(0, 0.8)], -99.0), "target")


def test_a_curve_is_interrupted_where_a_value_is_not_finite() -> None:
    points = [(1.0, 0.1), (2.0, 0.2), (3.0, math.nan), (4.0, 0.4), (5.0, math.inf), (6.0, 0.1), (7.0, 0.2)]
    (line,) = paths(curves(number_axis("epoch", 1, 7), value_axis("loss", [0.1, 0.4]), [Line(2, points)]), "line")
    assert re.findall("[MLh]", line["d"]) == ["M", "L", "M", "h", "M", "L"]
    assert line["data-n"] == "2"


def test_the_best_curve_is_drawn_last_and_failed_ones_are_told_apart() -> None:
    points = [(1.0, 0.1), (2.0, 0.2)]
    lines = [Line(0, points, kind="best"), Line(1, points, kind="failed"), Line(2, points, 1.0)]
    lines.append(Line(3, points, 0.0, "pruned"))
    svg = curves(number_axis("epoch", 1, 2), value_axis("loss", [0.1, 0.2]), lines)
    assert [path["class"] for path in paths(svg, "line")] == ["line failed", "line o5", "line pruned o0", "line best"]


def test_a_curve_without_a_finite_point_is_left_out() -> None:
    assert not paths(curves(UNIT, value_axis("loss", []), [Line(0, [(1.0, math.nan)])]), "line")


def test_texts_of_strips_do_not_touch() -> None:
    for choices in (("a", "b"), tuple(f"choice-{i}" for i in range(40)), ("long " * 20 + "a", "long " * 20 + "b")):
        svg = ET.fromstring(scatter(Strips("c", choices), value_axis("loss", [1.0]), [Dot(0, choices[0], 1.0)], None))
        below = [text for text in svg.iter("text") if text.attrib.get("y") == "217"]
        assert below
        ends = [(float(t.attrib["x"]), len(t.text or "") * 7 / 2) for t in below]
        assert all(x + half <= other - wide for (x, half), (other, wide) in pairwise(ends))
        assert len({text.text for text in below}) == len(below)


def test_many_dots_take_little_space() -> None:
    dots = [Dot(n, n / 4096, (n * 0.618) % 1) for n in range(4096)]
    svg = scatter(UNIT, value_axis("loss", [0.0, 1.0]), dots, None)
    assert len(svg) < 20 * len(dots)
    assert len(dots) > MANY


def test_hostile_names_are_text_in_the_svg() -> None:
    y = value_axis(HOSTILE, [0.0, 1.0])
    strips = Strips(HOSTILE, (HOSTILE, "]]>", "&amp;"))
    line = Line(0, [(1.0, 1.0), (2.0, 0.0)])
    for svg in (scatter(strips, y, [Dot(0, HOSTILE, 0.5)], 0), curves(number_axis(HOSTILE, 1, 2), y, [line])):
        assert {element.tag for element in ET.fromstring(svg).iter()} <= {"svg", "path", "text", "circle"}
        assert "<script" not in svg and "\u202e" not in svg
