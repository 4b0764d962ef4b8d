"""The picture of regrets."""

from __future__ import annotations

import re
from itertools import pairwise
from xml.etree import ElementTree

from benchmarks.samplers.picture import LINE_HEIGHT, draw


def test_a_picture_is_a_drawing_with_a_line_and_a_name_for_each():
    courses = {"**gp**": [2.0, 1.0, 0.5, 0.5], "Optuna <TPE>": [2.0, 1.5, 0.9, 0.6], "random": [2.0, 1.6, 1.2, 1.0]}
    text = draw("Sequential & more", courses, 2)
    root = ElementTree.fromstring(text)
    names = [one.text for one in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"gp", "Optuna <TPE>", "random", "Sequential & more", "mean regret"} <= set(names)
    lines = re.findall(r'<path d="M([^"]+)" fill="none"', text)
    assert [line.count("L") for line in lines] == [2, 2, 2]
    heights = [[float(point.split()[1]) for point in line.split("L")] for line in lines]
    assert heights[0][0] < heights[0][1] == heights[0][2], "lower regret is lower in the picture"
    assert heights[0][2] > heights[1][2] > heights[2][2]
    assert draw("Sequential & more", courses, 2) == text


def test_names_do_not_cover_each_other():
    text = draw("", {f"s{index}": [1.0, 0.5] for index in range(8)}, 1)
    places = sorted(float(y) for y in re.findall(r'y="([\d.]+)" fill="#', text))
    assert len(places) == 8
    assert all(right - left >= LINE_HEIGHT - 0.11 for left, right in pairwise(places))


def test_a_course_that_is_shorter_ends_earlier():
    text = draw("", {"long": [1.0] * 100, "short": [1.0] * 50}, 10)
    ends = [line.split("L")[-1].split()[0] for line in re.findall(r'<path d="M([^"]+)" fill="none"', text)]
    assert float(ends[1]) < float(ends[0])
    assert ">short (to 50)<" in text and ">long<" in text
    assert text.count("stroke-dasharray") == 1, "what leads to its name is no part of the course"
