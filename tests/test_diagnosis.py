"""Facts in, findings out: what needs a hand, what does not, and which command mends it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hpo_workflow.diagnosis import (
    ALIVE,
    DEAD,
    MOST,
    UNKNOWN,
    Attempt,
    Damage,
    Facts,
    Finding,
    QueuedJob,
    Space,
    Standing,
    diagnose,
)

GOES_ON = Standing(
    False, True, "", live=frozenset({3, 4}), live_batches=frozenset({1}), finished=frozenset({0}), n_left=5
)
RUNS = Facts("results/s", "hpo run s.yaml", head=ALIVE, head_where="process 1 on a", standing=GOES_ON, results={0: 9.0})
CLAIM = Attempt(3, 1, "node1", 7, "", "2026", 5.0, ALIVE, False, False, "claim")


def kinds(facts: Facts) -> dict[str, Finding]:
    return {finding.kind: finding for finding in diagnose(facts)}


def test_a_study_that_runs_well_has_no_findings() -> None:
    assert diagnose(replace(RUNS, attempts=(CLAIM,), space=Space(1e12, 1e6, 1e6, 5))) == []


def test_what_needs_a_hand_comes_first() -> None:
    found = diagnose(replace(RUNS, head=DEAD, aside=("x.damaged.1",), attempts=(CLAIM,)))
    needs = [finding.needs_a_hand for finding in found]
    assert needs == sorted(needs, reverse=True) and set(needs) == {True, False}


@pytest.mark.parametrize(("head", "needs"), [(ALIVE, False), (UNKNOWN, False), (DEAD, True)])
def test_a_dead_claim_is_its_heads_business_while_there_is_one(head: str, needs: bool) -> None:
    found = kinds(replace(RUNS, head=head, attempts=(replace(CLAIM, life=DEAD),)))["dead claim"]
    assert found.needs_a_hand is needs and bool(found.command) is needs


def test_the_job_that_holds_the_claim_stays_and_of_others_the_one_that_runs_then_the_oldest() -> None:
    jobs = [QueuedJob("9", "PENDING", 3), QueuedJob("10", "RUNNING", 3), QueuedJob("11", "RUNNING", 3)]
    facts = replace(RUNS, queue=tuple(jobs))
    assert kinds(facts)["second job"].command == "scancel 11 9"
    held = replace(facts, attempts=(replace(CLAIM, slurm_job="11"),))
    assert kinds(held)["second job"].command == "scancel 10 9"
    assert "orphaned job" not in kinds(held)


def test_a_job_that_has_just_published_its_result_has_a_moment_to_end() -> None:
    jobs = (QueuedJob("9", "RUNNING", 0), QueuedJob("8", "COMPLETING", 77))
    assert "useless job" not in kinds(replace(RUNS, queue=jobs))
    assert kinds(replace(RUNS, queue=jobs, results={0: 900.0}))["useless job"].command == "scancel 9"


def test_a_head_that_waits_in_the_queue_takes_the_jobs_over() -> None:
    jobs = (QueuedJob("9", "RUNNING", 3), QueuedJob("5", "PENDING", None, is_head=True))
    facts = replace(RUNS, head=DEAD, queue=jobs, head_jobs=("4", "5"))
    assert not {"orphaned job", "lost head", "stale session"} & kinds(facts).keys()
    assert {"orphaned job", "lost head"} <= kinds(replace(facts, queue=jobs[:1])).keys()


@pytest.mark.parametrize(
    ("damage", "needs", "command"),
    [
        (Damage("c", "claim", "damaged", "cut", 3), True, "hpo run s.yaml"),
        (Damage("c", "claim", "damaged", "cut", 0), False, "mv -- c c.damaged"),
        (Damage("c", "copy", "damaged", "cut", 1), True, "hpo run s.yaml"),
        (Damage("c", "copy", "damaged", "cut", 0), False, "mv -- c c.damaged"),
        (Damage("p", "plan", "damaged", "cut"), False, "mv -- p p.damaged"),
        (Damage("now", "plan", "damaged", "cut"), True, "mv -- now now.damaged && hpo run s.yaml"),
        (Damage("m", "metric", "damaged", "cut", 3), True, "hpo run s.yaml"),
        (Damage("m", "metric", "damaged", "cut", None), False, "rm -- m"),
        (
            Damage("ledger/b", "batch", "damaged", "", 1),
            True,
            "mv -- ledger/b ledger/b.damaged && cp -- state/b ledger/b",
        ),
        (Damage("b", "batch", "damaged", "cut", 2), True, ""),
        (Damage("a b", "result", "a folder", "a folder", 0), True, "mv -- 'a b' 'a b.damaged'"),
        (Damage("r", "result", "not readable", "Permission denied", 0), True, "chmod -R u+rwX results/s"),
        (Damage("s", "session", "damaged", "cut"), False, "rm -- s"),
    ],
)
def test_a_damaged_file_needs_a_hand_where_what_goes_on_would_read_it(
    damage: Damage, needs: bool, command: str
) -> None:
    facts = replace(RUNS, damages=(damage,), current=frozenset({"now"}), spoilt_copies=frozenset({2}))
    (found,) = diagnose(facts)
    assert (found.needs_a_hand, found.command, found.paths) == (needs, command, (damage.path,))


def test_one_command_removes_a_bounded_number_of_files() -> None:
    paths = tuple(f"f{n}" for n in range(3 * MOST))
    found = kinds(replace(RUNS, leftovers=paths))["half-written"]
    assert len(found.command.split()) == MOST + 2 and found.paths == paths


def test_a_study_without_a_bound_is_told_of_a_disk_that_is_nearly_full_only() -> None:
    endless = replace(RUNS, standing=replace(GOES_ON, n_left=None))
    assert not diagnose(replace(endless, space=Space(1e9, None, 1e8, 4)))
    assert "is left on the file system" in kinds(replace(endless, space=Space(1e6, None)))["little space"].what
    over = replace(RUNS, standing=Standing(True, True, "done"), space=Space(0, 0))
    assert not diagnose(over)


def test_two_results_do_not_tell_a_clock() -> None:
    assert not diagnose(replace(RUNS, behind_s={"n": [500.0, 500.0]}))
    assert "500 s behind" in kinds(replace(RUNS, behind_s={"n": [500.0, 500.0, 501.0]}))["clock"].what
    assert "500 s ahead of" in kinds(replace(RUNS, behind_s={"n": [-500.0] * 3}))["clock"].what
