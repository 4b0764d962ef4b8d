"""Files to which one JSON record after the other is appended, and which survive a crash while one is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def read(path: Path) -> list[dict[str, Any]]:
    """All records, oldest first; a last line that was cut off by a crash is not there, nor are those of no file.

    Raises:
        ValueError: Another line is not JSON.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    records = []
    for index, line in enumerate(lines):
        try:
            records.append(json.loads(line))
        except ValueError:
            if index < len(lines) - 1:
                raise ValueError(f"{path}, line {index + 1}: not JSON") from None
    return records


def append(path: Path, record: Mapping[str, Any]) -> None:
    """Add a record, after removing a line that a crash cut off."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole, encoding="utf-8")
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record, sort_keys=True) + "\n")
