"""The options of the commands that rules call: `--root FOLDER --number 12`.

These calls are made for every trial, so they do without argparse, which takes several milliseconds to be loaded.
Standard library only, Python 3.8 or newer: the runner imports it on every node.
"""

from __future__ import annotations

import sys
from types import SimpleNamespace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, NoReturn

REQUIRED = object()
"""In place of a default: the option must be given."""


def read_options(
    program: str, purpose: str, options: Mapping[str, tuple[Callable[[str], Any], Any, str]], argv: Sequence[str]
) -> Any:
    """The values of a call, as attributes: `--runtime-s 60` is `runtime_s`.

    A call that is wrong ends the process with exit code 2 and a message, `--help` with 0 and the list of options.

    Args:
        program: What is called, for the messages.
        purpose: One sentence for `--help`.
        options: For each name (`runtime-s`) what reads its text, its default or REQUIRED, and what it means.
        argv: The arguments.
    """
    if "--help" in argv or "-h" in argv:
        width = max(map(len, options))
        listed = "".join(f"  --{name:{width}}  {meaning}\n" for name, (_, _, meaning) in options.items())
        sys.stdout.write(f"usage: {_usage(program, options)}\n\n{purpose}\n\noptions:\n{listed}")
        sys.exit(0)
    values = {}
    words = iter(argv)
    for word in words:
        flag, joined, text = word.partition("=")
        name = flag[2:] if flag.startswith("--") else ""
        if name not in options:
            _refuse(program, options, f"unknown argument {word}")
        found = text if joined else next(words, None)
        if found is None:
            _refuse(program, options, f"{flag} wants a value")
        try:
            values[name] = options[name][0](found)
        except ValueError:
            _refuse(program, options, f"{flag}: {found} is not a number")
    missing = [name for name, (_, default, _) in options.items() if default is REQUIRED and name not in values]
    if missing:
        _refuse(program, options, f"not given: {', '.join(f'--{name}' for name in missing)}")
    given = {name: values.get(name, default) for name, (_, default, _) in options.items()}
    return SimpleNamespace(**{name.replace("-", "_"): value for name, value in given.items()})


def _usage(program: str, options: Mapping[str, tuple[Any, Any, str]]) -> str:
    words = [f"--{name} {name.upper()}" for name in options]
    shown = [word if options[name][1] is REQUIRED else f"[{word}]" for name, word in zip(options, words)]  # noqa: B905  (strict= came with 3.10)
    return " ".join([program, *shown])


def _refuse(program: str, options: Mapping[str, tuple[Any, Any, str]], problem: str) -> NoReturn:
    sys.stderr.write(f"usage: {_usage(program, options)}\n{program}: {problem}\n")
    sys.exit(2)
