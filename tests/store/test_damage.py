"""A byte of a record changes, or its end is lost: the study loads or names the file; nothing wrong is believed."""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from hpo_workflow import parse
from hpo_workflow.errors import StudyFolderError
from hpo_workflow.spec import Budget
from hpo_workflow.store.atomic import publish, read_json, seal, unseal
from hpo_workflow.store.compaction import Settled, compact, find_bundles
from hpo_workflow.store.session import Session, read_session
from hpo_workflow.store.study_folder import StudyFolder
from tests.simulated import Simulated
from tests.soak import size

SEED = 7
TRIALS = 6


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with every kind of record; nothing of it is changed."""
    root = tmp_path_factory.mktemp("study") / "s"
    run = Simulated(root, budget=Budget(TRIALS + 2, 2), pruner={"name": "median"})
    run.run(TRIALS)
    run.folder.index_batches(run.folder.batches())
    run.folder.decide({"kind": "keep", "identity": "identity-a", "others": ["identity-b"]})
    run.folder.decide({"kind": "retry_failed", "numbers": []})
    for number, (batch, _) in run.live.items():
        publish(run.folder.paths.claim(number, 1), {"number": number, "batch": batch, "attempt": 1, "pid": 1})
    for number in range(len(run.folder.batches())):
        copy = Path(run.folder.paths.batch(number))
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(run.folder.paths.batch_record(number), copy)
    Session.acquire(run.folder.paths)[0]
    return root


def loaded(root: Path) -> tuple[dict[int, tuple[float | None, str]], StudyFolder]:
    """What `hpo status` would know: value and state of each trial."""
    folder = StudyFolder(str(root))
    plan = folder.current_plan()
    assert plan is not None
    state = folder.state(plan)
    read_session(folder.paths)
    return {n: (trial.value, str(trial.proposal.params)) for n, trial in state.finished.items()}, folder


@pytest.fixture(scope="module")
def sealed(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same study after `hpo compact --all-finished`; its indexes have gone, so that all that is sealed is read."""
    root = tmp_path_factory.mktemp("sealed") / "s"
    shutil.copytree(whole, root)
    folder = StudyFolder(str(root))
    emitted = {record["batch"]: [trial["number"] for trial in record["trials"]] for record in folder.batches()}
    pending = folder.state(folder.current_plan() or {}).pending
    assert not compact(folder.paths, find_bundles(folder.paths, Settled.of(emitted, pending, all_finished=True))).left
    shutil.rmtree(root / "state" / "index")
    return root


def changed(data: bytes, rng: random.Random, how: str) -> bytes:
    at = rng.randrange(len(data))
    if how == "flipped":
        return data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]
    if how == "another byte":
        return data[:at] + bytes([rng.choice([b for b in range(256) if b != data[at]])]) + data[at + 1 :]
    return {"cut": data[:at], "empty": b"", "zeros": b"\0" * len(data), "nested": b"[" * 100_000}[how]


def damages(root: Path) -> Iterator[tuple[Path, str, bytes]]:
    rng = random.Random(SEED)
    for path in sorted([*root.rglob("*.json*"), *root.rglob("*.zip")]):
        if "trials" in path.parts:
            continue
        data = path.read_bytes()
        kinds = ["flipped", "another byte"] * size(2, 150) + ["cut", "empty", "zeros", "nested"]
        for how in kinds:
            yield path, how, changed(data, rng, how)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("study", ["whole", "sealed"])
def test_a_damaged_record_is_named_or_made_up_for_and_never_believed(
    study: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    root = tmp_path / "s"
    shutil.copytree(request.getfixturevalue(study), root)
    true, _ = loaded(root)
    assert len(true) == TRIALS
    n = named = 0
    kinds = set()
    for path, how, data in damages(root):
        before = path.read_bytes()
        path.write_bytes(data)
        n += 1
        kinds.add(re.sub(r"[0-9a-f]{12}|\d+", "#", str(path.relative_to(root))))
        told = str(path)
        try:
            found, folder = loaded(root)
        except StudyFolderError as error:
            told = error.path
            named += 1
        else:
            assert found.items() <= true.items(), (path, how, "something else was believed")
            if path.suffix != ".zip" or how in ("flipped", "another byte"):
                assert len(found) >= TRIALS - 1, (path, how, "more than one trial is affected")
            named_there = {name.partition(" (")[0] for name in folder.damaged}
            if len(found) < TRIALS:  # outcomes, whose results are read again
                assert str(path) in named_there and "metrics" in path.parts, (path, how)
        assert told == str(path), (path, how, told)
        path.write_bytes(before)
    print(f"{n} damages of {len(kinds)} kinds of files: {named} times the file was named, else the study was whole")
    assert kinds >= {"ledger/plans/#.json", "ledger/decisions/#.json", "state/plan.json"}
    own = {"whole": "state/index/#.curves.jsonl", "sealed": "state/metrics/#/#.#.zip"}
    assert own[study] in kinds


def test_one_byte_of_a_sealed_record_cannot_change_unseen() -> None:
    """Every byte, every value: another content is an error."""
    record = {"number": 3, "value": 0.125, "name": 'é"\\', "of": [1, None, True], "crc": "crc32"}
    data = seal(record).encode()
    assert unseal(data) == record
    for at in range(len(data)):
        for byte in range(256):
            try:
                found = unseal(data[:at] + bytes([byte]) + data[at + 1 :])
            except ValueError:
                continue
            assert {key: found[key] for key in record} == record, (at, byte)


def test_records_of_earlier_versions_have_no_sum_and_are_read(tmp_path: Path) -> None:
    (tmp_path / "1.json").write_text('{"v": 1}')
    assert read_json(str(tmp_path / "1.json")) == {"v": 1}
    publish(str(tmp_path / "2.json"), {})
    assert read_json(str(tmp_path / "2.json")) == {}


def test_a_damaged_result_is_set_aside_and_its_trial_is_started_again(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "s"
    shutil.copytree(whole, root)
    folder = StudyFolder(str(root))
    plan = folder.current_plan()
    assert plan is not None
    result = Path(folder.paths.result_record(2))
    result.write_bytes(result.read_bytes().replace(b'"seconds":1.0', b'"seconds":7.0'))
    batch = next(record["batch"] for record in folder.batches() for t in record["trials"] if t["number"] == 2)
    plan_path = next(root.glob("ledger/plans/*.json"))
    out = folder.paths.metric(plan["metrics_digest"], 2, batch)
    call = ["--root", str(root), "--plan", str(plan_path), "--number", "2", "--batch", str(batch), "--out", out]
    assert parse.run(call) == 0
    said = capsys.readouterr().err
    assert "lost (storage): its result record was damaged (its check sum is of another content)" in said
    assert "; it will be started again" in said
    (aside,) = result.parent.glob("2.json.damaged.*")
    assert str(aside) in said and not result.exists()
    state = folder.state(plan)
    assert sorted(state.finished) == [0, 1, 3, 4, 5]
    assert [again.proposal.number for again in state.slots()[0]] == [2], "the next batch emits it again"


def test_a_damaged_plan_is_written_again_by_the_next_run(tmp_path: Path) -> None:
    run = Simulated(tmp_path / "s")
    plan = Path(run.plan)
    good = plan.read_bytes()
    plan.write_bytes(good[:-30])
    Path(run.folder.paths.current_plan).write_bytes(b"\xff")
    run.use()
    assert plan.read_bytes() == good
    assert run.folder.current_plan() is not None
