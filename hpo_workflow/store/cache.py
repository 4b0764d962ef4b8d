"""Results that studies share: what was run before, by this study or another one, is not run again.

A folder of entries, each a folder named by the digest of what a trial runs (command, environment, templates, inputs,
parameters), with the result, its log and its metrics file, so that other metric settings can read them. Only programs
that ended by themselves with success are kept. An entry appears whole, in one step, and the first one stays; a study
copies what it takes, so all of it can be deleted at any time. Entries carry the sums of their files: what is garbled is
not taken. Standard library only, Python 3.8 or newer: parse imports it.
"""

from __future__ import annotations

import errno
import hashlib
import itertools
import os
import shutil
import stat

from hpo_workflow.store.atomic import open_beside, read_json, replace, to_json
from hpo_workflow.store.sealed import Sealed, publish

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import IO, Any

    from hpo_workflow.store.paths import StudyPaths

KEPT = ("end", "exit_code", "seconds", "max_rss_mb", "gpus", "host", "started", "ended", "log_bytes", "log_dropped")
"""What a record takes from a result; numbers and paths belong to one study."""

RECORD, LOG, METRICS = "result.json", "log", "metrics.jsonl"
"""The files of an entry; the last one only where the program wrote one."""

PIECE = 1 << 20

_unique = itertools.count()


class DamagedEntry(Exception):
    """An entry is not what was written there.

    Attributes:
        path: The entry.
        why: What is wrong with it, for people.
    """

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path}: {why}")
        self.path = path
        self.why = why


