"""docs/benchmarks.md: tables made from results, between marks in prose that people write."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from benchmarks.parts import Chapter, Part
from benchmarks.results_files import ROOT, Record, ResultFiles

DOCUMENT = ROOT / "docs" / "benchmarks.md"
PICTURES = "pictures"
"""Beside the document."""
BLOCK = re.compile(r"(<!-- benchmarks: (\w+) -->\n).*?(<!-- end of benchmarks: \2 -->)", re.DOTALL)


def render(text: str, parts: Sequence[Part | Chapter], files: ResultFiles) -> str:
    """`text` with every block made anew.

    Raises:
        ValueError: A part has no block, or a block is of no part.
    """
    known = {part.name: part for part in parts}
    found = [name for _, name, _ in BLOCK.findall(text)]
    if sorted(found) != sorted(known):
        raise ValueError(f"the blocks of the document are of {sorted(found)}, and the parts are {sorted(known)}")
    return BLOCK.sub(lambda match: f"{match[1]}{block(known[match[2]], files)}{match[3]}", text)


def block(part: Part | Chapter, files: ResultFiles) -> str:
    """The command that makes the tables of a part, where and when they were measured, and the tables."""
    if isinstance(part, Chapter):
        return part.block(files.folder / part.name)
    command = f"`python -m benchmarks {part.name}`"
    records = files.newest(part.name)
    if not records:
        return f"\n{command}: not measured yet.\n\n"
    lines = part.tables(in_order(part, records))
    return f"\n{command}: {provenance(records)}\n\n" + "\n".join(lines) + "\n\n"


def in_order(part: Part, records: Sequence[Record]) -> list[Record]:
    """By case, as the part lists them, then as they were measured."""
    cases = part.cases(bool(records[0]["quick"]))
    place = {str(case): index for index, case in enumerate(cases)}
    return sorted(records, key=lambda record: place.get(str(record["case"]), len(place)))


def provenance(records: Sequence[Record]) -> str:
    """One paragraph: machine, versions, date, repeats and disturbance."""
    last = records[-1]
    machine, versions = last["machine"], last["versions"]
    dates = sorted(record["date"][:10] for record in records)
    when = dates[0] if dates[0] == dates[-1] else f"{dates[0]} to {dates[-1]}"
    repeats: dict[str, int] = {}
    for record in records:
        repeats[str(record["case"])] = repeats.get(str(record["case"]), 0) + 1
    least, most = min(repeats.values()), max(repeats.values())
    times = f"{least} times" if least == most else f"{least} to {most} times"
    shares = [
        record["values"]["others_cpu_s"] / record["values"]["wall_s"]
        for record in records
        if "others_cpu_s" in record["values"]
    ]
    disturbance = f"; other processes took up to {max(shares):.2f} cores meanwhile" if shares else ""
    size = "**a quick run, of small sizes**; " if last["quick"] else ""
    installed = ", ".join(f"{name} {version}" for name, version in versions.items())
    return (
        f"{size}{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB, {machine['kernel']};"
        f" {installed}; commit {last['commit'] or 'unknown'}, {when}; each case "
        f"{'once' if most == 1 else times}{disturbance}."
    )


def write(parts: Sequence[Part | Chapter], files: ResultFiles, path: Path = DOCUMENT) -> bool:
    """Bring the document and its pictures in step with the results; whether anything was changed."""
    texts = {path: render(path.read_text(encoding="utf-8"), parts, files)}
    for part in parts:
        if isinstance(part, Chapter):
            texts |= {
                path.parent / PICTURES / name: text for name, text in part.pictures(files.folder / part.name).items()
            }
    changed = False
    for target, text in texts.items():
        if not target.exists() or target.read_text(encoding="utf-8") != text:
            target.parent.mkdir(exist_ok=True)
            target.write_text(text, encoding="utf-8")
            changed = True
    return changed
