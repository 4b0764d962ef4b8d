"""A study's folder looked through for people: what is there, what is damaged, what was left behind.

It only reads, it lists folders, and nothing in them can make it fail: what cannot be read is told. Nothing decides by
it; the study itself opens records by their known names. Reading stops at a deadline, and what was left out is counted.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from hpo_workflow.store.atomic import unseal
from hpo_workflow.store.paths import StudyPaths
from hpo_workflow.store.sealed import DamagedSeal, Part

DEEPEST = 5
"""Folders below the study's own; a symbolic link that leads in a circle ends there."""

KINDS = (
    ("plan", r"ledger/plans/[0-9a-f]+\.json"),
    ("identity", r"ledger/identities/[0-9a-f]+\.json"),
    ("history", r"ledger/history/[0-9a-f]+\.json"),
    ("decision", r"ledger/decisions/(\d+)\.json"),
    ("batch", r"ledger/batches/\d{3,}/(\d+)\.json"),
    ("result", r"ledger/results/\d{3,}/(\d+)\.json"),
    ("claim", r"ledger/claims/\d{3,}/(\d+)\.(\d+)\.json"),
    ("copy", r"state/batches/\d{3,}/(\d+)\.json"),
    ("metric", r"state/metrics/([0-9a-f]+)/\d{3,}/(\d+)-(\d+)\.json"),
    ("index", r"state/index/[0-9a-z.]+\.jsonl"),
    ("sealed", r"((?:ledger/(?:batches|results)|state/(?:batches|metrics/[0-9a-f]+)|trials)/\d{3,})\.(\d+)\.zip"),
    ("session", r"state/session\.json"),
    ("pointer", r"state/plan\.json"),
    ("head", r"state/head\.json"),
    ("note", r"state/(?:stop|stop_request|adopted|index/emptied)\.json"),
)
"""The files of a study that are looked at, by their path below its folder."""

_KINDS = [(kind, re.compile(pattern)) for kind, pattern in KINDS]
_METRIC = dict(_KINDS)["metric"]
_FOLDERS = re.compile(
    r"ledger|state|trials"
    r"|ledger/(?:plans|identities|history|decisions|batches|results|claims)|state/(?:batches|metrics|done|index)"
    r"|(?:ledger/(?:batches|results|claims)|state/(?:batches|done)|trials)/\d{3,}|state/metrics/[0-9a-f]{12}"
)
_ASIDE = re.compile(r"\.damaged(?:\.\d+)?$")
_TEMPORARY = re.compile(r"\..+\.([^/]+?)\.(\d{1,9})\.\d+\.tmp")

FIRST = ("pointer", "session", "head", "note", "plan", "identity", "history", "decision", "claim")
"""What is read whatever it takes; the others follow, the newest first, until the time is over."""


@dataclass(frozen=True)
class Broken:
    """A file that is not what belongs there.

    Args:
        kind: As in KINDS; `folder` for a file where a folder should be.
        how: `damaged | a folder | a file | not readable | special`, or `sealed` of what is damaged in a sealed file.
        why: The same for people.
        number: The batch, trial or decision, where the name tells it.
    """

    path: str
    kind: str
    how: str
    why: str
    number: int | None = None


@dataclass(frozen=True)
class Temporary:
    """A file that was to become another one, by the host and process that wrote it."""

    path: str
    host: str
    pid: int
    changed: float


@dataclass(frozen=True)
class ClaimFile:
    """A claim as it was found; an empty record where it is damaged."""

    path: str
    number: int
    attempt: int
    changed: float
    record: Mapping[str, Any]


@dataclass
class Inspection:
    """What was found.

    Attributes:
        broken: Files that are not what belongs there.
        aside: Records that were found to be damaged earlier and set aside.
        records: What the single files hold (`session`, `head`, `pointer`, ...), by path below the study's folder.
        results: When the result of each trial was written; 0 where it was not read.
        batches: Numbers of batch records; `copies` those of their copies.
        metrics: Outcomes as (metrics digest, trial, batch).
        index_keys: The same, of the indexes; `index_bad` counts their lines that are garbled.
        n_indexed_batches: Lines of the index of batches.
        clocks: Pairs of a host and by how many seconds its clock is behind that of the file server, from its results.
        newest: The latest time of change that was seen, 0 where none was.
        n_unread: Records that were not read because the time was over.
    """

    broken: list[Broken] = field(default_factory=list)
    aside: list[str] = field(default_factory=list)
    temporaries: list[Temporary] = field(default_factory=list)
    claims: list[ClaimFile] = field(default_factory=list)
    records: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    results: dict[int, float] = field(default_factory=dict)
    batches: set[int] = field(default_factory=set)
    copies: set[int] = field(default_factory=set)
    metrics: set[tuple[str, int, int]] = field(default_factory=set)
    index_keys: set[tuple[str, int, int]] = field(default_factory=set)
    index_bad: dict[str, int] = field(default_factory=dict)
    n_indexed_batches: int = 0
    clocks: list[tuple[str, float]] = field(default_factory=list)
    newest: float = 0.0
    n_unread: int = 0


