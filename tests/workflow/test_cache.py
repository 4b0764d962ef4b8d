"""A folder of results that studies share, through the real Snakemake."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.workflow.running import CLONE, Place, wait_for

COMMAND = 'echo ${trial.number} >> "$HPO_TEST_STARTS"; echo step=1 loss=9; echo step=2 loss=${hpo.x}; echo o=-${hpo.x}'


def place(folder: Path, **changes: Any) -> Place:
    """A study of three points that shares its results."""
    usual = {"cache": "shared", "command": COMMAND, "sampler": "grid", "space": {"x": [1, 2, 3]}}
    return Place(folder, **{**usual, "budget": {"parallel": 2}, "metrics": {"step": "step"}, **changes})


def another(place: Place, name: str = "t", **changes: Any) -> None:
    """Go on with another study of the same folder."""
    place.write(study=name, **changes)
    place.root = place.folder / "results" / name


def hpo(place: Place, *arguments: str) -> str:
    call = [sys.executable, "-P", str(CLONE / "hpo_workflow" / "__main__.py"), *arguments]
    done = subprocess.run(call, cwd=place.folder, env=place.environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_another_study_has_run_costs_nothing_and_is_shown(tmp_path: Path) -> None:
    one = place(tmp_path)
    one.snakemake()
    assert len(one.starts) == 3
    another(one, space={"x": [1, 2, 3, 4]}, objective={"metric": "o", "direction": "minimize"})
    said = one.snakemake()
    assert len(one.starts) == 4, "only x=4 is new"
    assert said.count("localrule trial:") == 1
    assert "t: trial 0 complete: o=-1, from the cache (x=1)" in said
    assert (one.best["value"], one.best["n_cached"]) == (-4.0, 3)
    assert "3 from the cache" in hpo(one, "status", "study.yaml")
    trials = json.loads(hpo(one, "trials", "study.yaml", "--json"))["trials"]
    assert [trial["cached"] for trial in trials] == [True, True, True, False]
    assert hpo(one, "trials", "study.yaml").count("complete, from the cache") == 3
    assert (one.root / "trials/000/1/log").read_text() == "step=1 loss=9\nstep=2 loss=2\no=-2\n"
    assert one.result(1)["metrics"]["points"]["loss"] == [[1, 9.0], [2, 2.0]]
    hpo(one, "replay", "study.yaml")

    shutil.rmtree(tmp_path / "shared")
    assert "Nothing to be done" in one.snakemake()
    assert one.best["n_trials"] == {"complete": 4}


def test_the_files_that_a_command_names_are_there_for_a_hit_too(tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("x is ${hpo.x}, ${trial.number}\n")
    command = "cat ${trial.file.i} ${trial.params_file}; echo loss=1"
    settings = {"command": command, "templates": {"i": {"from": "in.txt", "to": "sub/in.txt", "format": "raw"}}}
    one = place(tmp_path, space={"x": [1, 2]}, **settings)
    one.snakemake()
    another(one)
    one.snakemake()
    assert one.best["n_cached"] == 2
    best = json.loads(hpo(one, "best", "study.yaml", "--json"))
    printed = subprocess.run(best["command"], shell=True, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert printed.stdout == 'x is 1, 0\n{"x": 1}loss=1\n'


def entries(folder: Path) -> list[Path]:
    return sorted((folder / "shared").glob("*/[0-9a-f]*"))


def _garble(entry: Path) -> None:
    (entry / "result.json").write_text("{")


def _swap_log(entry: Path) -> None:
    (entry / "log").write_text((entry / "log").read_text().replace("9", "8"))


def _somebody_elses(entry: Path) -> None:
    (entry / "log").unlink()
    (entry / "log").mkdir()  # cannot be read, by root neither


@pytest.mark.parametrize(
    ("harm", "why"),
    [(_garble, "its result.json is garbled"), (_swap_log, "its log is garbled"), (_somebody_elses, "its log has ")],
)
def test_an_entry_that_cannot_be_taken_costs_a_trial_and_a_warning(
    tmp_path: Path, harm: Callable[[Path], None], why: str
) -> None:
    one = place(tmp_path)
    one.snakemake()
    harmed = entries(tmp_path)[0]
    harm(harmed)
    another(one)
    said = one.snakemake()
    assert f"warning: cache shared/{harmed.relative_to(tmp_path / 'shared')}: {why}" in said
    assert "Traceback" not in said
    assert len(one.starts) == 4
    assert (one.best["n_trials"], one.best["n_cached"]) == ({"complete": 3}, 2)


def test_a_cache_that_is_a_file_costs_warnings_only(tmp_path: Path) -> None:
    (tmp_path / "shared").write_text("not a folder")
    one = place(tmp_path)
    said = one.snakemake()
    assert "warning: cache: shared is not a folder; results are neither taken from it nor shared." in said
    assert "trial 0 is not shared" in said and "Traceback" not in said
    assert one.best["n_trials"] == {"complete": 3}


def test_a_cache_that_is_deleted_while_a_study_runs_breaks_nothing(tmp_path: Path) -> None:
    one = place(tmp_path, space={"x": [1, 2, 3, 4, 5, 6]}, command=f"sleep 0.5; {COMMAND}")
    one.snakemake()
    another(one, space={"x": [1, 2, 3, 4, 5, 6, 7, 8]})
    shutil.rmtree(entries(tmp_path)[0])  # a part of it before,
    process = one.begin()
    wait_for(lambda: one.store.result(1) is not None)
    shutil.rmtree(tmp_path / "shared")  # all of it on the way
    assert process.wait(timeout=120) == 0, (tmp_path / "snakemake.log").read_text()
    assert one.best["n_trials"] == {"complete": 8}
    assert one.best["n_cached"] < 6
    assert "Nothing to be done" in one.snakemake()


def test_two_runs_at_once_keep_one_result_of_each_configuration(tmp_path: Path) -> None:
    places = []
    for name in ("left", "right"):
        (tmp_path / name).mkdir()
        places.append(place(tmp_path / name, cache=str(tmp_path / "shared"), command=f"sleep 0.2; {COMMAND}"))
    call = [sys.executable, "-P", str(CLONE / "hpo_workflow" / "__main__.py"), "run", "study.yaml", "--cores", "2"]
    running = [
        subprocess.Popen(call, cwd=each.folder, env=each.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for each in places
    ]
    said = [process.communicate(timeout=180)[0].decode() for process in running]
    assert [process.returncode for process in running] == [0, 0], said
    assert [each.best["n_trials"] for each in places] == [{"complete": 3}] * 2
    kept = entries(tmp_path)
    assert len(kept) == 3
    assert not list((tmp_path / "shared").glob("*/.*")), "what came second has left nothing"
    for entry in kept:
        source = json.loads((entry / "result.json").read_text())["source"]
        assert (entry / "log").read_bytes() == Path(source["folder"], f"trials/000/{source['trial']}/log").read_bytes()
