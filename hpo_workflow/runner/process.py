"""A program in a session of its own: started, read, measured, and ended when it must end."""

from __future__ import annotations

import errno
import os
import select
import signal
import stat
import time

from hpo_workflow.runner.claim import kill_processes, processes_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from hpo_workflow.metrics import MetricReader
    from hpo_workflow.runner.pruning import Pruning

STORAGE_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.ESTALE, errno.EFBIG)
"""What a full or broken disk answers."""
POLL_S = 5.0
"""How often the stop file, the heartbeat and $HPO_METRICS_FILE are looked at."""
LEFTOVER_S = 5.0
"""How long processes may go on that a program leaves behind when it ends by itself."""
READ_BYTES = 64 * 1024
TAIL_BYTES = 4096
_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 1e6


JOB_VARIABLES = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "JOB_ID", "_CONDOR_SCRATCH_DIR")
"""Set by Slurm, PBS, LSF, Grid Engine, HTCondor inside a job."""


def in_cluster_job() -> bool:
    """Whether a scheduler started this process, and ends it when its time is over."""
    return any(name in os.environ for name in JOB_VARIABLES)


class Signals:
    """The signals that the runner gets, as facts to look at: `wake` can be polled, `stop` is the first order to end."""

    def __init__(self) -> None:
        self.stop: int | None = None
        self.n_stops = 0
        self.wake, self._write = os.pipe()
        for descriptor in (self.wake, self._write):
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
                signal.signal(number, self._on_stop)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)

    def _on_stop(self, number: int, frame: object) -> None:
        self.stop = self.stop or number
        self.n_stops += 1

    def drain(self) -> None:
        """Forget what woke the poll."""
        try:
            while os.read(self.wake, 4096):
                pass
        except BlockingIOError:
            pass

    def sleep(self, seconds: float) -> None:
        """Sleep, but not through a signal."""
        if self.stop is None:
            select.select([self.wake], [], [], seconds)
            self.drain()


class LogFile:
    """A log of at most `cap` bytes: the whole, or its first and last half and a line that says what is missing.

    While the program runs, `path` grows up to half of the cap; the rest goes to files beside it (`path.tail.N`), of
    which the last two are kept and joined at the end.

    Attributes:
        written: Bytes that were given in all.
        dropped: Bytes that are not in the log; known after `close`.
    """

    def __init__(self, path: str, cap: int) -> None:
        self.path = path
        self.written = 0
        self.dropped = 0
        self._half = max(cap // 2, 1)
        self._size = 0
        self._tails: list[tuple[str, int]] = []
        self._n_tails = 0
        self._file = self._open(path)

    @staticmethod
    def _open(path: str) -> int:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)

    def write(self, data: bytes) -> None:
        self.written += len(data)
        while data:
            if self._size >= self._half:
                self._next_tail()
            piece = data[: self._half - self._size]
            data = data[len(piece) :]
            while piece:
                n = os.write(self._file, piece)
                self._size += n
                piece = piece[n:]
            if self._tails:
                self._tails[-1] = (self._tails[-1][0], self._size)

    def _next_tail(self) -> None:
        os.close(self._file)
        self._file = -1
        self._n_tails += 1
        path = f"{self.path}.tail.{self._n_tails}"
        self._file = self._open(path)
        self._size = 0
        self._tails.append((path, 0))
        if len(self._tails) > 2:
            os.unlink(self._tails.pop(0)[0])

    def close(self) -> None:
        """Make one file of it."""
        if self._file < 0:
            return
        os.close(self._file)
        self._file = -1
        if not self._tails:
            return
        kept = sum(size for _, size in self._tails)
        skip = max(0, kept - self._half)
        self.dropped = self.written - self._half - (kept - skip)
        with open(self.path, "ab") as log:
            if self.dropped:
                log.write(f"\n[... {self.dropped} bytes left out here: limits.log ...]\n".encode())
            for path, size in self._tails:
                with open(path, "rb") as tail:
                    tail.seek(min(skip, size))
                    skip -= min(skip, size)
                    while True:
                        data = tail.read(1 << 20)
                        if not data:
                            break
                        log.write(data)
        for path, _ in self._tails:
            os.unlink(path)


