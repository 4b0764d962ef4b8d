"""The drawings of a report as files of their own: SVG that a browser, a Snakemake report or a paper shows as it is.

They are drawn as for a light page, on white: whoever shows them decides what is around them.
"""

from __future__ import annotations

import re
from functools import cache

from hpo_workflow.report import overview
from hpo_workflow.report.content import Content
from hpo_workflow.report.html import part
from hpo_workflow.report.page import curve_charts, parameter_charts, progress_chart

MOST_PARAMETERS = 24
"""Parameters with a drawing of their own, the most important ones where that is known."""

CHARTS = re.compile(r"/\* charts \*/(.*?)/\* end of charts \*/", re.DOTALL)
LIGHT = re.compile(r":root \{.*?\n\}", re.DOTALL)
SVG = re.compile(r'<svg (class="[^"]*") (viewBox="0 0 (\d+) (\d+)")')


def drawings(content: Content) -> dict[str, str]:
    """Each drawing that there is, by its name (`progress`, `parameter-lr`, ...): letters, digits, `_`, `.` and `-`."""
    charts = {
        "progress": progress_chart(content)[0],
        "importance": overview.importance_chart(content)[0],
        "parameters together": overview.parallel_chart(content)[0],
        "levels": overview.ladder_chart(content)[0],
        "distribution": overview.distribution_chart(content)[0],
        "slots": overview.slots_chart(content)[0],
    }
    courses = curve_charts(content)[0]
    if courses and courses[0].metric == content.metric:
        charts["learning curves"] = courses[0].svg
    known = {} if content.importances is None else {p.name: p.share for p in content.importances.parameters}
    plots = {content.parameters[int(key.partition("-")[2])].name: svg for key, svg in parameter_charts(content)[0]}
    for name in sorted(plots, key=lambda each: -known.get(each, 0.0))[:MOST_PARAMETERS]:
        charts[f"parameter {name}"] = plots[name]
    return {name.replace(" ", "-"): _alone(str(svg)) for name, svg in charts.items() if svg is not None}


@cache
def _style() -> str:
    """The part of the page's style sheet that charts need, with its light colours."""
    sheet = part("page.css")
    light, charts = LIGHT.search(sheet), CHARTS.search(sheet)
    assert light is not None and charts is not None
    return f"{light[0]} svg {{ font-family: sans-serif; }} {charts[1]}"


def _alone(svg: str) -> str:
    """A drawing of the page as a file of its own."""
    opened = SVG.match(svg)
    assert opened is not None, svg[:100]
    label, _, body = svg[opened.end() :].partition(">")
    begin = f'<svg xmlns="http://www.w3.org/2000/svg" {opened[2]} width="{opened[3]}" height="{opened[4]}"{label}>'
    paper = '<rect width="100%" height="100%" fill="#fff"/>'
    body = body.removesuffix("</svg>")
    return f"{begin}<style>{_style()}</style>{paper}<g {opened[1]}>{body}</g></svg>\n"
