"""`keep: best` in a real run: losers' files go, whoever goes on finds what it needs, and a longer study still works."""

from __future__ import annotations

from pathlib import Path

from tests.workflow.running import Place

PROGRAM = """\
import json, os, sys
config, epochs, place = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
came_from, first = os.environ["HPO_RESUME_FROM"], 0
if came_from:
    with open(os.path.join(came_from, "model", "state.json")) as file:  # it must be there
        first = json.load(file)["epochs"]
with open(os.environ["HPO_TEST_STARTS"], "a") as file:
    file.write(f"{os.environ['HPO_TRIAL']} {epochs} {first}\\n")
print(f"loss={config + 1 / epochs}")
os.mkdir(os.path.join(place, "model"))
with open(os.path.join(place, "model", "state.json"), "w") as file:
    json.dump({"epochs": epochs}, file)
"""


def starts(place: Place) -> dict[int, tuple[int, int]]:
    """Of each trial how far it was trained, and from where."""
    lines = [tuple(map(int, line.split())) for line in place.starts_file.read_text().splitlines()]
    return {number: (epochs, first) for number, epochs, first in lines}


def trials_with(place: Place, name: str) -> set[int]:
    return {int(path.relative_to(place.root).parts[2]) for path in place.root.glob(f"trials/*/*/{name}")}


def test_losers_lose_their_files_and_every_promotion_resumes(tmp_path: Path) -> None:
    """The lower its number, the better a configuration, so it is known who is promoted."""
    (tmp_path / "train.py").write_text(PROGRAM)
    place = Place(
        tmp_path,
        command="python train.py ${trial.config} ${trial.fidelity} ${trial.dir} ${hpo.x}",
        fidelity={"name": "epochs", "low": 1, "high": 2, "eta": 2},
        budget={"trials": 4, "parallel": 2},
        keep="best",
    )
    place.snakemake()
    begun = starts(place)
    assert sorted(begun.values()) == [(1, 0)] * 4 + [(2, 1)] * 2
    assert trials_with(place, "model") == {place.best["trial"]}
    assert trials_with(place, "files_deleted.json") == set(begun) - {place.best["trial"]}
    assert trials_with(place, "log") == set(begun)

    place.write(fidelity={"name": "epochs", "low": 1, "high": 4, "eta": 2}, budget={"trials": 6, "parallel": 2})
    place.snakemake()
    later = [how for number, how in starts(place).items() if number not in begun]
    assert sorted(later) == [(1, 0), (1, 0), (2, 0), (4, 2)]  # of those with a parent one had lost its files
    assert {trial["state"] for trial in place.outcomes().values()} == {"complete"}
    assert trials_with(place, "model") == {place.best["trial"]}
