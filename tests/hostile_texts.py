"""Texts that would do something where they are not taken as text: in shells, pages, spreadsheets, terminals, YAML."""

from __future__ import annotations

import json
from pathlib import Path

HOSTILE: tuple[str, ...] = tuple(
    json.loads(line) for line in Path(__file__).with_suffix(".jsonl").read_text(encoding="utf-8").split("\n") if line
)
"""`hit` is a file that appears where one of them is run in a shell; those that change a page set its title."""

FOR_SHELLS = HOSTILE[:64]
"""The ones that are tried in every place of a command, also in the usual run."""