class ResultCache:
    """The results below `folder`. Its methods raise OSError where they may not read or write there."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def entry(self, digest: str) -> str:
        """Where the result of what `digest` names is."""
        return os.path.join(self.folder, digest[:2], digest)

    def find(self, digest: str) -> dict[str, Any] | None:
        """The record of what `digest` names, or None where there is none.

        Raises:
            DamagedEntry: It is not what was written, or one of its files is not there. Their content is not read.
        """
        entry = self.entry(digest)
        try:
            record = read_json(os.path.join(entry, RECORD))
        except ValueError:
            raise DamagedEntry(entry, f"its {RECORD} is garbled") from None
        except NotADirectoryError:
            if not os.path.lexists(entry):
                raise  # the cache itself is a file
            raise DamagedEntry(entry, "it is not a folder") from None
        if record is None:
            if os.path.lexists(entry):
                raise DamagedEntry(entry, f"it has no {RECORD}")
            return None
        if not isinstance(record, dict) or record.get("sum") != _sum_of(record) or record.get("digest") != digest:
            raise DamagedEntry(entry, f"its {RECORD} is garbled")
        for name, (size, _) in record["files"].items():
            try:
                found = os.stat(os.path.join(entry, name)).st_size
            except FileNotFoundError:
                raise DamagedEntry(entry, f"its {name} is not there") from None
            if found != size:
                raise DamagedEntry(entry, f"its {name} has {found} bytes instead of {size}")
        return record

    def keep(self, paths: StudyPaths, result: Mapping[str, Any]) -> bool:
        """Share the result of a trial; True when this call did it. One that did not succeed is not shared."""
        digest = result["digest"]
        if result["end"]["kind"] != "done" or result["end"].get("reason") or result.get("cached") or not result["log"]:
            return False
        if result.get("joined"):  # its output is in several logs, and an entry holds one
            return False
        if self._is_there(digest):
            return False
        entry = self.entry(digest)
        self._make_place(os.path.dirname(entry))
        ours = os.path.join(
            os.path.dirname(entry), f".{digest}.{os.uname().nodename}.{os.getpid()}.{next(_unique)}.tmp"
        )
        try:
            os.mkdir(ours)
            sealed = Sealed(paths)
            log, metrics_file = os.path.join(paths.root, result["log"]), paths.metrics_file(result["number"])
            files = {LOG: _copy(log, os.path.join(ours, LOG), sealed.open)}
            if sealed.exists(metrics_file):
                files[METRICS] = _copy(metrics_file, os.path.join(ours, METRICS), sealed.open)
            record = {
                "schema": 1,
                "digest": digest,
                "source": {"folder": os.path.abspath(paths.root), "trial": result["number"]},
                **{key: result[key] for key in KEPT},
                "metrics": result["metrics"],
                "files": files,
            }
            replace(os.path.join(ours, RECORD), to_json({**record, "sum": _sum_of(record)}) + "\n")
            self._pass_permissions_on(ours, [*files, RECORD])
            return self._put(ours, digest)
        finally:
            shutil.rmtree(ours, ignore_errors=True)

    def _is_there(self, digest: str) -> bool:
        try:
            return self.find(digest) is not None
        except DamagedEntry:
            return False

    def _put(self, ours: str, digest: str) -> bool:
        """Move a whole entry to its place: True when it is ours that is there now. A damaged one makes way."""
        entry = self.entry(digest)
        for _ in range(2):
            try:
                os.rename(ours, entry)
                return True
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                    raise
            if self._is_there(digest):
                return False
            aside = f"{ours}.damaged"
            try:
                os.rename(entry, aside)
            except FileNotFoundError:
                continue  # somebody else was faster
            if os.path.isdir(aside) and not os.path.islink(aside):
                shutil.rmtree(aside, ignore_errors=True)
            else:
                os.unlink(aside)
        return False

    def _make_place(self, folder: str) -> None:
        """A folder of entries. All who may write into the cache may write into it, whatever this user's umask is."""
        os.makedirs(self.folder, exist_ok=True)
        try:
            os.mkdir(folder)
        except FileExistsError:
            return
        os.chmod(folder, stat.S_IMODE(os.stat(self.folder).st_mode))

    def _pass_permissions_on(self, entry: str, files: list[str]) -> None:
        """Who may use the cache's folder may use the entry; nobody but its owner writes into the files."""
        mode = stat.S_IMODE(os.stat(self.folder).st_mode)
        for name in files:
            os.chmod(os.path.join(entry, name), (mode & 0o444) | 0o600)
        os.chmod(entry, mode | 0o700)

    def place(self, paths: StudyPaths, trial: Mapping[str, Any], batch: Mapping[str, Any]) -> bool:
        """Give a trial of `batch` the result that is known already; True when there is one.

        Its outputs are made too, so that Snakemake has nothing to start for it.

        Raises:
            DamagedEntry: There was one, and it is not what was written. Nothing was changed, as with OSError.
        """
        number = trial["number"]
        if Sealed(paths).exists(paths.result_record(number)):
            return False
        record = self.find(trial["digest"])
        if record is None:
            return False
        entry = self.entry(trial["digest"])
        targets = {LOG: paths.log(number, 1), METRICS: paths.metrics_file(number)}
        placed = []
        try:
            for name, known in record["files"].items():
                os.makedirs(paths.trial_dir(number), exist_ok=True)
                placed.append(targets[name])
                if _copy(os.path.join(entry, name), targets[name]) != known:
                    raise DamagedEntry(entry, f"its {name} is garbled")
            result = {
                "schema": 1,
                "number": number,
                "config": trial["config"],
                "batch": batch["batch"],
                "digest": trial["digest"],
                "identity": batch["identity"],
                "params": trial["params"],
                "fidelity": trial["fidelity"],
                "attempts": [],
                "cached": record["source"],
                **{key: record[key] for key in KEPT},
                "log": os.path.relpath(targets[LOG], paths.root),
                "metrics": record["metrics"],
            }
            publish(paths, paths.result_record(number), result)
        except BaseException:
            for path in placed:  # the trial is run then, and its program must not append to another's metrics
                if os.path.lexists(path):
                    os.unlink(path)
            raise
        replace(paths.done(number, batch["batch"]), to_json({"number": number, "batch": batch["batch"]}) + "\n")
        return True


def _sum_of(record: Mapping[str, Any]) -> str:
    """The sum of a record without its own; of one that is not strict JSON nothing that was ever written."""
    try:
        text = to_json({key: record[key] for key in sorted(record) if key != "sum"})
    except ValueError:
        return "not strict JSON"
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(path: str) -> IO[bytes]:
    return open(path, "rb")


def _copy(source: str, target: str, opened: Callable[[str], Any] = _plain) -> list[Any]:
    """Copy a file in one step, readers see no half of it; its size and its sum.

    Args:
        opened: Opens the source.
    """
    digest, size = hashlib.sha256(), 0
    descriptor, temporary = open_beside(target)
    try:
        with open(descriptor, "wb") as written, opened(source) as read:
            while True:
                data = read.read(PIECE)
                if not data:
                    break
                digest.update(data)
                size += len(data)
                written.write(data)
            written.flush()
            os.fsync(written.fileno())
        os.replace(temporary, target)
    except BaseException:
        if os.path.lexists(temporary):
            os.unlink(temporary)
        raise
    return [size, digest.hexdigest()]
