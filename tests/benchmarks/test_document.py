"""docs/benchmarks.md shows the committed results and nothing else."""

from __future__ import annotations

import re
import shlex
import tomllib

import pytest

from benchmarks.__main__ import DOCUMENTED, PARTS, SAMPLERS, main
from benchmarks.document import DOCUMENT, PICTURES, block, in_order, render, write
from benchmarks.parts import Chapter
from benchmarks.results_files import COMMITTED, ROOT, ResultFiles
from tests import clone

OVERHEAD = next(part for part in PARTS if part.name == "overhead")


def record(repeat, trials=256, call="snakemake", package="p", date="2026-01-02", **values):
    figures = {"cpu_beyond_s": 0.1, "wall_s": 25.6, "peak_mb": 130.0, "inodes": 4.5, "kilobytes": 20.0}
    return {
        "case": {"call": call, "trials": trials},
        "commit": "abc",
        "date": f"{date}T00:00:00+00:00",
        "load": [0, 0, 0],
        "machine": {"cpu": "CPU", "cores": 2, "memory_gb": 8.0, "kernel": "Linux 6"},
        "package": package,
        "part": "overhead",
        "quick": False,
        "repeat": repeat,
        "values": {**figures, "others_cpu_s": 2.56, **values},
        "versions": {"python": "3.11.7"},
    }


class Held:
    """Results that are in no file."""

    def __init__(self, *records):
        self.records = list(records)

    def newest(self, part):
        return self.records if part == "overhead" else []


def test_the_document_is_in_step_with_the_committed_results():
    text = DOCUMENT.read_text(encoding="utf-8")
    assert render(text, DOCUMENTED, ResultFiles(COMMITTED)) == text, "run `python -m benchmarks table`"


def test_the_pictures_are_in_step_with_the_committed_results():
    pictures = SAMPLERS.pictures(COMMITTED / SAMPLERS.name)
    folder = DOCUMENT.parent / PICTURES
    assert {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.svg")} == pictures
    shown = re.findall(rf"!\[[^]]+\]\({PICTURES}/([^)]+)\)", DOCUMENT.read_text(encoding="utf-8"))
    assert sorted(shown) == sorted(pictures)


def test_the_commands_of_the_document_are_understood():
    install, *measure = clone.block(DOCUMENT, "benchmarks").commands
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (named,) = re.findall(r"^pip install '\.\[(\S+)\]'$", install)
    assert set(named.split(",")) <= set(extras)
    for command in measure:
        python, m, name, *words = shlex.split(command)
        assert (python, m, name) == ("python", "-m", "benchmarks")
        assert main([*words, "--list"]) == 0


def test_the_commands_of_the_chapters_are_understood():
    samplers = clone.block(DOCUMENT, "samplers-benchmark").commands
    assert samplers.pop(0) == "pip install '.[peers]'"
    multifidelity = clone.block(DOCUMENT, "multifidelity-benchmark").commands
    assert samplers and multifidelity
    for command in (*samplers, *multifidelity):
        python, m, name, *words = (word for word in shlex.split(command) if not re.match("[A-Z_]+=", word))
        assert (python, m, name) == ("python", "-m", "benchmarks")
        assert main([*words, "--list"]) == 0


def test_no_quick_result_is_committed():
    for part in PARTS:
        assert not any(one["quick"] for one in ResultFiles(COMMITTED).read(part.name)), part.name


def test_each_table_stands_under_the_command_that_makes_it():
    text = block(OVERHEAD, Held(record(0), record(1, cpu_beyond_s=0.2, date="2026-01-03")))
    assert text.startswith(
        "\n`python -m benchmarks overhead`: CPU, 2 cores, 8.0 GB, Linux 6; python 3.11.7; commit abc,"
    )
    assert "abc, 2026-01-02 to 2026-01-03; each case 2 times" in text
    assert "each case 2 times; other processes took up to 0.10 cores meanwhile." in text
    assert "| 256, `snakemake` | 0.150 (0.100 to 0.200) | 0.100 (0.100 to 0.100) |" in text
    assert "| at most 0.12 CPU s a trial at 256 trials | 0.150 | **not met** |" in text
    assert "| under 400 MB at 4096 trials | – | not measured |" in text


def test_growth_is_that_of_the_largest_study_over_the_middle_one():
    text = block(OVERHEAD, Held(record(0), record(0, trials=4096, cpu_beyond_s=0.11)))
    assert "| the same at 4096 as at 256 trials, within 0.15 of it | 0.10 | met |" in text


def test_cases_stand_in_the_order_of_the_part_and_unknown_ones_at_the_end():
    records = [record(0, trials=7), record(0, trials=1024), record(0, trials=64)]
    assert [one["case"]["trials"] for one in in_order(OVERHEAD, records)] == [64, 1024, 7]


def test_a_part_without_results_says_so():
    assert "`python -m benchmarks overhead`: not measured yet." in block(OVERHEAD, Held())


def test_prose_stays_and_blocks_are_replaced(tmp_path):
    path = tmp_path / "benchmarks.md"
    marks = "".join(
        f"<!-- benchmarks: {part.name} -->\nold\n<!-- end of benchmarks: {part.name} -->\n" for part in PARTS
    )
    path.write_text(f"before\n{marks}after\n")
    assert write(PARTS, Held(record(0)), path)
    text = path.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "old" not in text
    assert not write(PARTS, Held(record(0)), path), "a second time there is nothing to change"


def test_a_chapter_writes_its_block_and_its_pictures(tmp_path):
    chapter = Chapter("samplers", "t", lambda folder: f"\n{folder.name}\n\n", lambda folder: {"a.svg": "<svg/>\n"})
    path = tmp_path / "docs" / "benchmarks.md"
    path.parent.mkdir()
    path.write_text("before\n<!-- benchmarks: samplers -->\nold\n<!-- end of benchmarks: samplers -->\nafter\n")
    assert write([chapter], ResultFiles(tmp_path), path)
    assert "-->\n\nsamplers\n\n<!--" in path.read_text() and "old" not in path.read_text()
    assert (path.parent / PICTURES / "a.svg").read_text() == "<svg/>\n"
    assert not write([chapter], ResultFiles(tmp_path), path)
    (path.parent / PICTURES / "a.svg").write_text("<svg>")
    assert write([chapter], ResultFiles(tmp_path), path), "a picture that was changed is made anew"


def test_a_document_without_a_block_for_each_part_is_refused():
    with pytest.raises(ValueError, match="the blocks of the document are of"):
        render("<!-- benchmarks: overhead -->\n<!-- end of benchmarks: overhead -->\n", PARTS, Held())
