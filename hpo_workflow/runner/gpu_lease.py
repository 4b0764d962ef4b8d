"""GPUs for trials of one machine: a locked file per device, so that two trials never share one by accident.

Snakemake's local executor counts GPUs but does not say which; Slurm does. The lock (`flock`) is held by the runner and,
inherited, by its program: it goes when both have died, however they died.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class GpuError(Exception):
    """The GPUs that a trial asks for cannot be had; the message is a sentence for people."""


def visible_devices(environment: Mapping[str, str]) -> list[str]:
    """Names of the GPUs that may be used: those of CUDA_VISIBLE_DEVICES, else all that nvidia-smi lists."""
    chosen = environment.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        devices = [word.strip() for word in chosen.split(",")]
        return [word for word in devices if word and word not in ("-1", "NoDevFiles", "void", "none")]
    import subprocess

    try:
        listed = subprocess.run(
            ["nvidia-smi", "-L"], stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return []
    names = [line.split(":")[0].split() for line in listed.stdout.decode("utf-8", "replace").splitlines()]
    return [words[1] for words in names if len(words) == 2 and words[0] == "GPU"]


def refuse_missing(asked: int, environment: Mapping[str, str]) -> int:
    """How many GPUs trials of this machine may use.

    Raises:
        GpuError: A trial asks for more than there are.
    """
    found = len(visible_devices(environment))
    if asked > found:
        raise GpuError(f"{asked} asked for each trial, and this machine shows {found}.")
    return found


def _lock_folder() -> str:
    """The folder of the lock files: one per user and machine, and nobody else's."""
    folder = f"/tmp/hpo-workflow-gpus-{os.getuid()}"
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        found = os.lstat(folder)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
            raise GpuError(f"{folder} is not a folder of yours alone; remove it, GPU locks go there") from None
    return folder


class GpuLease:
    """A claim on `n` of `devices`.

    Args:
        devices: Names of all GPUs that may be used.
        n: How many are wanted.
        namespace: Trials exclude each other within one. Device numbers of two Slurm jobs on one node both start
            at 0 and mean different GPUs, so each job is a namespace of its own.
        folder: Where the lock files are.
    """

    def __init__(self, devices: Sequence[str], n: int, namespace: str, folder: str | None = None) -> None:
        if n > len(devices):
            listed = f" ({', '.join(devices)})" if devices else ""
            raise GpuError(f"the trial asks for {n} GPU{'s' * (n != 1)}, and {len(devices)} can be used here{listed}")
        self._devices = list(devices)
        self._n = n
        self._folder = folder if folder is not None else _lock_folder()
        self._namespace = namespace
        self._held: dict[str, int] = {}

    def try_take(self) -> list[str] | None:
        """The devices, or None while not enough are free. Either all are taken or none."""
        for device in self._devices:
            if len(self._held) == self._n:
                break
            name = f"{self._namespace}-{''.join(c if c.isalnum() or c in '-.' else '_' for c in device)}"
            path = os.path.join(self._folder, name)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                os.close(descriptor)
                if error.errno not in (errno.EAGAIN, errno.EACCES):
                    raise
                continue
            self._held[device] = descriptor
        if len(self._held) < self._n:
            self.release()
            return None
        for descriptor in self._held.values():
            os.set_inheritable(descriptor, True)
        return list(self._held)

    def release(self) -> None:
        """Give the devices back, also where the program's leftovers still hold the open file."""
        for descriptor in self._held.values():
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)
        self._held.clear()


def lease_for(environment: Mapping[str, str], n: int) -> GpuLease | None:
    """The lease that a trial needs, or None where somebody else has dealt with GPUs; raises GpuError."""
    job = environment.get("SLURM_JOB_ID")
    if n <= 0 or (job and "CUDA_VISIBLE_DEVICES" not in environment):
        return None
    devices = visible_devices(environment)
    if job and len(devices) < n:  # several nodes: this one shows a part of the job's GPUs
        return None
    return GpuLease(devices, n, f"slurm{job}" if job else "local")
