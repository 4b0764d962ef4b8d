"""What the whole package does not do, and who may read and write what it leaves."""

from __future__ import annotations

import ast
import os
import stat
from pathlib import Path

import pytest

from tests.store import write_paths
from tests.store.write_paths import HEAVY, WAYS
from tests.test_layers import PACKAGE, ROOT, modules

RUNS_TEXT = {"eval", "exec", "compile", "__import__", "execfile"}
READS_CODE = {"pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "jsonpickle", "code", "codeop"}
SERVES = {
    "socketserver",
    "http.server",
    "xmlrpc.server",
    "wsgiref",
    "aiohttp",
    "flask",
    "fastapi",
    "uvicorn",
    "tornado",
}
CALLS = {
    "os.system": "a shell reads the text again",
    "os.popen": "a shell reads the text again",
    "yaml.load": "tags make objects",
    "yaml.unsafe_load": "tags make objects",
    "yaml.full_load": "tags make objects",
    "tempfile.mktemp": "somebody else may make the file first",
    "subprocess.getoutput": "a shell reads the text again",
    "os.umask": "it is the user's",
}
PORT_PROBE = "hpo_workflow.runner.command"
"""`${trial.port}` is a port that is free: it is bound for a moment to see that, and never listened on."""


def sources() -> dict[str, Path]:
    """All Python of the package, also what `hpo init` copies into a study."""
    return {**modules(), **{str(path.relative_to(ROOT)): path for path in PACKAGE.rglob("starter/*.py")}}


@pytest.mark.parametrize("name", sources())
def test_nothing_unpickles_evaluates_or_serves(name: str) -> None:
    tree = ast.parse(sources()[name].read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported = {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported = {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
        else:
            imported = set()
        tops = {each.partition(".")[0] for each in imported}
        assert not (imported | tops) & (READS_CODE | SERVES), f"{name}:{node.lineno}"  # type: ignore[attr-defined]
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        where = f"{name}:{node.lineno}: {called}"
        assert called not in RUNS_TEXT, where
        assert called not in CALLS, f"{where}: {CALLS.get(called)}"
        assert not called.endswith((".listen", ".start_server", ".serve_forever", ".create_server")), where
        assert name == PORT_PROBE or not called.endswith(".bind"), where
        for keyword in node.keywords:
            shell = keyword.arg == "shell" and isinstance(keyword.value, ast.Constant)
            assert not (shell and keyword.value.value is True), f"{where}: shell=True"  # type: ignore[attr-defined]
            assert keyword.arg != "allow_pickle", where


def test_the_rules_call_programs_and_nothing_else() -> None:
    """A `run:` block or `exec` in a rule would be Python that Snakemake formats values into."""
    for path in [*PACKAGE.rglob("*.smk"), ROOT / "Snakefile"]:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            words = line.split("#")[0].strip()
            assert words != "run:" and not words.startswith("script:"), f"{path}:{number}"
            assert not any(f"{word}(" in words for word in RUNS_TEXT), f"{path}:{number}"


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o027, 0o077])
def test_records_can_be_written_by_their_owner_alone_and_read_as_the_umask_says(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        write_paths.prepare(str(tmp_path))
        for name, way in WAYS.items():
            if name not in (*HEAVY, "unpacked"):  # these write with what others write with
                way(str(tmp_path))
    finally:
        os.umask(before)
    modes = {
        str(path.relative_to(tmp_path)): stat.S_IMODE(path.stat().st_mode)
        for path in tmp_path.rglob("*")
        if path.is_file() and path.name != "plan.json"
    }
    ours = {name: mode for name, mode in modes.items() if not name.startswith(("s/trials/000/1/", "cache"))}
    assert len(ours) >= 9 and any(name.endswith(".zip") for name in ours)
    assert {name: oct(mode) for name, mode in ours.items() if mode != 0o644 & ~mask} == {}
    assert {name: oct(mode) for name, mode in modes.items() if mode & 0o022 and "trials/000/1/" not in name} == {}