class Program:
    """A program that is forked and waits for `release` before it becomes what it shall be.

    Its standard input is empty, its standard output and error are one pipe.

    Attributes:
        group: Its pid, process group and session.
        output: The reading end of the pipe.
    """

    def __init__(self, argv: Sequence[str], directory: str, environment: Mapping[str, str]) -> None:
        self.output, write = os.pipe()
        gate, self._gate = os.pipe()
        self._trouble, trouble = os.pipe()
        self.group = os.fork()
        if self.group == 0:
            _become(argv, directory, environment, write, gate, trouble, close=(self._gate,))
        for descriptor in (write, gate, trouble):
            os.close(descriptor)

    def release(self) -> OSError | None:
        """Let it start; the error when it could not."""
        os.write(self._gate, b"x")
        os.close(self._gate)
        trouble = b""
        while True:
            piece = os.read(self._trouble, 4096)
            if not piece:
                break
            trouble += piece
        os.close(self._trouble)
        if not trouble:
            return None
        number, _, name = trouble.decode("utf-8", "replace").partition(" ")
        return OSError(int(number), os.strerror(int(number)), name)

    def signal(self, number: int) -> bool:
        """Send to the whole group; False when it has gone."""
        try:
            os.killpg(self.group, number)
        except ProcessLookupError:
            return False
        except PermissionError:  # a set-uid member; the others got it
            return True
        return True


def _become(
    argv: Sequence[str],
    directory: str,
    environment: Mapping[str, str],
    write: int,
    gate: int,
    trouble: int,
    close: Sequence[int],
) -> None:
    """In the child: turn into the program. Never returns."""
    what = directory
    try:
        os.setsid()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        for descriptor in close:
            os.close(descriptor)
        if not os.read(gate, 1):  # the runner died before it let us start
            os._exit(125)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((nothing, 0), (write, 1), (write, 2)):
            os.dup2(source, target)
        os.chdir(directory)
        what = argv[0]
        os.execvpe(argv[0], list(argv), dict(environment))
    except OSError as error:
        os.write(trouble, f"{error.errno} {what}".encode("utf-8", "replace"))
    except BaseException as error:  # a forked copy of the runner must not live on
        os.write(trouble, f"{errno.EINVAL} {what}: {error}".encode("utf-8", "replace")[:4096])
    os._exit(127)


def resident_mb(session: int) -> float:
    """Memory of all processes of a session now, in MB; pages that they share are counted by each."""
    pages = 0
    try:
        entries = os.listdir("/proc")
    except OSError:
        return 0.0
    for entry in entries:
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session:
            pages += int(fields[21])
    return pages * _PAGE_MB


def dies_of(number: int, pid: int) -> bool:
    """Whether a signal would kill a process, which neither catches nor ignores it; False where that is not known."""
    masks = {}
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
            for line in file:
                name, _, value = line.partition(":")
                if name in ("SigIgn", "SigCgt"):
                    masks[name] = int(value, 16)
    except (OSError, ValueError):
        return False
    return len(masks) == 2 and not (masks["SigIgn"] | masks["SigCgt"]) >> (number - 1) & 1


def oom_kills() -> int:
    """How many processes the kernel has killed for memory in this process's control groups, so far."""
    total = 0
    try:
        with open("/proc/self/cgroup", encoding="utf-8") as file:
            groups = [line.strip().split(":", 2) for line in file]
    except OSError:
        return 0
    for _, controllers, path in groups:
        if controllers == "":
            candidates = [f"/sys/fs/cgroup{path}/memory.events", "/sys/fs/cgroup/memory.events"]
        elif "memory" in controllers.split(","):
            base = "/sys/fs/cgroup/memory"
            candidates = [f"{base}{path}/memory.oom_control", f"{base}/memory.oom_control"]
        else:
            continue
        for candidate in candidates:
            try:
                with open(candidate, encoding="utf-8") as file:
                    words = [line.split() for line in file]
            except OSError:
                continue
            total += sum(int(pair[1]) for pair in words if len(pair) == 2 and pair[0] == "oom_kill")
            break
    return total


class MetricsFile:
    """$HPO_METRICS_FILE, read as it grows."""

    def __init__(self, path: str, reader: MetricReader) -> None:
        self._path = path
        self._reader = reader
        self._offset = 0

    def read(self) -> list[tuple[float, float]] | None:
        """Read what is new: its points, None where there was nothing."""
        points: list[tuple[float, float]] | None = None
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return None
            os.lseek(descriptor, self._offset, os.SEEK_SET)
            while True:
                data = os.read(descriptor, READ_BYTES)
                if not data:
                    return points
                self._offset += len(data)
                points = (points or []) + self._reader.feed_records(data)
        except OSError:
            return points
        finally:
            os.close(descriptor)


class Order:
    """Why a program is ended before its time: what is recorded of it."""

    def __init__(self, kind: str, reason: str | None, detail: str) -> None:
        self.kind = kind
        self.reason = reason
        self.detail = detail


class Outcome:
    """How a program ended.

    Attributes:
        exit_code: Its own, or minus the signal that ended it; None when it was still there after SIGKILL.
        order: Why it was ended, None when it ended by itself.
        seconds: From its start to its end.
        max_rss_mb: Peak of its memory: of its largest process, or of all together where a sample saw more.
        last_words: The last line that it printed.
        oom_kills: Processes that the kernel killed for memory meanwhile.
    """

    exit_code: int | None = None
    order: Order | None = None
    seconds = 0.0
    max_rss_mb = 0.0
    last_words = b""
    oom_kills = 0


