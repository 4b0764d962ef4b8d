"""Durations (`48h`, `1h30m`) and sizes (`8GB`, `300MB`) as numbers."""

from __future__ import annotations

import re

_SECONDS = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_BYTES = {
    "B": 1,
    **dict.fromkeys(("kB", "KB", "k", "K"), 10**3),
    **dict.fromkeys(("MB", "M"), 10**6),
    **dict.fromkeys(("GB", "G"), 10**9),
    **dict.fromkeys(("TB", "T"), 10**12),
    **{"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40},
}
_PLAIN = re.compile(r"\d+(\.\d+)?")
_PART = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*([a-z]+)\s*")
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,9})?)\s*([A-Za-z]*)")


def seconds_of(value: str | float, unit: str | None = "s") -> float:
    """A duration in seconds; a plain number counts `unit`s, and is refused where `unit` is None.

    Raises:
        ValueError: It is none, or is not positive; the message is the cure.
    """
    cure = "Give a time above 0 such as 30m, 12h, 1h30m or 2d."
    if isinstance(value, bool):
        raise ValueError(cure)
    if isinstance(value, str) and _PLAIN.fullmatch(value.strip()):
        value = float(value)
    if not isinstance(value, str):
        if unit is None:
            # Whoever writes `wall: 48` means hours, and `silence: 90` may be anything.
            written = f"{value:g}"
            raise ValueError(f"Write {written}s, {written}m or {written}h." if 0 < value < 1e5 else cure)
        seconds = float(value) * _SECONDS[unit]
    else:
        text = value.strip()
        if match := re.fullmatch(r"(?:(\d{1,4})-)?(\d{1,4}):([0-5]?\d)(?::([0-5]?\d))?", text):
            days, first, second, third = (int(part or 0) for part in match.groups())
            hours, minutes, rest = (first, second, third) if match[4] is not None else (first, second, 0)
            written = "".join(f"{n}{u}" for n, u in ((days, "d"), (hours, "h"), (minutes, "m"), (rest, "s")) if n)
            raise ValueError(f"Write {written or '30m'} for hours and minutes, or a time such as 30m.")
        position, seconds, units = 0, 0.0, []
        while position < len(text):
            part = _PART.match(text, position)
            if part is None or part[2] not in _SECONDS or _SECONDS[part[2]] in units:
                raise ValueError(cure)
            units.append(_SECONDS[part[2]])
            seconds += float(part[1]) * units[-1]
            position = part.end()
    if not 0 < seconds < 1e10:
        raise ValueError(cure)
    return seconds


def bytes_of(value: str | float) -> int:
    """A size in bytes. It has a unit: a plain number means bytes to us and megabytes to Snakemake.

    Raises:
        ValueError: It is none, or is not positive; the message is the cure.
    """
    cure = "Give a size above 0 with its unit, such as 300MB, 8GB or 16GiB."
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or match[2] not in _BYTES:
        raise ValueError(cure)
    size = float(match[1]) * _BYTES[match[2]]
    if not 1 <= size < 1e18:
        raise ValueError(cure)
    return int(size)
