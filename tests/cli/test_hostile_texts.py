"""Texts that would do something: in a terminal, in a spreadsheet, in a study file. None does."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from hpo_workflow.cli import trials as trials_module
from hpo_workflow.errors import HPOWorkflowError
from hpo_workflow.export.trial_table import FORMULA_STARTS
from hpo_workflow.metrics import MetricReader, explain
from hpo_workflow.spec import Budget
from hpo_workflow.store.atomic import publish, seal
from hpo_workflow.store.plan import Plan
from hpo_workflow.store.study_folder import StudyFolder
from hpo_workflow.study_file import load_study
from tests.cli.conftest import Hpo
from tests.hostile_texts import HOSTILE
from tests.metrics.reading import LOSS
from tests.records import IDENTITY, batch, outcome, spec
from tests.soak import IS_SOAK

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def root(here: Path) -> Path:
    """A study in which every text is a parameter's value, the name of a metric, a reason, a warning and a last word."""
    study = spec(
        space={"c": {"choices": list(HOSTILE)}}, command="prog ${hpo.c}", budget=Budget(len(HOSTILE) + 1, 1), study="s"
    )
    folder = StudyFolder(str(here / "results" / "s"))
    Plan(study, IDENTITY, {"command": "\x1b[31m"}, "study.yaml").store(folder)
    record = batch(0, {n: {"c": text} for n, text in enumerate(HOSTILE)}, study)
    for trial, text in zip(record["trials"], HOSTILE, strict=True):
        trial["rendered"] = {"command": [text], "env": {}, "files": {}, "hpo_env": {}, "params_text": "{}"}
    publish(folder.paths.batch_record(0), record)
    for number, text in enumerate(HOSTILE):
        found = outcome(number, 0, None if number % 3 == 2 else float(number), detail=text, warnings=[text])
        found.update({"metrics": {text: 1.0}, "host": text, "log": text, "gpus": 0})
        path = Path(folder.paths.metric(study.metrics_digest, number, 0))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(seal(found))
    return here / "results" / "s"


def is_harmless(text: str) -> bool:
    """Nothing in it steers a terminal or turns the direction of writing."""
    return all(character.isprintable() or character == "\n" for character in text)


@pytest.mark.parametrize("verb", [["status"], ["trials"], ["best"], ["trials", "--json"], ["status", "--json"]])
def test_what_a_person_is_shown_cannot_steer_the_terminal(hpo: Hpo, root: Path, verb: list[str]) -> None:
    answer = hpo(verb[0], str(root), *verb[1:])
    assert answer.code in (0, 1), answer.err
    assert is_harmless(answer.out) and is_harmless(answer.err)
    assert "Traceback" not in answer.err


def test_no_cell_of_the_csv_is_a_formula_and_all_can_be_read_back(hpo: Hpo, root: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(hpo("trials", str(root), "--csv").out, newline="")))
    assert len(rows) == len(HOSTILE) >= 200
    for row, text in zip(rows, HOSTILE, strict=True):
        assert row["param.c"] in (text, f"'{text}")
    for row in rows:
        for name, cell in row.items():
            for each in (name, cell):
                number = each.lstrip("+-").replace(".", "", 1).replace("e-", "").isdigit()
                assert number or not each.startswith(FORMULA_STARTS), each


def test_csv_on_a_terminal_shows_what_could_steer_it(root: Path, hpo: Hpo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trials_module, "is_terminal", lambda: True)
    assert is_harmless(hpo("trials", str(root), "--csv").out)


def test_lines_of_a_log_are_quoted_without_what_could_steer_a_terminal() -> None:
    for text in HOSTILE:
        for line in (text, f"loss={text}", f"{text}=1,5", f"{text} loss", json.dumps({"loss": text})):
            data = line.encode() + b"\n"
            reader = MetricReader({"format": "json"} if line.startswith("{") else {}, LOSS)
            reader.feed(data)
            extraction = reader.close()
            said = [problem["text"] + problem["reason"] for problem in extraction.problems]
            said += extraction.hints + extraction.warnings
            said += [told.text for told in explain([data], {}, LOSS)]
            assert all(is_harmless(each) and "\n" not in each for each in said), line


PLACES = {
    "study": lambda text: {"study": text},
    "a parameter's name": lambda text: {"space": {text: [1, 2]}, "command": "prog"},
    "a value": lambda text: {"space": {"c": [text, "b"]}, "command": "prog ${hpo.c}"},
    "the command": lambda text: {"command": text},
    "a placeholder": lambda text: {"command": "prog ${hpo." + text + "}"},
    "a key": lambda text: {text: 1},
    "the metric": lambda text: {"objective": {"metric": text, "direction": "minimize"}},
    "a regular expression": lambda text: {"metrics": {"lines": text}},
    "a variable's name": lambda text: {"env": {text: "1"}},
    "a variable": lambda text: {"env": {"A": text}},
    "a folder": lambda text: {"outdir": text},
    "the sampler": lambda text: {"sampler": text},
}


@pytest.mark.soak
@pytest.mark.parametrize("place", PLACES)
def test_a_hostile_study_file_is_loaded_or_refused_in_harmless_words(here: Path, place: str) -> None:
    usual: dict[str, Any] = {
        "study": "s",
        "command": "prog ${hpo.x}",
        "space": {"x": {"type": "float", "low": 0.0, "high": 1.0}},
        "objective": {"metric": "loss", "direction": "minimize"},
        "budget": {"trials": 4, "parallel": 2},
    }
    for text in HOSTILE[:: 1 if IS_SOAK else 12]:
        (here / "study.yaml").write_text(yaml.safe_dump({**usual, **PLACES[place](text)}, allow_unicode=True))
        try:
            loaded = load_study("study.yaml")
        except HPOWorkflowError as error:
            said = str(error)
        else:
            said = "study.yaml"
            name = loaded.spec.study
            assert name == "s" or (place == "study" and name == text and name.isascii() and "/" not in name)
        assert is_harmless(said), (place, text)
        assert said.startswith("study.yaml") and len(said) < 20_000
    assert sorted(path.name for path in here.iterdir()) == ["study.yaml"], "loading writes nothing"


CHECK_ALL = """
import contextlib, io, os, sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from hpo_workflow.__main__ import main
from tests.study_file.test_yaml_reader import BOMBS
files = dict(BOMBS)
files.update({path.stem: path.read_bytes() for path in Path(sys.argv[1], "tests/study_file/corpus/bad").glob("*.yaml")})
slowest = (0.0, "")
for name, content in files.items():
    Path("study.yaml").write_bytes(content.encode() if isinstance(content, str) else content)
    said = io.StringIO()
    begun = time.process_time()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
        code = main(["check", "study.yaml"])
    slowest = max(slowest, (time.process_time() - begun, name))
    assert code == 2, (name, code)
    assert "Traceback" not in said.getvalue(), name
peak = int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) / 1000
print(len(files), round(slowest[0], 2), slowest[1], round(peak))
"""


@pytest.mark.soak
def test_bad_study_files_are_refused_fast_and_in_little_memory(here: Path) -> None:
    done = subprocess.run([sys.executable, "-c", CHECK_ALL, str(ROOT)], cwd=here, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    n, seconds, *name, peak = done.stdout.split()
    print(f"{n} bad study files: the slowest ({' '.join(name)}) {seconds} CPU s, peak {peak} MB")
    assert int(n) >= 150
    assert float(seconds) < 1.0
    assert int(peak) < 200
