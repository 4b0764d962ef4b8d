"""The hooks of conftest.py, seen from outside: a small pytest run for each case."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.machine import find_browser, lacks, need, required

ROOT = Path(__file__).resolve().parent.parent

CASES = """
import pytest
from tests import machine

machine.LACKS.update(crane=lambda: "no crane found", rope=lambda: None)

def test_runs_everywhere(): pass

@pytest.mark.need("crane")
def test_lifts(): raise AssertionError("never reached")

@pytest.mark.need("rope", "crane")
def test_lifts_with_a_rope(): raise AssertionError("never reached")

def test_asks_inside():
    machine.need("crane")

def test_is_skipped_for_a_reason_of_its_own():
    pytest.skip("raining")

@pytest.mark.xfail(reason="known")  # HPO_REQUIRE forbids what is left out, not this
def test_is_expected_to_fail(): assert 1 == 2
"""


def run(tmp_path: Path, require: str, monkeypatch: pytest.MonkeyPatch, cases: str = CASES) -> tuple[int, str]:
    """Exit code and output of pytest over `cases` in a folder of its own with our conftest.py."""
    (tmp_path / "conftest.py").write_text("from tests.conftest import *\n")
    (tmp_path / "test_case.py").write_text(cases)
    monkeypatch.setenv("HPO_REQUIRE", require)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for name in ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_ADDOPTS"):
        monkeypatch.delenv(name, raising=False)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-c",
        "/dev/null",
        "--rootdir",
        str(tmp_path),
    ]
    command += ["-o", "markers=need(*names)", "test_case.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_what_the_machine_lacks_is_left_out_and_said_with_its_reason(tmp_path, monkeypatch):
    code, output = run(tmp_path, "", monkeypatch)
    assert code == 0, output
    assert "1 passed, 4 skipped, 1 xfailed" in output
    assert "left out: crane (no crane found): 3 tests\n" in output
    assert "left out: raining: 1 test\n" in output


def test_a_promised_need_that_is_absent_fails(tmp_path, monkeypatch):
    code, output = run(tmp_path, "crane", monkeypatch)
    assert code == 1, output
    assert "HPO_REQUIRE promises crane: no crane found" in output
    assert "2 failed, 1 passed, 1 xfailed, 2 errors" in output


def test_where_anything_is_promised_every_skip_fails(tmp_path, monkeypatch):
    code, output = run(tmp_path, "rope", monkeypatch)
    assert code == 1, output
    assert "left out, which HPO_REQUIRE forbids: crane: no crane found" in output
    assert "left out, which HPO_REQUIRE forbids: raining" in output
    assert "2 failed, 1 passed, 1 xfailed, 2 errors" in output
    assert "left out: nothing" in output


def test_a_file_that_skips_itself_while_it_is_read_is_counted_too(tmp_path, monkeypatch):
    cases = "import pytest\npytest.skip('not today', allow_module_level=True)\n"
    code, output = run(tmp_path, "", monkeypatch, cases)
    assert code == 5, output  # pytest: no tests were run
    assert "left out: not today: 1 test\n" in output
    code, output = run(tmp_path, "rope", monkeypatch, cases)
    assert code == 2, output
    assert "left out, which HPO_REQUIRE forbids: not today" in output


def test_what_hpo_require_promises_is_there_also_where_no_test_asks_for_it():
    assert {name: lacks(name) for name in required()} == dict.fromkeys(required())


def test_the_browser_shows_a_page_without_a_display(tmp_path):
    need("browser")
    page = tmp_path / "page.html"
    page.write_text("<body><script>document.body.append(6 * 7)</script></body>")
    command = [find_browser(), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/profile"]
    done = subprocess.run([*command, "--dump-dom", page.as_uri()], capture_output=True, text=True, check=False)
    assert "42" in done.stdout, done.stderr
