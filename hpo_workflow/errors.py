"""Every error that a user can cause.

HPOWorkflowError
├── ConfigError         a study file is wrong: all its faults at once, each with its cure
├── UsageError          a command was called wrongly, or at the wrong moment
│   └── MissingExtra    what was asked for needs a package that is not installed
├── StudyFolderError    a study's folder does not hold what it should
├── MetricError         a log or a metric setting cannot be read
├── ExportError         another program's server or file did not take all that was exported
└── SamplerError        the command of an external sampler gave no answer

Only the command line turns them into a message and an exit code (2; 1 for an ExportError), without a traceback. Any
other exception is a fault of this package and keeps its traceback.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


def printable(text: str) -> str:
    """`text` with everything that could steer a terminal made visible; line ends stay.

    Controls, escape sequences and marks that turn the direction of writing show as `\\x1b`, `\\u202e`, ...
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else "    " if c == "\t" else _visible(c) for c in text)


def _visible(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


class HPOWorkflowError(Exception):
    """The base of all errors that a user can cause. Its text is safe to print, whatever it quotes."""

    def __str__(self) -> str:
        return printable(super().__str__())


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong in a study file.

    Args:
        key: Where, as a dotted path from the top of the file (`space.lr.low`); empty for the file as a whole.
        problem: What is wrong, with the value that was found. A sentence.
        cure: What to write instead. A sentence; empty where the problem says it already.
    """

    key: str
    problem: str
    cure: str = ""


class ConfigError(HPOWorkflowError):
    """A study file has faults.

    Attributes:
        file: The file as the user named it.
        faults: All faults that were found, in the order of the file.
    """

    def __init__(self, file: str, faults: Sequence[Fault]) -> None:
        self.file = file
        self.faults = tuple(faults)
        super().__init__(file, self.faults)

    def __str__(self) -> str:
        blocks = []
        for fault in self.faults:
            key = fault.key.replace("\n", "\\n")
            place = f"{self.file}, {key}" if key else self.file
            lines = [f"{place}: {fault.problem}"]
            lines += [f"  {line}" if line else "" for line in fault.cure.splitlines()]
            blocks.append("\n".join(lines))
        return printable("\n".join(blocks))


class UsageError(HPOWorkflowError):
    """A command was called wrongly, or at a moment when it must not run."""


class MissingExtra(UsageError, ImportError):
    """What was asked for needs a package that an extra of ours installs.

    Attributes:
        package: The package that is not installed.
        extra: The extra that installs it.
    """

    def __init__(self, package: str, extra: str) -> None:
        self.package = package
        self.extra = extra
        super().__init__(f"this needs {package}, which is not installed.\n  pip install 'hpo-workflow[{extra}]'")


class StudyFolderError(HPOWorkflowError):
    """A study's folder does not hold what it should.

    Attributes:
        path: The file or folder in question.
    """

    def __init__(self, path: str, message: str) -> None:
        self.path = path
        super().__init__(f"{path}: {message}")


class MetricError(HPOWorkflowError):
    """A log or a metric setting cannot be read."""


class ExportError(HPOWorkflowError):
    """A server or a file of another program did not take all that was exported to it; trying again may do."""


class SamplerError(HPOWorkflowError):
    """The command of an external sampler failed, or its answer cannot be read; asking again may do."""