def inspect(paths: StudyPaths, seconds: float = 20.0, clock: Callable[[], float] = time.monotonic) -> Inspection:
    """Look through a study's folder.

    Args:
        seconds: After so long no further record is read; all are listed.
    """
    found = Inspection()
    deadline = clock() + seconds
    files: dict[str, list[tuple[str, re.Match[str]]]] = {}
    for path, relative in _files(paths.root, found):
        for kind, pattern in _KINDS:
            match = pattern.fullmatch(relative)
            if match is not None:
                files.setdefault(kind, []).append((path, match))
                break
    found.batches = {int(match[1]) for _, match in files.get("batch", ())}
    found.copies = {int(match[1]) for _, match in files.get("copy", ())}
    found.results = {int(match[1]): 0.0 for _, match in files.get("result", ())}
    found.metrics = {_metric_key(match) for _, match in files.get("metric", ())}
    for path, match in files.get("index", ()):
        _read_index(found, path, match[0])
    in_place = {match[0] for each in files.values() for _, match in each}
    sealed = sorted(files.get("sealed", ()), key=lambda each: -int(each[1][2]))
    parts = [listed for each in sealed if (listed := _list_part(found, in_place, *each)) is not None]
    for kind in FIRST:
        for each in files.get(kind, ()):
            _read(found, kind, *each)
    later = [("metric", *each) for each in files.get("metric", ()) if _metric_key(each[1]) not in found.index_keys]
    for kind in ("result", "batch", "copy"):
        later += [(kind, *each) for each in sorted(files.get(kind, ()), key=lambda each: -int(each[1][1]))]
    for n_read, (kind, path, match) in enumerate(later):
        if clock() > deadline:
            found.n_unread = len(later) - n_read
            break
        _read(found, kind, path, match)
    for sealed_part, names in parts:
        with closing(sealed_part):
            for n_read, (name, relative) in enumerate(names.items()):
                if clock() > deadline:
                    found.n_unread += len(names) - n_read
                    break
                _read_sealed(found, sealed_part, name, relative)
    return found


def _list_part(
    found: Inspection, in_place: set[str], path: str, match: re.Match[str]
) -> tuple[Part, dict[str, str]] | None:
    """What a sealed file holds, and those of its entries that count, with their paths below the study's folder.

    Args:
        in_place: Paths of what is in its place or in a later sealed file.
    """
    try:
        content(path)  # a pipe is not opened as a file
        part = Part(path)
    except OSError as error:
        found.broken.append(_broken(path, "sealed", error))
        return None
    if part.damage:
        found.broken.append(Broken(path, "sealed", "damaged", part.damage))
    names = {}
    for name in part.entries:
        relative = f"{match[1]}/{name}"
        kind, number = kind_of(relative)
        if kind == "result" and number is not None:
            found.results.setdefault(number, os.stat(path).st_mtime)
        elif kind in ("batch", "copy") and number is not None:
            (found.batches if kind == "batch" else found.copies).add(number)
        elif kind == "metric":
            fields = _METRIC.fullmatch(relative)
            assert fields is not None
            found.metrics.add(_metric_key(fields))
        if relative not in in_place:
            names[name] = relative
            in_place.add(relative)
    return part, names


def _read_sealed(found: Inspection, part: Part, name: str, relative: str) -> None:
    """Read one entry of a sealed file and note what is wrong with it."""
    kind, number = kind_of(relative)
    if not kind:
        kind, number = "text", int(name.partition("/")[0])
    try:
        if kind == "text":
            for _ in part.pieces(name):
                pass
            return
        why = why_damaged(relative, part.read(name))
    except DamagedSeal as error:
        why = str(error)
    except OSError as error:
        why = error.strerror or str(error)
    if why:
        found.broken.append(Broken(part.path, kind, "sealed", why if name in why else f"{name} in it: {why}", number))


