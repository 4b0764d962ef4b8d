"""What all pages have in common: text of a study stays text, and the page needs nothing from elsewhere.

What comes from a study (names, values, logs) is text only: the template escapes it, controls and marks that turn the
direction of writing are made visible before, and no address or script is made of it. A page's policy
(Content-Security-Policy) allows its own style sheet and script by their digests and forbids everything else.
"""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup, escape

from hpo_workflow.metrics import printable
from hpo_workflow.report.axis import choice_text

LONGEST_LINE = 4000
"""Characters of one line of a text that are shown."""


def part(name: str) -> str:
    """A template, style sheet or script of ours."""
    return (resources.files("hpo_workflow.report") / "templates" / name).read_text(encoding="utf-8")


def digest(text: str) -> str:
    """How a policy names an inline style sheet or script."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def environment() -> Environment:
    """Where templates are rendered: all that is put in is escaped and made visible."""
    return Environment(autoescape=True, finalize=shown, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def shown(value: Any) -> Any:
    """What the template puts in: text without anything that could steer its display, no line of it very long."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    if len(value) <= LONGEST_LINE and value.isprintable():
        return value
    return "\n".join(printable(line, LONGEST_LINE) for line in value.split("\n"))


def exact(value: Any) -> Markup:
    """A value as JSON for the page's script, to be copied: every character of it, in ASCII."""
    return escape(json.dumps(value))


def script_json(value: Any) -> Markup:
    """A value as JSON that stays data inside of a `<script type="application/json">`, in ASCII."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    for character, code in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")):
        text = text.replace(character, code)
    return Markup(text)


def value_text(value: float | None) -> str:
    """A value of a metric, short."""
    return "" if value is None else f"{value:.6g}"


def param_text(value: Any) -> str:
    """A parameter's value in full, as it is written in a study file."""
    return choice_text(value) if isinstance(value, (bool, int, float, str)) else json.dumps(value)
