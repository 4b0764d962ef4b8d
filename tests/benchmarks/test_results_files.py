"""Results survive interruptions, and those of different versions are kept apart."""

from __future__ import annotations

import pytest

from benchmarks import results_files
from benchmarks.results_files import ResultFiles, machine, package_digest

CASE = {"call": "snakemake", "trials": 64}


def add(files, repeat=0, package=None, quick=False, case=CASE, **values):
    files.add("overhead", case, repeat, values, package or package_digest(), quick=quick)


def test_a_result_says_what_it_was_measured_on_and_with(tmp_path):
    files = ResultFiles(tmp_path / "new")
    add(files, cpu_s=1.5)
    (record,) = files.read("overhead")
    assert record["case"] == CASE and record["values"] == {"cpu_s": 1.5}
    assert record["machine"]["cpu"] and record["machine"]["cores"] >= 1
    assert {"python", "snakemake", "numpy"} <= set(record["versions"])
    assert len(record["load"]) == 3 and record["date"].startswith("20")


def test_what_was_measured_is_known_by_case_repeat_and_version(tmp_path):
    files = ResultFiles(tmp_path)
    assert not files.has("overhead", CASE, 0)
    add(files)
    assert files.has("overhead", dict(reversed(CASE.items())), 0)
    assert not files.has("overhead", CASE, 1)
    assert not files.has("overhead", {**CASE, "trials": 256}, 0)
    assert not files.has("slots", CASE, 0)
    other = ResultFiles(tmp_path / "other")
    add(other, package="0123456789ab")
    assert not other.has("overhead", CASE, 0)


def test_a_line_that_a_crash_cut_off_is_measured_again(tmp_path):
    files = ResultFiles(tmp_path)
    add(files, cpu_s=1.0)
    with files.path("overhead").open("a") as file:
        file.write('{"case": {"ca')
    assert len(files.read("overhead")) == 1
    add(files, 1, cpu_s=2.0)
    assert [record["values"]["cpu_s"] for record in files.read("overhead")] == [1.0, 2.0]


def test_a_damaged_line_in_the_middle_is_named(tmp_path):
    files = ResultFiles(tmp_path)
    add(files)
    text = files.path("overhead").read_text()
    files.path("overhead").write_text(f"<<<<\n{text}")
    with pytest.raises(ValueError, match=r"overhead\.jsonl, line 1: not JSON"):
        files.read("overhead")


def test_the_newest_version_counts_and_of_a_repeat_the_last_measurement(tmp_path):
    files = ResultFiles(tmp_path)
    add(files, package="old", cpu_s=9.0)
    add(files, package="new", cpu_s=3.0)
    add(files, 1, package="new", cpu_s=1.0)
    add(files, package="new", cpu_s=2.0)
    add(files, package="new", quick=True, cpu_s=8.0)
    add(files, 2, package="new", cpu_s=4.0)
    assert sorted(record["values"]["cpu_s"] for record in files.newest("overhead")) == [1.0, 2.0, 4.0]
    assert files.newest("slots") == []


def test_the_digest_changes_with_what_is_measured_and_with_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(results_files, "ROOT", tmp_path)
    (tmp_path / "hpo_workflow" / "__pycache__").mkdir(parents=True)
    (tmp_path / "profiles").mkdir()
    (tmp_path / "Snakefile").write_text("rule all:")
    module = tmp_path / "hpo_workflow" / "parse.py"
    module.write_text("a = 1")
    before = package_digest()
    (tmp_path / "hpo_workflow" / "__pycache__" / "parse.pyc").write_bytes(b"x")
    (tmp_path / "README.md").write_text("more")
    assert package_digest() == before
    module.write_text("a = 2")
    assert package_digest() != before


def test_the_machine_is_described_once():
    assert machine() is machine()