def _metric_key(match: re.Match[str]) -> tuple[str, int, int]:
    return match[1], int(match[2]), int(match[3])


# ---- listing -----------------------------------------------------------------------------------------------
def _files(root: str, found: Inspection) -> Iterator[tuple[str, str]]:
    """All files of the ledger and the state, as (path, path below the study's folder).

    Only folders are read: on a network file system it is asking for each of ten thousand files that takes long.
    """
    todo = [(os.path.join(root, name), name, 1) for name in ("ledger", "state")]
    trials = os.path.join(root, "trials")
    if os.path.lexists(trials) and not os.path.isdir(trials):
        found.broken.append(Broken(trials, "folder", "a file", "a file is where a folder should be"))
    elif os.path.isdir(trials):
        yield from _sealed_texts(trials, found)
    while todo:
        folder, name, depth = todo.pop()
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except FileNotFoundError:
            continue
        except OSError as error:
            found.broken.append(_not_listed(folder, error))
            continue
        for entry in entries:
            relative = f"{name}/{entry.name}"
            temporary = _TEMPORARY.fullmatch(entry.name)
            try:
                is_folder = entry.is_dir()
                changed = entry.stat().st_mtime if temporary is not None else 0.0
            except FileNotFoundError:  # gone meanwhile
                continue
            except OSError as error:
                found.broken.append(_unreadable(entry.path, relative, error))
                continue
            if temporary is not None:
                found.temporaries.append(Temporary(entry.path, temporary[1], int(temporary[2]), changed))
            elif _ASIDE.search(entry.name):
                found.aside.append(entry.path)
            elif is_folder:
                kind, number = kind_of(relative)
                if kind:
                    why = "a folder is where a file should be"
                    found.broken.append(Broken(entry.path, kind, "a folder", why, number))
                elif depth < DEEPEST:
                    todo.append((entry.path, relative, depth + 1))
            elif _FOLDERS.fullmatch(relative):
                found.broken.append(Broken(entry.path, "folder", "a file", "a file is where a folder should be"))
            else:
                yield entry.path, relative


def _sealed_texts(trials: str, found: Inspection) -> Iterator[tuple[str, str]]:
    """Sealed files beside the folders of trials; these belong to the programs."""
    try:
        names = os.listdir(trials)
    except OSError as error:
        found.broken.append(_not_listed(trials, error))
        return
    for name in sorted(names):
        if name.endswith(".zip"):
            yield os.path.join(trials, name), f"trials/{name}"


def kind_of(relative: str) -> tuple[str, int | None]:
    """What a file is by its path below the study's folder, and its number; empty where it is nothing of ours."""
    for kind, pattern in _KINDS:
        match = pattern.fullmatch(relative)
        if match is not None:
            return kind, _number(kind, match)
    return "", None


def _number(kind: str, match: re.Match[str]) -> int | None:
    if kind == "metric":
        return int(match[2])
    return int(match[1]) if match.re.groups else None


def _not_listed(folder: str, error: OSError) -> Broken:
    if isinstance(error, NotADirectoryError):
        return Broken(folder, "folder", "a file", "a file is where a folder should be")
    return Broken(folder, "folder", "not readable", error.strerror or str(error))


def _unreadable(path: str, relative: str, error: OSError) -> Broken:
    kind, number = kind_of(relative)
    return Broken(path, kind or "file", "not readable", error.strerror or str(error), number)


# ---- reading -----------------------------------------------------------------------------------------------
class NotAFile(OSError):
    """What is there is a pipe, a socket or a device: reading it may never end."""


def content(path: str) -> bytes:
    """What a file holds.

    Raises:
        NotAFile: It is no regular file.
    """
    return _content(path)[0]


