"""Sealing: the files of finished trials packed a thousand at a time (`store/sealed.py`), and unpacked again.

A sealed file is published like any record: written beside its place, flushed, read again and compared with each
original byte by byte, and only then given its name, once. Originals go after that, one by one, so whoever looks finds
each record in its place, sealed, or both; a process that is killed leaves work that the next call ends. What cannot be
read or compared is left alone and told.

Nobody else may run the study meanwhile (`store/session.py`).
"""

from __future__ import annotations

import os
import re
import stat
import time
import zipfile
from calendar import timegm
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from hpo_workflow.store.atomic import open_beside, publish_file
from hpo_workflow.store.inspection import content, why_damaged
from hpo_workflow.store.paths import StudyPaths, shard
from hpo_workflow.store.sealed import PIECE_BYTES, DamagedSeal, Part, Sealed, table_sum

FEWEST = 2
"""So many files are worth a sealed one."""

LOG = re.compile(r"log(\.[0-9]+)?")
TEXTS = re.compile(r"log(\.[0-9]+)?|metrics\.jsonl(\.[0-9]+)?|params\.json")
"""What a trial's folder holds of ours: all of it, and of a trial that others may go on from."""

_PART = re.compile(r"(\d{3,})\.([1-9]\d*)\.zip")
_HALF_WRITTEN = re.compile(r"\.\d{3,}\.\d+\.zip\..+\.tmp")


@dataclass(frozen=True)
class Settled:
    """What may be sealed of a study.

    Args:
        trials: Trials that have ended, and of which nobody runs a copy.
        shards: Of their folders those in which all have; `batch_shards` the same of batches.
        batches: Batches whose trials are all among these.
    """

    trials: Collection[int]
    batches: Collection[int]
    shards: Collection[str]
    batch_shards: Collection[str]

    @classmethod
    def of(cls, emitted: Mapping[int, Collection[int]], unsettled: Collection[int], *, all_finished: bool) -> Settled:
        """What may be sealed.

        Args:
            emitted: The trials of each batch.
            unsettled: Trials that wait or run.
            all_finished: Also in folders that have unsettled ones.
        """
        numbers = {number for trials in emitted.values() for number in trials}
        busy = {batch for batch, trials in emitted.items() if not set(trials).isdisjoint(unsettled)}
        spared = set() if all_finished else {shard(number) for number in unsettled}
        spared_batches = set() if all_finished else {shard(batch) for batch in busy}
        return cls(
            numbers - set(unsettled),
            emitted.keys() - busy,
            {shard(number) for number in numbers} - spared,
            {shard(batch) for batch in emitted} - spared_batches,
        )


@dataclass(frozen=True)
class Bundle:
    """Files that become one sealed file.

    Args:
        kind: `ledger` for write-once records, `state` for what was made of them, `trials` for texts of trials.
        folder: The folder of a thousand entries that they lie in.
        files: Their paths, by their names in the sealed file.
        folders: Folders that go when nothing is left in them, the inner ones first.
    """

    kind: str
    folder: str
    files: Mapping[str, str]
    folders: Collection[str]


@dataclass
class Done:
    """What was done.

    Attributes:
        n_sealed: Files that are sealed now and were not, or are in their places again.
        parts: Sealed files that were made, or have gone.
        n_removed: Files and folders that have gone.
        left: What was left alone, and why, by path.
    """

    n_sealed: int = 0
    parts: list[str] = field(default_factory=list)
    n_removed: int = 0
    left: dict[str, str] = field(default_factory=dict)


