"""A document as a story: its blocks are typed, written and loaded in order, as a reader would.

What stands behind `test=` of a fence:

    write:NAME   the block is the content of file NAME
    run          console: the lines after `$ ` are typed into one shell, one after the other; the other lines are what
                 a command prints, in this order, perhaps with more between; numbers may differ, `...` stands for
                 anything. python: a program of its own.
    run:CODE     the same; the last command ends with this exit code
    continue     python: goes on where the Python block before it ended
    load         yaml: a study file without faults and warnings
    part         yaml: some keys of a study file, which is whole and good with what BASE says
    refused      yaml: the same, and the loader refuses it

A story starts in the root of a clone that is installed. Any other mark is the business of the test file that
tests/test_docs.py names for it.
"""

from __future__ import annotations

import re
import secrets
import subprocess
import sys
from pathlib import Path

import yaml

from hpo_workflow.errors import ConfigError
from hpo_workflow.study_file import load_study
from tests.clone import Block, Clone, blocks

BASE = """\
study: page
command: python train.py
pass: [env]
space:
  lr: {type: float, low: 1.0e-4, high: 0.1, log: true}
objective: {metric: loss, direction: minimize}
budget: {trials: 4}
"""
"""What a `part` is put into. `pass: [env]` lets every parameter count as used."""

ACTIONS = {
    "console": {"run"},
    "python": {"run", "continue", "write"},
    "yaml": {"load", "part", "refused", "write"},
}
"""Marks that a story knows, by language; a block of any other language can be written only."""

NUMBER = re.compile(r"[-+]?\b\d+(?:\.\d+)?(?:e[-+]?\d+)?", re.IGNORECASE)


def action(block: Block) -> tuple[str, str] | None:
    """What the story does with a block and the word behind the colon; None where the mark is not a story's."""
    name, _, word = block.test.partition(":")
    return (name, word) if name in ACTIONS.get(block.language, {"write"}) else None


def is_told(document: Path) -> bool:
    """Whether anything in a document is a story."""
    return any(action(block) for block in blocks(document))


def shape(text: str) -> str:
    """A line without what differs from one machine to the next: its numbers and the width of its gaps."""
    return NUMBER.sub("#", " ".join(text.split()))


class Story:
    """Tells the blocks of a document in a clone, in order."""

    def __init__(self, clone: Clone, document: Path) -> None:
        self._clone = clone
        self._document = document
        self._folder = clone.folder
        self._program = ""

    def tell(self, folder: Path | None = None) -> Path:
        """Begin in `folder`, or in the root of the clone; returns where the shell is in the end."""
        self._folder = folder or self._clone.folder
        for block in blocks(self._document):
            done = action(block)
            if done is None:
                continue
            name, word = done
            if name == "write":
                (self._folder / word).parent.mkdir(parents=True, exist_ok=True)
                (self._folder / word).write_text(block.text, encoding="utf-8")
            elif block.language == "console":
                self._type(block, int(word or 0))
            elif block.language == "python":
                self._program = block.text if name == "run" else self._program + block.text
                self._run_python()
            else:
                self._load(block, name)
        return self._folder

    def _type(self, block: Block, code: int) -> None:
        """Type the commands into one shell, and compare what each of them prints."""
        mark = secrets.token_hex(8)
        commands, expected = self._commands(block)
        script = ["set -eo pipefail"]
        for number, command in enumerate(commands):
            script += [f"echo {mark} {number}", command]
        script += [f"echo {mark} end", "pwd"]
        done = subprocess.run(
            ["bash", "-c", "\n".join(script)],
            cwd=self._folder,
            env=self._clone.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == code, f"{block.text}\nended with {done.returncode}\n{done.stdout}"
        printed = re.split(rf"^{mark} .*\n", done.stdout, flags=re.MULTILINE)[1:]
        if code == 0:
            self._folder = Path(printed.pop().strip())
        assert len(printed) == len(commands), f"{block.text}\nwhat came before the last command failed\n{done.stdout}"
        for command, wanted, text in zip(commands, expected, printed, strict=True):
            lines = iter([shape(line) for line in text.splitlines()])
            for line in wanted:
                pattern = re.compile(".*".join(re.escape(part) for part in shape(line).split("...")))
                assert any(pattern.fullmatch(seen) for seen in lines), f"`{command}` does not print {line!r}:\n{text}"

    @staticmethod
    def _commands(block: Block) -> tuple[list[str], list[list[str]]]:
        """The commands of a block, and what each of them is said to print."""
        commands: list[str] = []
        expected: list[list[str]] = []
        for line in block.text.splitlines():
            if line.startswith("$ "):
                commands.append(line[2:])
                expected.append([])
            elif commands and commands[-1].endswith("\\"):
                commands[-1] += "\n" + line
            elif line.strip(". "):
                assert commands, f"the block begins with what no command prints: {line}"
                expected[-1].append(line)
        assert commands, f"no line begins with `$ `: {block.text}"
        return commands, expected

    def _run_python(self) -> None:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", self._program],
            cwd=self._folder,
            env=self._clone.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{self._program}\n{done.stderr}"

    def _load(self, block: Block, name: str) -> None:
        """Read a study file, or part of one, as `hpo check` reads it."""
        text = block.text
        if name != "load":
            keys = yaml.compose(text).value
            given = {key.value for key, _ in keys}
            rest = [
                part
                for part in re.findall(r"^\S.*\n(?:\s.*\n)*", BASE, re.MULTILINE)
                if part.split(":")[0] not in given
            ]
            text = "".join(rest) + text
        file = self._folder / f"{secrets.token_hex(4)}.yaml"
        file.write_text(text, encoding="utf-8")
        faults = ""
        try:
            loaded = load_study(file, base_dir=self._folder)
        except ConfigError as error:
            faults = str(error)
        finally:
            file.unlink()
        if name == "refused":
            assert faults, f"this is accepted:\n{block.text}"
        else:
            assert faults == "", f"{block.text}\n{faults}"
            assert loaded.warnings == [], block.text
