"""Exports of one study to one place, one after the other: a lock that its holder's end frees, however it ends."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
import uuid
from collections.abc import Callable, Iterator

from hpo_workflow.errors import ExportError

WAIT_S = 600.0
POLL_S = 0.2
TELL_S = 2.0
NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EACCES, errno.EPERM, errno.EROFS, errno.EBADF)
"""The folder is somebody else's, or its file system has no locks: then exports are not kept apart."""


class Turns:
    """Turns at a file that several processes share.

    Args:
        path: The file. It holds the name of who had the last turn that changed something.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._name = uuid.uuid4().hex

    @contextlib.contextmanager
    def take(self, wait_s: float = WAIT_S, waiting: Callable[[], None] | None = None) -> Iterator[bool]:
        """Wait for a turn and have it; whether nobody else has changed something since the last one of ours.

        Args:
            wait_s: So long at most.
            waiting: Called once where that takes longer than a moment.

        Raises:
            ExportError: Somebody else has had the turn for all that time.
        """
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            yield False
            return
        try:
            self._wait(descriptor, wait_s, waiting)
            ours = os.pread(descriptor, 64, 0).decode("ascii", "replace") == self._name
            if not ours:
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, self._name.encode(), 0)
            yield ours
        finally:
            os.close(descriptor)  # and with it the lock

    def _wait(self, descriptor: int, wait_s: float, waiting: Callable[[], None] | None) -> None:
        begun = time.monotonic()
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except OSError as error:
                if error.errno in NO_LOCKS and error.errno != errno.EACCES:
                    return
                if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                    raise
            waited = time.monotonic() - begun
            if waited > wait_s:
                raise ExportError(f"{self.path}: another export has been at work for {wait_s:.0f} s. Try again later.")
            if waiting is not None and waited > TELL_S:
                waiting()
                waiting = None
            time.sleep(POLL_S)