# ---- what there is to seal ------------------------------------------------------------------------------------
def find_bundles(
    paths: StudyPaths,
    settled: Settled,
    *,
    texts_of: Collection[int] = (),
    only_logs: bool = False,
    templates: Callable[[int], Collection[str]] = lambda number: (),
) -> list[Bundle]:
    """The files that may be sealed, a bundle for each folder that has enough of them.

    Args:
        texts_of: Trials of which also logs are sealed, and what else we write into their folders.
        only_logs: Of that only the logs: other trials may go on from these folders.
        templates: Files that were rendered into the folder of a trial.
    """
    places = [
        ("ledger", paths.result_record(0), settled.trials, settled.shards),
        ("ledger", paths.batch_record(0), settled.batches, settled.batch_shards),
        ("state", paths.batch(0), settled.batches, settled.batch_shards),
    ]
    for digest in _names_in(os.path.join(paths.state, "metrics")):
        places.append(("state", paths.metric(digest, 0, 0), settled.trials, settled.shards))
    bundles = []
    for kind, example, numbers, shards in places:
        above = os.path.dirname(os.path.dirname(example))
        for name in sorted(shards):
            folder = os.path.join(above, name)
            found = {each: os.path.join(folder, each) for each in _sorted(_names_in(folder), numbers)}
            bundles.append(Bundle(kind, folder, found, [folder]))
    if texts_of:
        numbers = set(texts_of) & set(settled.trials)
        for name in sorted(settled.shards):
            folder = os.path.join(os.path.dirname(os.path.dirname(paths.trial_dir(0))), name)
            found = _texts(paths, folder, numbers, only_logs, templates)
            inner = {os.path.dirname(path) for path in found.values()}
            inner |= {paths.trial_dir(number) for number in _numbers_in(folder) if number in numbers}
            ordered = [] if only_logs else [*sorted(inner, key=len, reverse=True), folder]
            bundles.append(Bundle("trials", folder, found, ordered))
    return [bundle for bundle in bundles if os.path.isdir(bundle.folder)]


def _numbers_in(folder: str) -> list[int]:
    return sorted(int(name) for name in _names_in(folder) if name.isdigit())


