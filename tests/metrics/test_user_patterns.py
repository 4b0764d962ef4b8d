"""What a user's texts and regular expressions find, and that none of them can hold a trial up."""

from __future__ import annotations

import threading
import time

import pytest

from hpo_workflow.errors import MetricError
from hpo_workflow.metrics import MetricReader, user_patterns
from tests.metrics.reading import LOSS, read, values, verdict


def test_define_after_reads_the_number_behind_a_text() -> None:
    lines = "[10]\tvalid_0's binary_logloss: 0.31\tvalid_1's auc: 0.77\nauc=3\n"
    extraction = read(lines, define={"auc": {"after": "valid_1's auc:"}, "loss": {"after": "binary_logloss"}})
    assert values(extraction, "auc") == [0.77]
    assert values(extraction) == [0.31]


def test_define_after_does_not_match_the_end_of_a_longer_name() -> None:
    extraction = read(
        "val_loss: 9\nloss_sum: 8\nloss is high\nloss: 0.5 - accuracy: 0.98\n", define={"loss": {"after": "loss"}}
    )
    assert values(extraction) == [0.5]
    assert extraction.problems == []


def test_define_regex_takes_the_group_value_or_the_only_group() -> None:
    named = {"loss": {"regex": r"(Test|Train) set: (?P<value>\S+)%", "lines": "^Test"}}
    text = "Train set: 1%\nTest set: 2%\n"
    assert values(read(text, define=named)) == [2.0]
    assert values(read(text, define={"loss": {"regex": r"set: (\S+)%"}})) == [1.0, 2.0]


def test_what_a_regex_captures_is_held_to_the_same_rule() -> None:
    judged = verdict(read("score 1,5\n", define={"loss": {"regex": r"score (\S+)"}}))
    assert judged["reason"] == "metric_unreadable"
    assert "line 1: `score 1,5`" in judged["detail"]


def test_a_regex_that_is_none_is_an_error_that_names_the_key() -> None:
    with pytest.raises(MetricError, match=r"metrics\.define\.loss\.regex: '\(' is not a regular expression"):
        MetricReader({"define": {"loss": {"regex": "("}}}, LOSS)


def test_a_regex_that_does_not_end_is_given_up_with_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_patterns, "PATTERN_SECONDS", 0.1)
    rule = {"loss": {"regex": r"(?P<value>(a|aa)+)$"}}
    text = b"a" * 60 + b"!\nother=5\n"
    started = time.process_time()
    extraction = read(text, define=rule)
    assert time.process_time() - started < 2
    judged = verdict(extraction)
    assert judged["reason"] == "metric_unreadable"
    assert "line 1" in judged["detail"]
    assert "metrics.define.loss.regex takes too long on lines like this one (61 characters)" in judged["detail"]
    assert values(extraction, "other") == [5.0]


def test_a_regex_that_is_slow_on_every_line_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_patterns, "PATTERN_SECONDS", 0.2)
    monkeypatch.setattr(user_patterns, "PATTERN_TICKS", 4)
    line = b"a" * 400 + b"\n"  # some 20 ms each in a cubic search: no single one is too long
    reader = MetricReader({"define": {"loss": {"regex": r"a+a+b(\d)"}}}, LOSS)
    started = time.process_time()
    for _ in range(2000):
        reader.feed(line)
        if reader._given_up:
            break
    assert time.process_time() - started < 3
    assert verdict(reader.close())["reason"] == "metric_unreadable"


def test_reading_works_outside_the_main_thread() -> None:
    found: list[list[float]] = []
    thread = threading.Thread(
        target=lambda: found.append(values(read("x 0.5", define={"loss": {"regex": r"x (\S+)"}})))
    )
    thread.start()
    thread.join()
    assert found == [[0.5]]


def test_the_watchdog_leaves_no_timer_behind() -> None:
    import signal

    read("x 0.5", define={"loss": {"regex": r"x (\S+)"}})
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGVTALRM) is signal.SIG_DFL


def test_what_python_only_warns_of_is_a_regular_expression() -> None:
    assert values(read("x [0.5]", define={"loss": {"regex": r"[[](?P<value>[^]]+)"}})) == [0.5]
