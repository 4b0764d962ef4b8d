"""Each part measures something, in sizes that take seconds."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from benchmarks import __main__ as command
from benchmarks import extend, overhead, parser, pruning, slots, slurm_slots, startup, watching
from benchmarks.accounting import JobTime, MeasurementError
from benchmarks.places import Workshop, inodes_and_bytes
from benchmarks.results_files import ROOT, ResultFiles
from benchmarks.rule_commands import verb_of, with_options
from benchmarks.slot_use import TrialTime

pytestmark = pytest.mark.xdist_group("benchmarks")  # they share studies that were prepared
FINISHED = 6


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    return Workshop(tmp_path_factory.mktemp("workshop"))


# ---- overhead ----------------------------------------------------------------------------------------------
def test_the_split_of_a_run_adds_up_and_knows_every_job(workshop):
    values = overhead.measure({"call": overhead.TIMED, "trials": 4}, workshop)
    assert values["jobs"]["runner"] == values["jobs"]["trial"] == values["jobs"]["parse"] == 4
    assert values["jobs"]["collect"] == 1 and values["jobs"]["propose"] >= 1
    own = values["cpu_s"] - sum(values["split_cpu_s"].values())
    assert 0 <= own < 0.2, "what is left is the programs of the four trials"
    assert all(seconds > 0 for seconds in values["split_cpu_s"].values()), values["split_cpu_s"]
    assert values["split_cpu_s"]["snakemake"] > 0.3
    assert values["cpu_beyond_s"] == pytest.approx(values["cpu_s"] / 4 - values["own_cpu_s"])
    assert 0 < values["own_cpu_s"] < 0.1
    assert 50 < values["peak_mb"] < 500 and 1 < values["inodes"] < 100 and values["kilobytes"] > 1


def test_a_runner_is_billed_without_the_program_that_it_waited_for():
    jobs = [
        JobTime("set -euo pipefail;  py -P /x/hpo_workflow/__main__.py propose --batch 0", 0.2),
        JobTime("set -euo pipefail;  py -S /x/hpo_workflow/runner/__main__.py --number 0", 0.5),
        JobTime("echo loss=1", 0.4),
        JobTime("set -euo pipefail;  py -P /x/hpo_workflow/__main__.py parse --number 0", 0.1),
    ]
    found = overhead.split(jobs, 2.0)["split_cpu_s"]
    assert found["runner"] == pytest.approx(0.1)
    assert found["snakemake"] == pytest.approx(1.2)
    with pytest.raises(MeasurementError, match="not all of ours"):
        overhead.split(jobs[:1], 2.0)


def test_an_inode_with_two_names_counts_once(tmp_path):
    (tmp_path / "a").write_text("x" * 5000)
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    (tmp_path / "folder").mkdir()
    inodes, size = inodes_and_bytes(tmp_path)
    assert inodes == 3
    assert size >= 5000


# ---- slots -------------------------------------------------------------------------------------------------
def test_a_rolling_study_with_earlier_trials_is_measured_without_them(workshop):
    case = {"who": "rolling", "sampler": "tpe", "earlier": 4, "trials": 6, "mean_s": 0.4, "slots": 3}
    values = slots.measure(case, workshop)
    assert 0.05 < values["use"] <= values["bounds"]["greedy"]
    assert values["of_greedy"] == pytest.approx(values["use"] / values["bounds"]["greedy"])
    assert values["before_s"] > 0.2 and values["after_s"] > 0
    assert values["span_s"] > 0.4 * 6 / 3


@pytest.mark.need("optuna")
def test_optuna_runs_the_same_program_with_earlier_trials(workshop):
    case = {"who": "optuna, SQLite", "sampler": "tpe", "earlier": 12, "trials": 6, "mean_s": 0.2, "slots": 3}
    values = slots.measure(case, workshop)
    assert 0.2 < values["use"] <= values["bounds"]["greedy"]


def test_where_optuna_is_absent_it_says_so(monkeypatch):
    monkeypatch.setattr(slots.importlib.util, "find_spec", lambda name: None)
    theirs = [case for case in slots.cases(False) if case["who"].startswith("optuna")]
    assert len(theirs) == 3
    assert all("pip install '.[benchmarks]'" in str(slots.lacks(case)) for case in theirs)
    assert slots.lacks(slots.cases(False)[0]) is None


def test_rounds_are_asked_for_in_the_study_file():
    assert slots.study("random", 4, 2, "rounds")["refill"] == "rounds"


def test_the_sleeper_sleeps_as_long_as_its_line_says(tmp_path):
    slots.write_durations(tmp_path, 1, [0.3])
    for number in (0, 1):
        call = ["bash", str(slots.SLEEPER), str(number), slots.DURATIONS, slots.TIMES, "0.25", "sgd"]
        done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert done.stdout == "loss=0.25\n"
    at_once, slept = slots.read_times(tmp_path / slots.TIMES)
    assert at_once.end - at_once.start < 0.25
    assert 0.3 <= slept.end - slept.start < 2.0


# ---- Slurm -------------------------------------------------------------------------------------------------
def test_the_time_of_the_gpus_is_held_or_idle_with_or_without_a_job_in_the_queue():
    times = [TrialTime(0, 11.0, 14.0, "1"), TrialTime(1, 21.0, 24.0, "2")]
    jobs = {"1": (9.0, 10.0, 15.0), "2": (17.0, 20.0, 25.0)}  # submitted, started, ended
    shares = slurm_slots.where_time_went(times, jobs, 1)
    assert shares["held"] == pytest.approx(10 / 15)
    assert shares["held_of_greedy"] == pytest.approx(10 / 15)
    assert shares["queued_idle"] == pytest.approx(3 / 15)
    assert shares["unasked_idle"] == pytest.approx(2 / 15)
    assert shares["submit_to_start_s"] == 2.0
    assert shares["start_to_program_s"] == shares["program_to_end_s"] == 1.0


def test_asking_ahead_is_measured_as_soon_as_a_study_file_knows_it():
    ahead = [case for case in slurm_slots.cases(False) if case["ahead"]]
    assert {case["ahead"] for case in ahead} == {3, 12}
    assert {case["poll_s"] for case in ahead} == {slurm_slots.shipped_poll_s(), slurm_slots.FAST_POLL_S}
    if not slurm_slots.knows_ahead():
        assert all(slurm_slots.lacks(case) for case in ahead)


# ---- extend ------------------------------------------------------------------------------------------------
def test_more_trials_are_the_only_jobs_of_an_extension(workshop):
    values = extend.measure({"trials": FINISHED, "more": 2}, workshop)
    assert values["jobs"]["trial"] == values["jobs"]["parse"] == 2
    assert values["old_trials"] == []
    assert values["steps_planned"] == sum(values["jobs"].values())
    nothing = extend.measure({"trials": FINISHED, "more": 0}, workshop)
    assert sum(nothing["jobs"].values()) == nothing["steps_planned"] == 0
    assert 0 < nothing["cpu_beyond_s"] < values["cpu_beyond_s"]


def test_an_old_job_in_the_output_of_snakemake_is_seen():
    said = (
        "localcheckpoint parse:\n    input: a\n    wildcards: shard=000, number=3, batch=1\n\n"
        "rule trial:\n    output: b\n    wildcards: shard=000, number=12, batch=4\n    threads: 1\n"
    )
    assert extend.jobs_in(said) == ({"parse": 1, "trial": 1}, [3, 12])


# ---- start-up ----------------------------------------------------------------------------------------------
def test_the_runner_is_measured_alone_and_without_numpy(workshop, monkeypatch):
    monkeypatch.setattr(startup, "CALLS", 3)
    values = startup.measure({"call": "runner", "finished": 0}, workshop)
    assert values["calls"] == 3
    assert 0.005 < values["cpu_s"] < 1.0
    assert values["numpy"] == 0


def test_propose_is_measured_on_a_finished_study_and_numpy_is_seen(workshop, monkeypatch):
    monkeypatch.setattr(startup, "CALLS", 3)
    values = startup.measure({"call": "propose, tpe", "finished": FINISHED}, workshop)
    bare = startup.measure({"call": "python -S -E -c pass", "finished": 0}, workshop)
    assert values["cpu_s"] > bare["cpu_s"] > 0
    assert "numpy" in startup.imported([sys.executable, "-c", "import numpy"], workshop.folder)


def test_parse_and_status_are_measured_on_a_finished_study(workshop, monkeypatch):
    monkeypatch.setattr(startup, "CALLS", 2)
    for call in ("parse", "hpo status"):
        assert startup.measure({"call": call, "finished": FINISHED}, workshop)["calls"] == 2
    assert startup.measure({"call": "parse", "finished": 0}, workshop)["cpu_s"] > 0


def test_commands_of_rules_are_known_by_what_they_call():
    assert verb_of("set -euo pipefail;  py -P /x/hpo_workflow/__main__.py collect --out b") == "collect"
    assert verb_of("set -euo pipefail;  py /x/hpo_workflow/runner/main.py --out b") == "runner"
    assert verb_of("python train.py") == "trial"
    assert with_options(["propose", "--batch", "3"], batch=4, plan="p") == ["propose", "--batch", "4"]


# ---- the command -------------------------------------------------------------------------------------------
class Measured:
    """A part that counts how often it is measured."""

    def __init__(self):
        self.done = []

    def part(self):
        return command.Part(
            "counted",
            "nothing",
            2,
            lambda quick: [{"n": 1}, {"n": 2}, {"n": 3}],
            lambda case: "no room" if case["n"] == 3 else None,
            self.measure,
            lambda records: [],
        )

    def measure(self, case, workshop):
        self.done.append(case["n"])
        if len(self.done) == 2:
            raise MeasurementError("the disk is full")
        return {}


def test_a_failed_measurement_is_said_and_made_up_for_by_the_next_call(tmp_path, monkeypatch, capsys):
    counted = Measured()
    monkeypatch.setattr(command, "PARTS", (counted.part(),))
    call = ["counted", "--results", str(tmp_path)]
    assert command.main(call) == 1
    said = capsys.readouterr().err
    assert "counted, n=2: FAILED: the disk is full" in said
    assert "counted, n=3: left out: no room" in said
    assert counted.done == [1, 2, 1, 2], "every case once before any a second time"
    assert command.main(call) == 0
    assert counted.done == [1, 2, 1, 2, 2], "only what was missing"
    assert command.main([*call, "--only", "n=1", "--again"]) == 0
    assert counted.done[5:] == [1, 1]
    assert len(ResultFiles(tmp_path).newest("counted")) == 4


def test_a_result_of_a_package_that_was_edited_meanwhile_is_dropped(tmp_path, monkeypatch, capsys):
    counted = Measured()
    monkeypatch.setattr(command, "PARTS", (counted.part(),))
    digests = iter(["a", "b", "c", "c"])
    monkeypatch.setattr(command, "package_digest", lambda: next(digests))
    assert command.main(["counted", "--results", str(tmp_path), "--repeat", "1", "--only", "n=1"]) == 1
    assert "edited meanwhile" in capsys.readouterr().err
    assert ResultFiles(tmp_path).read("counted") == []


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (["overheat"], "there is no part 'overheat'"),
        (["overhead", "--only", "n"], "--only wants KEY=VALUE"),
        (["overhead", "--only", "trials=3"], "no case of overhead is like this"),
        (["overhead", "--repeat", "0"], "--repeat 0: at least 1"),
    ],
)
def test_a_wrong_call_is_refused(call, says, capsys):
    with pytest.raises(SystemExit) as end:
        command.main(call)
    assert end.value.code == 2
    assert says in capsys.readouterr().err


def test_the_cases_can_be_listed(capsys):
    assert command.main(["overhead", "--list", "--only", "trials=4096"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("overhead: call=snakemake trials=4096: measured ")


def _size(case):
    return next((case[key] for key in ("trials", "finished", "mb") if key in case), 0)


def test_quick_cases_are_smaller_and_are_written_where_nothing_is_committed():
    for part in command.PARTS:
        sizes = [[_size(case) for case in part.cases(quick)] for quick in (True, False)]
        assert max(sizes[0]) < max(sizes[1]), part.name
    ignored = (ROOT / ".gitignore").read_text().split()
    assert f"{command.QUICK_RESULTS.relative_to(ROOT).parts[0]}/" in ignored


# ---- pruning -----------------------------------------------------------------------------------------------
def test_a_decision_is_measured_against_all_that_can_be_compared(workshop, monkeypatch):
    monkeypatch.setattr(pruning, "DECISIONS", 20)
    values = pruning.measure({"what": "decision", "finished": 120}, workshop)
    assert 0 < values["median_ms"] <= values["most_ms"] < 50
    assert values["piece_ms"] <= values["reading_ms"] < 500
    assert values["index_mb"] > 0.15


@pytest.mark.parametrize("pruner", ["none", "median"])
def test_a_stream_is_read_to_its_end_with_and_without_a_pruner(workshop, monkeypatch, pruner):
    monkeypatch.setattr(pruning, "LINES", 2000)
    monkeypatch.setattr(pruning, "FINISHED", 40)
    values = pruning.measure({"what": "stream", "pruner": pruner}, workshop)
    assert 0 < values["cpu_s"] < 1
    assert values["lines_per_s"] > 500


# ---- watching ----------------------------------------------------------------------------------------------
def test_a_pretended_study_is_watched_while_trials_end(workshop):
    values = watching.measure({"trials": 120, "to": "terminal", "seconds": 2.5}, workshop)
    assert 0 < values["load_cpu_s"] < 20 and 0 <= values["cpu_share"] < 1
    assert values["bytes_per_s"] > 50, "trials end, and it is told"


# ---- reading logs ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", parser.SIZE_MB)
def test_a_log_of_each_kind_is_read_whole(workshop, kind):
    values = parser.measure({"log": kind, "mb": 2}, workshop)
    assert values["mb"] == pytest.approx(2, rel=0.5)
    assert values["mb_per_s"] > 0.1 and values["cpu_s"] < 20
    assert 5 < values["rss_mb"] < 64
    assert values["times_grep"] > 1
