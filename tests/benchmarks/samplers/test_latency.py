"""How long an ask takes: what is measured is kept, and not measured again."""

from __future__ import annotations

import pytest

from benchmarks.json_lines import append, read
from benchmarks.samplers import command, latency, peers, process
from benchmarks.samplers.tables_and_plots import latency_tables


@pytest.fixture
def no_process(monkeypatch):
    """No study is run for it."""
    monkeypatch.setattr(process, "measure", lambda samplers, folder, say: None)


@pytest.mark.usefixtures("no_process")
def test_an_ask_is_measured_once_for_each_number_of_results(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(latency, "SIZES", (5, 20))
    call = ["--latency", "--samplers", "random", "--results", str(tmp_path)]
    assert command.main(call) == command.main(call) == 0
    records = read(tmp_path / latency.NAME)
    assert [(record["sampler"], record["size"]) for record in records] == [("random", 5), ("random", 20)]
    assert all(len(record["cpu_s"]) == latency.ASKS and min(record["cpu_s"]) >= 0 for record in records)
    capsys.readouterr()
    assert command.main([*call, "--list"]) == 0
    assert capsys.readouterr().out == "latency, random: measured with 5, 20 results known\n"


@pytest.mark.usefixtures("no_process")
def test_a_sampler_that_takes_too_long_gets_no_more_results(tmp_path, monkeypatch):
    monkeypatch.setattr(latency, "TOO_LONG", 0.0)
    assert command.main(["--latency", "--samplers", "random", "--results", str(tmp_path)]) == 0
    assert [record["size"] for record in read(tmp_path / latency.NAME)] == [10]


@pytest.mark.usefixtures("no_process")
def test_a_sampler_that_fails_is_named(tmp_path, monkeypatch, capsys):
    def refuse(name, start):
        raise ValueError("no idea")

    monkeypatch.setattr(peers, "player", refuse)
    assert command.main(["--latency", "--samplers", "random", "--results", str(tmp_path)]) == 1
    assert "latency, random, 10 known: FAILED: ValueError: no idea" in capsys.readouterr().err


def test_the_last_version_is_shown_beside_its_aims(tmp_path):
    assert latency_tables(tmp_path) == []
    for version, cpu_s in (("old", 9.0), ("new", 0.02)):
        for size in (10, 100):
            record = {"sampler": "gp", "version": version, "size": size, "machine": {}, "cpu_s": [cpu_s, cpu_s, 5.0]}
            append(tmp_path / latency.NAME, record)
    append(tmp_path / process.NAME, {"sampler": "gp", "version": "new", "cpu_s": [0.8, 0.9, 0.6]})
    text = "\n".join(latency_tables(tmp_path))
    assert "| **gp** | 0.02 | 0.02 | – | – |" in text
    assert "| an ask of gp: at most 0.03 CPU s with 100 results | 0.020 | met |" in text
    assert "| an ask of gp: at most 0.2 CPU s with 1000 results | – | not measured |" in text
    assert "| `hpo propose` with **gp** | 0.8 |" in text
    assert "| a process with gp: under 0.7 CPU s with 100 results | 0.800 | **not met** |" in text