class Supervisor:
    """Watches one program to its end.

    Args:
        program: Forked, not released.
        log: Where its output goes.
        reader: Is fed its output.
        metrics_file: $HPO_METRICS_FILE.
        directory: The trial's directory; processes that leave the group are known by it.
        signals: The orders that the runner gets.
        check: Is asked every POLL_S whether the program must end.
        on_order: Is told at once when it must, before it has ended.
        deadline: On the monotonic clock.
        pruning: Judges what it reports; None where the study has no pruner.
    """

    def __init__(
        self,
        program: Program,
        log: LogFile,
        reader: MetricReader,
        metrics_file: MetricsFile,
        directory: str,
        signals: Signals,
        check: Callable[[], Order | None],
        on_order: Callable[[Order], None],
        limits: Mapping[str, Any],
        deadline: float | None,
        runtime_s: float | None,
        pruning: Pruning | None = None,
    ) -> None:
        self._program = program
        self._log = log
        self._reader = reader
        self._metrics_file = metrics_file
        self._directory = directory
        self._signals = signals
        self._check = check
        self._on_order = on_order
        self._silence_s: float | None = limits.get("silence_s")
        self._grace_s: float = limits["grace_s"]
        self._deadline = deadline
        self._runtime_s = runtime_s
        self._pruning = pruning
        self._outcome = Outcome()
        self._ended = False
        self._dies_of_term = False
        self._tail = b""
        self._heard = 0.0
        self._kill_at: float | None = None
        self._killed = False
        self._open = True

    def run(self) -> Outcome:
        """Start the program and stay with it until nothing of it is left."""
        outcome = self._outcome
        before = oom_kills()
        started = time.monotonic()
        self._heard = started
        trouble = self._program.release()
        next_poll = started + POLL_S
        sample_step = 0.5
        next_sample = started + sample_step
        ended: float | None = None
        poll = select.poll()
        poll.register(self._program.output, select.POLLIN)
        poll.register(self._signals.wake, select.POLLIN)
        while True:
            now = time.monotonic()
            waits = [next_poll]
            if ended is None:
                waits.append(next_sample)
            waits += [when for when in (self._deadline, self._kill_at) if when is not None and when > now]
            if self._pruning is not None and self._pruning.due is not None and self._may_prune():
                waits.append(self._pruning.due)
            if self._silence_s is not None and outcome.order is None and ended is None:
                waits.append(self._heard + self._silence_s)
            if ended is not None or self._killed:
                waits.append(now + 0.1)
            events = poll.poll(max(0.0, min(waits) - now) * 1000 + 1)
            for descriptor, _ in events:
                if descriptor == self._signals.wake:
                    self._signals.drain()
                elif not self._read():
                    poll.unregister(self._program.output)
            now = time.monotonic()
            if now >= next_poll:
                points = self._metrics_file.read()
                if points is not None:
                    self._heard = now
                    self._take(points, recorded=True)
            self._prune()
            if ended is None and self._reap():
                ended = now
                outcome.seconds = now - started
            if now >= next_poll:
                next_poll = now + POLL_S
                order = self._check()  # also while the program ends: it is the heartbeat
                if order is not None and ended is None:
                    self._give(order)
            if ended is None and now >= next_sample:
                outcome.max_rss_mb = max(outcome.max_rss_mb, resident_mb(self._program.group))
                sample_step = min(sample_step * 2, 15.0)
                next_sample = now + sample_step
            self._obey(now, ended)
            if ended is not None and self._is_over(now, ended):
                break
            if self._killed and self._kill_at is not None and now > self._kill_at + 10:
                break  # stuck in the kernel; nobody can end it
        while self._open and self._read(wait=False):
            pass
        os.close(self._program.output)
        self._metrics_file.read()
        if self._ended_before_the_order():
            outcome.order = None
        if trouble is not None:
            self._note(f"{trouble.filename}: {trouble.strerror}\n".encode())
        outcome.oom_kills = oom_kills() - before
        lines = self._tail.replace(b"\r", b"\n").rstrip().rsplit(b"\n", 1)
        outcome.last_words = lines[-1]
        try:
            self._log.close()
        except OSError as error:
            if error.errno not in STORAGE_ERRORS:
                raise
            self._storage(error)
        return outcome

    # ---- output --------------------------------------------------------------------------------------------
    def _read(self, wait: bool = True) -> bool:
        """Read once; False at the end of the output."""
        if not wait and not select.select([self._program.output], [], [], 0)[0]:
            return False
        data = os.read(self._program.output, READ_BYTES)
        if not data:
            self._open = False
            return False
        self._heard = time.monotonic()
        self._note(data)
        self._take(self._reader.feed(data), recorded=False)
        return True

    def _take(self, points: list[tuple[float, float]], recorded: bool) -> None:
        """What new points of metrics mean: the target comes first."""
        if points:
            self._stop_at_target()
            if self._pruning is not None:
                self._pruning.report(points, recorded)

    def _note(self, data: bytes) -> None:
        self._tail = (self._tail + data)[-TAIL_BYTES:]
        if self._outcome.order is not None and self._outcome.order.reason == "storage":
            return
        try:
            self._log.write(data)
        except OSError as error:
            if error.errno not in STORAGE_ERRORS:
                raise
            self._storage(error)

    def _storage(self, error: OSError) -> None:
        order = Order("lost", "storage", f"the log {self._log.path} cannot be written: {error.strerror}")
        self._outcome.order = None
        self._give(order)

    # ---- the end -------------------------------------------------------------------------------------------
    def _stop_at_target(self) -> None:
        given = self._outcome.order
        if (given is not None and given.kind != "pruned") or not self._reader.target_reached():
            return
        order = Order("done", "target", f"{self._reader.objective} reached the target {self._reader.best():.6g}")
        if given is None:
            self._give(order)
        else:  # it was hopeless, and reached the target while it ended: that counts
            self._outcome.order = order
            self._on_order(order)

    def _may_prune(self) -> bool:
        return self._outcome.order is None and not self._ended

    def _prune(self) -> None:
        """End the program if its reports are hopeless, unless it has ended by itself meanwhile."""
        if self._pruning is None or not self._may_prune():
            return
        found = self._pruning.judge()
        if found is not None and not found.is_audited and not self._reap():
            self._dies_of_term = dies_of(signal.SIGTERM, self._program.group)
            self._give(Order("pruned", found.rule, found.sentence))

    def _ended_before_the_order(self) -> bool:
        """Whether a program that was told to end because it was hopeless had ended by itself just then: SIGTERM would
        have killed it, and did not."""
        order = self._outcome.order
        if order is None or order.kind != "pruned" or not self._dies_of_term:
            return False
        return self._outcome.exit_code not in (None, -signal.SIGTERM, -signal.SIGKILL)

    def _give(self, order: Order) -> None:
        """The program must end: SIGTERM now, SIGKILL after the grace time."""
        if self._outcome.order is not None:
            return
        self._outcome.order = order
        self._on_order(order)
        self._program.signal(signal.SIGTERM)
        self._program.signal(signal.SIGCONT)  # a stopped process would not see it
        self._kill_at = time.monotonic() + self._grace_s

    def _obey(self, now: float, ended: float | None) -> None:
        if self._signals.stop is not None and ended is None:
            name = signal.Signals(self._signals.stop).name
            if self._outcome.order is None:
                reason = "preempted" if in_cluster_job() else "killed"
                self._give(Order("lost", reason, f"the runner got {name}"))
            if self._signals.stop == signal.SIGINT and self._signals.n_stops > 1 and not self._killed:
                self._kill_at = now  # Ctrl-C twice
        if ended is None and self._outcome.order is None:
            if self._deadline is not None and now >= self._deadline:
                limit = f"{self._runtime_s:g} s" if self._runtime_s is not None else "the limit"
                self._give(Order("failed", "timeout", f"ended before its runtime of {limit} was over"))
            elif self._silence_s is not None and now >= self._heard + self._silence_s:
                self._give(Order("failed", "silence", f"printed nothing for {self._silence_s:g} s (limits.silence)"))
        if self._kill_at is not None and now >= self._kill_at and not self._killed:
            self._killed = True
            self._program.signal(signal.SIGKILL)
            kill_processes(processes_of(self._directory), signal.SIGKILL)

    def _reap(self) -> bool:
        """Whether the program itself has ended."""
        if self._ended:
            return True
        pid, status, usage = os.wait4(self._program.group, os.WNOHANG)
        if pid == 0:
            return False
        self._ended = True
        self._outcome.exit_code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)
        unit = 1e6 if os.uname().sysname == "Darwin" else 1e6 / 1024
        self._outcome.max_rss_mb = max(self._outcome.max_rss_mb, usage.ru_maxrss / unit)
        return True

    def _is_over(self, now: float, ended: float) -> bool:
        """The program has ended: is what it left behind gone too? Processes that an ending program leaves in its
        group get LEFTOVER_S; those that made a session of their own (services) are ended only with an order."""
        alive = self._program.signal(0)
        if self._outcome.order is not None and not self._killed and processes_of(self._directory):
            return False  # the grace time is for all of them
        if not alive:
            return True
        if self._kill_at is None and now >= ended + LEFTOVER_S:
            self._program.signal(signal.SIGTERM)
            self._kill_at = now + min(self._grace_s, 5.0)
        return self._killed and now > (self._kill_at or now) + 2
