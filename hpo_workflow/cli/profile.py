"""Snakemake profiles: where the one that a user names is found, and what it says."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hpo_workflow.errors import UsageError
from hpo_workflow.shipped import shipped

CONFIG = ("config.v9+.yaml", "config.v8+.yaml", "config.yaml", "profile.yaml")
"""Names that Snakemake looks for in a profile's folder."""


@dataclass(frozen=True)
class Profile:
    """A profile, found.

    Args:
        folder: What is given to Snakemake's --profile.
        settings: What it says, as far as it is plain YAML.
    """

    folder: str
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def executor(self) -> str:
        return str(self.settings.get("executor", "local"))


def find_profile(name: str) -> Profile:
    """The profile `name`: ./profiles/NAME, then Snakemake's own places, then the one in the package.

    Raises:
        UsageError: There is none; the message names the places.
    """
    looked = []
    for folder in _places(name):
        for config in CONFIG:
            path = folder / config
            if path.is_file():
                return Profile(str(folder), _settings(path))
        looked.append(str(folder))
    raise UsageError(
        f"--profile {name}: there is no such profile. Looked for a config.yaml in\n  " + "\n  ".join(looked)
    )


def _places(name: str) -> list[Path]:
    places = [Path("profiles") / name, Path(name)]
    if not os.path.isabs(name):
        home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
        shared = (os.environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")[0]
        places += [Path(home) / "snakemake" / name, Path(shared) / "snakemake" / name]
        with contextlib.suppress(FileNotFoundError):
            places.append(shipped(f"profiles/{name}"))
    return places


def _settings(path: Path) -> dict[str, Any]:
    """A profile's settings; what a template engine would make of it is Snakemake's business."""
    import yaml

    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: this profile cannot be read.\n  {error}") from None
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise UsageError(f"{path}: a profile is a list of `option: value` lines, and this is not.")
    return found


def option_in(arguments: Sequence[str], *names: str) -> str | None:
    """The value of an option among Snakemake's arguments, the last one given; "" where it stands without a value."""
    found = None
    for index, word in enumerate(arguments):
        name, equals, value = word.partition("=")
        if name in names:
            following = arguments[index + 1] if index + 1 < len(arguments) else ""
            found = value if equals else ("" if following.startswith("-") else following)
        elif any(len(short) == 2 and word.startswith(short) and len(word) > 2 for short in names if short[1] != "-"):
            found = word[2:]
    return found