def _names_in(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _sorted(names: Iterable[str], numbers: Collection[int]) -> list[str]:
    """The records of these numbers, in their order."""
    found = [(int(match[1]), name) for name in names if (match := re.fullmatch(r"(\d+)(?:-\d+)?\.json", name))]
    return [name for number, name in sorted(found) if number in numbers]


def _texts(
    paths: StudyPaths,
    folder: str,
    numbers: Collection[int],
    only_logs: bool,
    templates: Callable[[int], Collection[str]],
) -> dict[str, str]:
    """What may be sealed of the folders of trials: of those that ended in one piece.

    Attempts that go on from each other (`joined`) are read together, from their places.
    """
    sealed = Sealed(paths)
    found: dict[str, str] = {}
    for number in _numbers_in(folder):
        if number not in numbers:
            continue
        try:
            result = sealed.json(paths.result_record(number))
        except (ValueError, OSError):
            continue
        if not isinstance(result, dict) or result.get("joined"):
            continue
        own = set() if only_logs else {os.path.normpath(name) for name in templates(number)}
        pattern = LOG if only_logs else TEXTS
        own.update(name for name in _names_in(paths.trial_dir(number)) if pattern.fullmatch(name))
        for name in sorted(own):
            path = os.path.join(paths.trial_dir(number), name)
            if not os.path.isabs(name) and not name.startswith("..") and _is_regular(path):
                found[f"{number}/{name}"] = path
    return found


def _is_regular(path: str) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False


# ---- sealing -----------------------------------------------------------------------------------------------
def compact(paths: StudyPaths, bundles: Iterable[Bundle]) -> Done:
    """Seal each bundle and remove what is sealed then."""
    done = Done()
    sweep_half_written(paths)
    for bundle in bundles:
        _compact(paths, bundle, done)
    return done


def _compact(paths: StudyPaths, bundle: Bundle, done: Done) -> None:
    sealed = Sealed(paths)
    parts = sealed.parts(bundle.folder)
    verified: dict[str, tuple[int, ...]] = {}  # what may go, and how it was when it was compared
    wanted: dict[str, str] = {}
    for name, path in bundle.files.items():
        if not _is_regular(path):
            done.left[path] = "it is no regular file"
            continue
        holder = next((part for part in reversed(parts) if name in part.entries), None)
        state = None
        if holder is not None:  # a call before was killed, or it was written again since
            try:
                state = _same(holder, name, path)
            except DamagedSeal:
                wanted[name] = path
                continue
            if state is not None:
                verified[path] = state
            elif bundle.kind == "ledger":
                done.left[path] = f"it is not what is sealed in {holder.path}"
            else:  # made anew since
                wanted[name] = path
        elif any(part.damage for part in parts):
            done.left[path] = "a sealed file of its folder is damaged, and may hold it"
        else:
            wanted[name] = path
    if bundle.kind != "trials":
        for name, path in list(wanted.items()):
            why = _why_not(paths, path)
            if why:
                done.left[path] = why
                del wanted[name]
    if len(wanted) >= FEWEST:
        part = paths.sealed(bundle.folder, len(parts) + 1)
        new = _seal(part, wanted)
        if not publish_file(part, new.temporary):
            raise FileExistsError(17, "somebody else has sealed this meanwhile", part)
        verified.update(new.verified)
        done.n_sealed += len(wanted)
        done.parts.append(part)
    for path, state in verified.items():
        if _state_of(path) == state:
            os.unlink(path)
            done.n_removed += 1
    _remove_empty(bundle, done)


def _why_not(paths: StudyPaths, path: str) -> str:
    """Why a record is not to be sealed; empty where it is good."""
    try:
        return why_damaged(os.path.relpath(path, paths.root), content(path))
    except OSError as error:
        return error.strerror or str(error)


@dataclass(frozen=True)
class _New:
    temporary: str
    verified: Mapping[str, tuple[int, ...]]


def _seal(part: str, files: Mapping[str, str]) -> _New:
    """A new sealed file that has no name yet, compared with its originals."""
    descriptor, temporary = open_beside(part)
    try:
        with open(descriptor, "wb") as raw:
            with zipfile.ZipFile(raw, "w") as archive:
                for name, path in files.items():
                    _add(archive, name, path)
                archive.comment = table_sum(archive.infolist())
            raw.flush()
            os.fsync(raw.fileno())
            if hasattr(os, "posix_fadvise"):  # what is compared comes from the disk, as far as that can be asked for
                os.posix_fadvise(raw.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        verified = {}
        reader = Part(temporary)
        try:
            if reader.damage or set(reader.entries) != set(files):
                raise OSError(5, "what was written is not what can be read again", part)
            for name, path in files.items():
                state = _same(reader, name, path)
                if state is None:
                    raise OSError(5, "what was written is not what can be read again", path)
                verified[path] = state
        except DamagedSeal as error:
            raise OSError(5, f"what was written cannot be read again ({error})", part) from None
        finally:
            reader.close()
        return _New(temporary, verified)
    except BaseException:
        os.unlink(temporary)
        raise


def _add(archive: zipfile.ZipFile, name: str, path: str) -> None:
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
        status = os.fstat(file.fileno())
        when = time.gmtime(status.st_mtime)
        entry = zipfile.ZipInfo(name, max((1980, 1, 1, 0, 0, 0), when[:6]))
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry.external_attr = stat.S_IMODE(status.st_mode) << 16
        with archive.open(entry, "w", force_zip64=status.st_size >= 1 << 30) as packed:
            while data := file.read(PIECE_BYTES):
                packed.write(data)


def _state_of(path: str) -> tuple[int, ...] | None:
    """What tells whether a file is the one that it was."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _same(part: Part, name: str, path: str) -> tuple[int, ...] | None:
    """How a file is, if its content is what is sealed under a name; None where it is another one."""
    state = _state_of(path)
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
        is_same = True
        for piece in part.pieces(name):  # to its end: only there its sum is checked
            is_same = is_same and file.read(len(piece)) == piece
        return state if is_same and not file.read(1) else None


def _remove_empty(bundle: Bundle, done: Done) -> None:
    """Remove the folders that nothing is left in, also those of a call before that was killed."""
    for folder in bundle.folders:
        try:
            os.rmdir(folder)
            done.n_removed += 1
        except OSError:  # something is in it, or it has gone
            continue


def sweep_half_written(paths: StudyPaths) -> int:
    """Remove sealed files that somebody had begun to write and was killed; how many there were."""
    n = 0
    for above in _places(paths):
        for name in _names_in(above):
            if _HALF_WRITTEN.fullmatch(name):
                os.unlink(os.path.join(above, name))
                n += 1
    return n


def _places(paths: StudyPaths) -> list[str]:
    """The folders that sealed files lie in."""
    examples = [paths.result_record(0), paths.batch_record(0), paths.batch(0), os.path.join(paths.trial_dir(0), "log")]
    found = [os.path.dirname(paths.place_in_seal(path)[0]) for path in examples]
    metrics = os.path.join(paths.state, "metrics")
    return [*found, *(os.path.join(metrics, digest) for digest in _names_in(metrics))]


def leftovers(paths: StudyPaths, settled: Settled) -> Iterator[str]:
    """Files that nobody needs of trials that have ended: marks for Snakemake, and claims."""
    for example, pattern in ((paths.done(0, 0), r"(\d+)-\d+\.json"), (paths.claim(0, 1), r"(\d+)\.\d+\.json")):
        above = os.path.dirname(os.path.dirname(example))
        for name in sorted(settled.shards):
            for each in _names_in(os.path.join(above, name)):
                match = re.fullmatch(pattern, each)
                if match is not None and int(match[1]) in settled.trials:
                    yield os.path.join(above, name, each)


def remove_leftovers(paths: StudyPaths, settled: Settled, done: Done) -> None:
    """Remove them, and the folders that they leave empty."""
    for path in list(leftovers(paths, settled)):
        os.unlink(path)
        done.n_removed += 1
        try:
            os.rmdir(os.path.dirname(path))
            done.n_removed += 1
        except OSError:
            continue


# ---- unpacking ---------------------------------------------------------------------------------------------
def sealed_folders(paths: StudyPaths) -> dict[str, list[str]]:
    """The sealed files of a study in order, by the folder whose files they hold."""
    found: dict[str, list[tuple[int, str]]] = {}
    for above in _places(paths):
        for name in _names_in(above):
            match = _PART.fullmatch(name)
            if match is not None:
                found.setdefault(os.path.join(above, match[1]), []).append((int(match[2]), os.path.join(above, name)))
    return {folder: [path for _, path in sorted(parts)] for folder, parts in found.items()}


def unpack(paths: StudyPaths) -> Done:
    """Put every file into its place again and remove the sealed ones; a damaged one stays."""
    done = Done()
    sweep_half_written(paths)
    for folder, parts in sealed_folders(paths).items():
        newer: set[str] = set()
        for path in reversed(parts):  # the last one first: of those that are left none is missing in between
            part = Part(path)
            try:
                is_whole = not part.damage
                if part.damage:
                    done.left[path] = part.damage
                for name in sorted(part.entries.keys() - newer):
                    try:
                        is_whole &= _unpack(part, name, os.path.join(folder, name), done)
                        newer.add(name)
                    except DamagedSeal as error:
                        is_whole = False
                        done.left[f"{path} ({name})"] = str(error)
            finally:
                part.close()
            if not is_whole:
                break
            os.unlink(path)
            done.parts.append(path)
    return done


def _unpack(part: Part, name: str, path: str, done: Done) -> bool:
    """Put one file into its place; False where another one is there."""
    if os.path.lexists(path):
        if _is_regular(path) and _same(part, name, path) is not None:
            return True
        done.left[path] = f"it is not what is sealed in {part.path}; both stay"
        return False
    entry = part.entries[name]
    descriptor, temporary = open_beside(path)
    try:
        with open(descriptor, "wb") as file:
            for piece in part.pieces(name):
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
            when = timegm((*entry.date_time, 0, 0, 0))
            os.utime(file.fileno(), (when, when))
            mode = stat.S_IMODE(entry.external_attr >> 16)
            os.fchmod(file.fileno(), mode & 0o777 or 0o644)
    except BaseException:
        os.unlink(temporary)
        raise
    done.n_sealed += publish_file(path, temporary)
    return True