def _content(path: str) -> tuple[bytes, float]:
    """The same, and when it was changed."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise NotAFile(error.errno, "it is no regular file", path) from None
        raise
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise NotAFile(errno.EINVAL, "it is no regular file", path)
        return file.read(), status.st_mtime


def _broken(path: str, kind: str, error: OSError, number: int | None = None) -> Broken:
    how = "special" if isinstance(error, NotAFile) else "not readable"
    return Broken(path, kind, how, error.strerror or str(error), number)


def _read(found: Inspection, kind: str, path: str, match: re.Match[str]) -> None:
    """Read one record, note what is wrong with it, and keep what is asked of it."""
    number = _number(kind, match)
    record: Any = None
    changed = 0.0
    try:
        data, changed = _content(path)
        record, why = _understood(kind, match, data)
        if why:
            found.broken.append(Broken(path, kind, "damaged", why, number))
    except FileNotFoundError as error:
        if not os.path.islink(path):  # removed meanwhile, as claims are
            return
        found.broken.append(_broken(path, kind, error, number))
    except OSError as error:
        found.broken.append(_broken(path, kind, error, number))
    found.newest = max(found.newest, changed)
    if kind == "result":
        found.results[int(match[1])] = changed
    known: Mapping[str, Any] = record if isinstance(record, dict) else {}
    if kind == "claim":
        found.claims.append(ClaimFile(path, int(match[1]), int(match[2]), changed, known))
    elif kind == "result" and known:
        behind = _behind(known, changed)
        if behind is not None:
            found.clocks.append(behind)
    elif known and kind in ("session", "head", "pointer", "note"):
        found.records[match[0]] = known


def _understood(kind: str, match: re.Match[str], data: bytes) -> tuple[Any, str]:
    """A record, and why it is none; empty where it is good."""
    try:
        record = unseal(data)
    except (ValueError, RecursionError, MemoryError) as error:
        return None, f"it is not what was written ({_short(str(error))})" if data else "it is empty"
    if not _fits(kind, record, match):
        return None, f"it is JSON, but not that of a {NAMES.get(kind, kind)}"
    return record, ""


def why_damaged(relative: str, data: bytes) -> str:
    """What is wrong with a record, by its path below the study's folder; empty where nothing is."""
    for kind, pattern in _KINDS:
        match = pattern.fullmatch(relative)
        if match is not None:
            return _understood(kind, match, data)[1]
    return "it is no record"


NAMES = {"copy": "batch", "pointer": "pointer to a plan", "metric": "trial's metrics", "note": "note"}
"""How a kind of file is called, where its own name does not say it."""


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."


def _fits(kind: str, record: Any, match: re.Match[str]) -> bool:
    """Whether a record has what everybody reads of its kind."""
    if not isinstance(record, dict):
        return False
    if kind in ("batch", "copy"):
        trials = record.get("trials")
        return (
            record.get("batch") == int(match[1])
            and record.keys() >= OF_A_BATCH
            and isinstance(trials, list)
            and all(isinstance(trial, dict) and trial.keys() >= OF_A_TRIAL for trial in trials)
        )
    if kind == "result":
        return record.get("number", int(match[1])) == int(match[1]) and isinstance(record.get("end"), dict)
    if kind == "claim":
        return isinstance(record.get("pid"), int)
    if kind == "metric":
        ours = record.get("number") == int(match[2]) and record.get("batch") == int(match[3])
        return ours and (record.get("state") == "lost" or record.keys() >= OF_AN_OUTCOME)
    if kind == "decision":
        return isinstance(record.get("kind"), str) and any(isinstance(record.get(k), list) for k in DECIDED)
    if kind == "session":
        return isinstance(record.get("pid"), int) and all(isinstance(record.get(k), str) for k in ("host", "since"))
    if kind == "pointer":
        return isinstance(record.get("plan"), str) and re.fullmatch(r"[0-9a-f]{1,64}", record["plan"]) is not None
    needed = {"plan": ("spec", dict), "head": ("settings", dict)}.get(kind)
    return needed is None or isinstance(record.get(needed[0]), needed[1])


OF_A_BATCH = {"identity", "limits", "answer", "new", "session", "elapsed_s"}
OF_A_TRIAL = {"number", "config", "params", "fidelity", "parent", "replicate", "digest", "origin"}
OF_AN_OUTCOME = {"state", "value", "reason", "detail", "seconds", "max_rss_mb", "metrics"}
"""What `study_state` reads of records, whichever version wrote them."""

DECIDED = ("others", "numbers")


def _behind(result: Mapping[str, Any], written: float) -> tuple[str, float] | None:
    """The host of a result and by how much its clock was behind that of the file server when it was written."""
    host, ended = result.get("host"), result.get("ended")
    if not isinstance(host, str) or not isinstance(ended, str):
        return None
    said = seconds_of_time(ended)
    return None if said is None else (host, written - said)


