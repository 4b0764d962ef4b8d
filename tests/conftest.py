"""Hooks for all tests: what the machine lacks is said at the end, and is a failure where HPO_REQUIRE promises it."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Generator
from typing import TypeVar

import pytest

from tests.machine import need, required

pytest_plugins = ["tests.trackers"]

SKIPPED = "Skipped: "

# Hundreds of studies end in these tests, and none of them is looked at: tests of interactive pages ask for them.
os.environ["HPO_PLAIN_REPORT"] = "1"

# A shell that starts the tests with & tells them, and all their children, to ignore Ctrl-C, which some tests send.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite the expected texts of tests")


@pytest.fixture(scope="session")
def update_golden(request: pytest.FixtureRequest) -> bool:
    """Whether tests with an expected text write what they see instead of comparing."""
    return bool(request.config.getoption("--update-golden"))


AnyReport = TypeVar("AnyReport", pytest.TestReport, pytest.CollectReport)


def _skip_reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Why a skipped report was skipped, without pytest's prefix."""
    longrepr = report.longrepr
    text = str(longrepr[2]) if isinstance(longrepr, tuple) else str(longrepr)
    return text.removeprefix(SKIPPED)


def _fail_skips(report: AnyReport) -> AnyReport:
    """Under HPO_REQUIRE a skip (not an expected failure) becomes a failure that names its reason."""
    if required() and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"left out, which HPO_REQUIRE forbids: {_skip_reason(report)}"
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("need"):
        need(*mark.args)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _fail_skips((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return _fail_skips((yield))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [report for report in terminalreporter.stats.get("skipped", []) if not hasattr(report, "wasxfail")]
    reasons = Counter(_skip_reason(report) for report in reports)
    if not reasons:
        terminalreporter.write_line("left out: nothing")
    for reason, count in sorted(reasons.items()):
        name, colon, rest = reason.partition(": ")
        cause = f"{name} ({rest})" if colon else reason
        terminalreporter.write_line(f"left out: {cause}: {count} {'test' if count == 1 else 'tests'}")
