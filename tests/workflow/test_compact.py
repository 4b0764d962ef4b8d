"""A real study whose records are sealed, and that goes on: nothing is run again."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

from tests.workflow.running import Place


def compact(place: Place, *options: str) -> str:
    """`hpo compact` of the study, all that it says."""
    call = [sys.executable, "-m", "hpo_workflow", "compact", "results/s", *options]
    done = subprocess.run(call, cwd=place.folder, env=place.environment, text=True, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_sealed_study_is_extended_under_new_metrics_and_runs_nothing_again(tmp_path: Path) -> None:
    place = Place(
        tmp_path,
        command='echo ${trial.number} >> "$HPO_TEST_STARTS"; echo loss=${hpo.x}; echo gain=${trial.number}',
        budget={"trials": 4, "parallel": 2},
    )
    place.snakemake()
    before = {number: place.result(number) for number in range(4)}
    n_batches = len(place.store.batches())
    assert "sealed in 5" in compact(place, "--logs")
    assert not list((place.root / "ledger" / "results").glob("*/*.json"))
    assert [path.name for path in (place.root / "trials" / "000").iterdir()] == [str(place.best["trial"])]

    shutil.rmtree(place.root / "state" / "index")
    place.write(budget={"trials": 6, "parallel": 2}, objective={"metric": "gain", "direction": "maximize"})
    said = place.snakemake()
    assert sorted(place.starts) == list(range(6)), "no trial is run again, without any index either"
    assert {number: place.result(number) for number in range(4)} == before
    assert place.best["n_trials"] == {"complete": 6} and place.best["value"] == 5.0
    n_new = len(place.store.batches()) - n_batches
    assert Counter(said.split())["propose:"] == n_new, "no batch is asked for again"

    assert "sealed in" in compact(place, "--logs")
    assert "put back" in compact(place, "--undo")
    assert not list(place.root.rglob("*.zip"))
    assert {n: outcome["state"] for n, outcome in place.outcomes().items()} == dict.fromkeys(range(6), "complete")