def seconds_of_time(text: str) -> float | None:
    """`2026-01-31T12:00:00Z` as seconds since 1970; None where it is no such time."""
    import calendar

    try:
        return float(calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ")))
    except (ValueError, OverflowError):
        return None


def _read_index(found: Inspection, path: str, relative: str) -> None:
    """The lines of an index: what they are of, and how many are garbled."""
    name = os.path.basename(relative)
    digest = name.removesuffix(".jsonl")
    try:
        lines = content(path).splitlines()
    except OSError as error:
        found.broken.append(_broken(path, "index", error))
        return
    bad = 0
    for line in lines:
        try:
            record = unseal(line)
        except (ValueError, RecursionError):
            record = None
        if not isinstance(record, dict):
            bad += 1
        elif name == "batches.jsonl":
            good = record.get("batch") == found.n_indexed_batches
            found.n_indexed_batches += good
            bad += not good
        elif "." not in digest:
            number, batch = record.get("number"), record.get("batch")
            if isinstance(number, int) and isinstance(batch, int):
                found.index_keys.add((digest, number, batch))
            else:
                bad += 1
    if bad:
        found.index_bad[path] = bad


# ---- room --------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Room:
    """Space of the study's file system, and what a trial took of it.

    Args:
        free_bytes: What this user may still write.
        free_inodes: Files that may still be made; None where the file system does not count them.
        bytes_each: What the files of a trial that has ended take on average; None while none has.
        inodes_each: Their number.
    """

    free_bytes: int
    free_inodes: int | None
    bytes_each: float | None = None
    inodes_each: float | None = None


SAMPLED, ENTRIES = 20, 2000
"""So many trials are measured, evenly spread, and so many files of each at most."""

RECORDS_OF_A_TRIAL = 3
"""A trial's files beside its folder: result, metrics, its share of a batch, of which each takes at least one block."""


def measure_room(paths: StudyPaths, ended: Iterable[int]) -> Room | None:
    """How much room there is, or None where the file system does not say it."""
    try:
        free = os.statvfs(paths.root)
    except OSError:
        return None
    numbers = sorted(ended)
    step = max(1, len(numbers) // SAMPLED)
    folders = [paths.trial_dir(number) for number in numbers[::step]]
    sizes = [taken(folder, ENTRIES) for folder in folders if os.path.isdir(folder)]  # not what is sealed
    inodes = int(free.f_favail) if free.f_files else None
    free_bytes = int(free.f_bavail * free.f_frsize)
    if not sizes:
        return Room(free_bytes, inodes)
    block = free.f_frsize * RECORDS_OF_A_TRIAL
    return Room(
        free_bytes,
        inodes,
        sum(size for _, size in sizes) / len(sizes) + block,
        sum(n for n, _ in sizes) / len(sizes) + RECORDS_OF_A_TRIAL,
    )


def taken(root: str, most: int | None = None) -> tuple[int, int]:
    """How many files and folders there are from `root` down, itself included, and their bytes on the disk.

    No link is followed.

    Args:
        most: About so many are looked at; None for all.
    """
    n, size = 1, 0
    todo = [root]
    while todo and (most is None or n < most):
        try:
            entries = list(os.scandir(todo.pop()))
        except OSError:  # it has gone, or is none of ours
            continue
        for entry in entries[:most]:
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            n += 1
            size += status.st_blocks * 512
            if stat.S_ISDIR(status.st_mode):
                todo.append(entry.path)
    return n, size


def not_writable(paths: StudyPaths) -> list[str]:
    """Folders of the study that this user may not write into; those of single trials are left to them."""
    last = paths.root
    while not os.path.lexists(last):
        last = os.path.dirname(last) or "."
    folders = [last]
    for name in ("ledger", "state", "trials"):
        top = os.path.join(paths.root, name)
        folders.append(top)
        for _ in range(2):
            inner = [each for folder in folders if folder.startswith(top) for each in _folders_in(folder)]
            folders += [
                each for each in inner if each not in folders and _FOLDERS.fullmatch(each[len(paths.root) + 1 :])
            ]
    effective = os.access in os.supports_effective_ids
    return [
        folder
        for folder in folders
        if os.path.isdir(folder) and not os.access(folder, os.W_OK | os.X_OK, effective_ids=effective)
    ]


def _folders_in(folder: str) -> list[str]:
    found = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    found.append(entry.path)
    except OSError:
        pass
    return sorted(found)
