"""Run one trial to its end. Called by the trial rule through `__main__.py` here, from the directory of the study.

Exit codes: 0 the trial's file was written (a failed trial is data), 75 this attempt is lost and another may follow,
2 the call or the study's folder is wrong.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import time

from hpo_workflow.call_options import REQUIRED, read_options
from hpo_workflow.metrics.numbers import printable
from hpo_workflow.metrics.reader import MetricReader, feed_files
from hpo_workflow.runner import claim as claims
from hpo_workflow.runner.command import Facts, arguments, choose_port, resolve, resume_from
from hpo_workflow.runner.environment import missing_names, trial_environment
from hpo_workflow.runner.process import (
    STORAGE_ERRORS,
    LogFile,
    MetricsFile,
    Order,
    Outcome,
    Program,
    Signals,
    Supervisor,
    in_cluster_job,
)
from hpo_workflow.store import atomic, sealed
from hpo_workflow.store.paths import StudyPaths
from hpo_workflow.store.sealed import DamagedSeal, Sealed
from hpo_workflow.store.trial_files import forget_deletion

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from hpo_workflow.runner.gpu_lease import GpuLease
    from hpo_workflow.runner.pruning import Pruning

SCHEMA = 1
"""Version of a result record."""
LOST_EXIT = 75
"""EX_TEMPFAIL of sysexits.h: the same call may succeed later."""
TWIN_POLL_S = 2.0
PARENT_S = 90.0
"""How long a network file system may need to show the directory of another node's trial: NFS asks anew within 60 s."""
SAVED_S = 15.0
"""Between the end of the grace time and that of the job, where a program saves what its next attempt goes on from."""
PUBLISH_TRIES_S = (0.5, 1, 2, 4, 8, 15, 30)
"""Pauses between attempts to write a result to a full disk: hours of training may hang on it."""


class CallError(Exception):
    """The call or the study's folder is wrong; the message is for people."""


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


OPTIONS = {
    "root": (str, REQUIRED, "the study's folder"),
    "plan": (str, REQUIRED, "the compiled study"),
    "batch": (str, REQUIRED, "the batch that holds the trial"),
    "number": (int, REQUIRED, "the trial"),
    "out": (str, REQUIRED, "written when the trial has ended"),
    "attempt": (int, 1, "which try of Snakemake this is"),
    "attempts": (int, 1, "how many tries there are"),
    "gpus": (int, 0, "GPUs of the trial"),
    "runtime-s": (float, None, "seconds that the job may take"),
    "mem-mb": (float, None, "memory that the job may use"),
}


class Runner:
    """One call of the runner."""

    def __init__(self, options: Any) -> None:
        self._started = time.monotonic()
        self._options = options
        self._number: int = options.number
        self._paths = StudyPaths(options.root)
        self._signals = Signals()
        plan = self._load(options.plan, "plan")
        self._batch = self._load(options.batch, "batch")
        self._spec: Mapping[str, Any] = plan["spec"]
        self._plan = plan
        trial = next((each for each in self._batch["trials"] if each["number"] == self._number), None)
        if trial is None:
            raise CallError(f"{options.batch}: there is no trial {self._number} in this batch")
        self._trial: Mapping[str, Any] = trial
        self._directory = os.path.abspath(self._paths.trial_dir(self._number))
        self._grace_s: float = self._spec["limits"]["grace_s"]
        self._retry: Mapping[str, Any] = self._spec.get("retry") or {}
        self._retried: Mapping[str, Any] = trial.get("retried") or {}
        self._mem_mb: float | None = self._retried.get("mem_mb") or options.mem_mb
        self._deadline: float | None = None
        if options.runtime_s:
            margin = min(60.0, options.runtime_s / 4)
            if self._goes_on:  # the whole of its time for saving, and some for us
                margin = max(margin, min(self._grace_s + SAVED_S, options.runtime_s / 2))
            self._deadline = self._started + options.runtime_s - margin
        self._lost_before: list[dict[str, Any]] = []
        self._resumed: int | None = None
        self._pruning: Pruning | None = None

    @staticmethod
    def _load(path: str, what: str) -> dict[str, Any]:
        try:
            data = atomic.read_json(path)
        except ValueError as error:
            raise CallError(f"{path}: the {what} is damaged ({error})") from None
        if not isinstance(data, dict):
            raise CallError(f"{path}: there is no {what}")
        return data

    def say(self, text: str) -> None:
        """One line for people, on standard error, which Snakemake shows or keeps."""
        line = f"trial {self._number}: {printable(text, 2000)}\n"
        sys.stderr.write(line)
        sys.stderr.flush()

    @property
    def _goes_on(self) -> bool:
        """Whether the trial's next attempt goes on from what this one has saved."""
        return bool(self._retry.get("timeouts"))

    # ---- the road ------------------------------------------------------------------------------------------
    def run(self) -> int:
        try:
            return self._run()
        except OSError as error:
            where = f"{error.filename or self._paths.root}: {error.strerror}"
            if error.errno in (errno.EACCES, errno.EPERM):
                self.say(where)
                return 2
            if error.errno not in STORAGE_ERRORS:
                raise
            return self._lost({"end": "lost", "reason": "storage", "detail": where, "seconds": 0.0})

    def _run(self) -> int:
        result = self._result()
        if result is not None:
            return self._finish(result, "had its result already")
        order = self._check_stop()
        if order is not None and order.kind == "lost":  # Snakemake's next try in the same job; no attempt is begun
            return self._lost({"end": "lost", "reason": order.reason, "detail": order.detail, "seconds": 0.0})
        owned = self._claim()
        if not isinstance(owned, claims.Claim):
            return owned
        self._lost_before = owned.lost_before
        if self._deadline is not None and not in_cluster_job():
            self._deadline += time.monotonic() - self._started  # waiting for a twin is not the program's time
        result = self._result()  # published while we claimed
        if result is not None:
            os.unlink(owned.path)
            return self._finish(result, "superseded: another copy had finished")
        if _n_failed(owned.lost_before, "oom") > int(self._retried.get("oom", 0)):
            os.unlink(owned.path)  # this job was submitted before its last attempt ran out of memory
            return self._hand_back(owned.lost_before, "oom")
        return self._attempt(owned)

    def _result(self) -> dict[str, Any] | None:
        path = self._paths.result_record(self._number)
        try:
            result = Sealed(self._paths).json(path)
            if result is None or (isinstance(result, dict) and isinstance(result.get("end"), dict)):
                return result
        except DamagedSeal as error:
            self.say(f"its result record was damaged ({error.path}: {error})")
            return None
        except ValueError:
            pass
        aside = f"{path}.damaged.{int(time.time())}"
        os.replace(path, aside)
        self.say(f"its result record was damaged and is set aside as {aside}")
        return None

    def _claim(self) -> claims.Claim | int:
        """Our claim, or an exit code: a living twin has done the work, or we had to end."""
        dead: set[int] = set()
        told = False
        while True:
            if self._signals.stop is not None:
                return self._lost(
                    {"end": "lost", "reason": "killed", "detail": "ended while it waited", "seconds": 0.0}
                )
            found = claims.try_claim(
                self._paths,
                self._number,
                self._batch["batch"],
                self._directory,
                self._grace_s,
                dead,
                self.say,
            )
            if isinstance(found, claims.Claim):
                return found
            if not told:
                self.say(f"attempt {found.attempt} is claimed by {found.where}; waiting for it")
                told = True
            while self._signals.stop is None:
                if found.state() == "dead":
                    dead.add(found.attempt)
                    break
                self._signals.sleep(TWIN_POLL_S)
                result = self._result()
                if result is not None:
                    return self._finish(result, f"superseded: {found.where} ran it")
                if self._deadline is not None and time.monotonic() > self._deadline and in_cluster_job():
                    detail = f"waited for {found.where} until the runtime was over"
                    return self._lost({"end": "superseded", "reason": None, "detail": detail, "seconds": 0.0})

    def _attempt(self, claim: claims.Claim) -> int:
        """Run the program under our claim."""
        started = _now()
        order = self._check_stop()
        if order is not None:
            return self._publish(claim, started, Outcome(), order, None, None, None)
        os.makedirs(self._directory, exist_ok=True)
        log = LogFile(self._paths.log(self._number, claim.attempt), int(self._spec["limits"]["log_bytes"]))
        reader = MetricReader(self._spec["metrics"], self._spec["objective"])
        self._pruning = self._make_pruning()
        if self._goes_on and claim.attempt > 1:
            self._read_earlier(reader, claim.attempt)
        devices: list[str] | None = None
        lease: GpuLease | None = None
        if self._options.gpus > 0:
            from hpo_workflow.runner.gpu_lease import GpuError, lease_for

            try:
                lease = lease_for(os.environ, self._options.gpus)
            except GpuError as error:
                log.write(f"{error}\n".encode())
                order = Order("failed", "gpu_missing", str(error))
                return self._publish(claim, started, Outcome(), order, log, reader, None)
        if lease is not None:
            taken = self._wait_for_devices(lease, claim)
            if isinstance(taken, Order):
                return self._publish(claim, started, Outcome(), taken, log, reader, None)
            devices = taken
        unseen = self._wait_for_parent()
        if unseen is not None:
            return self._publish(claim, started, Outcome(), unseen, log, reader, devices)
        program = self._start(claim, devices)

        def check() -> Order | None:
            if not claim.touch() and self._result() is not None:
                return Order("superseded", None, "another copy has published the result")
            return self._check_stop()

        def on_order(order: Order) -> None:
            self.say(f"{order.detail}; ending the program")
            if order.kind == "lost" or self._is_retried(order, claim):  # whoever kills us next, it is on record
                try:
                    claim.ended({"end": order.kind, "reason": order.reason, "detail": order.detail})
                except OSError:
                    pass

        supervisor = Supervisor(
            program,
            log,
            reader,
            MetricsFile(self._paths.metrics_file(self._number), reader),
            self._directory,
            self._signals,
            check,
            on_order,
            self._spec["limits"],
            self._deadline,
            self._options.runtime_s,
            self._pruning,
        )
        try:
            outcome = supervisor.run()
        except BaseException:
            program.signal(signal.SIGKILL)  # nobody would watch it
            raise
        if lease is not None:
            lease.release()
        order = outcome.order or self._verdict(outcome, claim)
        return self._publish(claim, started, outcome, order, log, reader, devices)

    def _make_pruning(self) -> Pruning | None:
        """What judges the trial's reports, in a study with a pruner."""
        if not self._spec.get("pruner"):
            return None
        from hpo_workflow.runner.pruning import Pruning

        index = self._paths.curve_index(self._plan["metrics_digest"])
        return Pruning(self._spec, self._number, self._trial.get("fidelity"), index)

    def _read_earlier(self, reader: MetricReader, attempt: int) -> None:
        """Let the output of earlier attempts be the beginning of this one's."""
        self._keep_metrics_file(attempt)
        for points, recorded in feed_files(reader, self._paths.earlier_output(self._number, attempt)):
            if self._pruning is not None:
                self._pruning.report(points, recorded)

    def _is_retried(self, order: Order, claim: claims.Claim) -> bool:
        """Whether the trial gets another attempt after it has failed in this way."""
        if order.kind != "failed" or order.reason not in ("timeout", "oom"):
            return False
        return _n_failed(claim.lost_before, order.reason) < int(self._retry.get(f"{order.reason}s", 0))

    def _pruned(self, order: Order) -> dict[str, Any]:
        """What the pruner found, for the result record: why it ended the trial, or would have done so."""
        found = None if self._pruning is None else self._pruning.finding
        if found is None or not (found.is_audited or order.kind == "pruned"):
            return {}
        return {"pruning": found.to_json()}

    def _wait_for_devices(self, lease: GpuLease, claim: claims.Claim) -> list[str] | Order:
        told = False
        since = time.monotonic()
        while True:
            devices = lease.try_take()
            now = time.monotonic()
            if devices is not None:
                if self._deadline is not None and not in_cluster_job():
                    self._deadline += now - since  # nobody's clock but ours: the program gets its whole runtime
                return devices
            if not told and now - since > 2:
                self.say("all GPUs of this machine are in use by other trials; waiting for one")
                told = True
            claim.touch()
            self._signals.sleep(1.0)
            order = self._check_stop()
            if order is not None:
                return order
            if self._signals.stop is not None:
                return Order("lost", "killed", "ended while it waited for a GPU")
            if self._deadline is not None and now > self._deadline and in_cluster_job():
                return Order("lost", "killed", "no GPU became free within the runtime")

    def _wait_for_parent(self) -> Order | None:
        """Wait until the directory that the trial goes on from is seen here; what it means that it is not."""
        path = resume_from(self._paths, self._trial.get("parent"))
        since = time.monotonic()
        while path and not os.path.isdir(path):
            if time.monotonic() - since > PARENT_S or self._signals.stop is not None:
                return Order("lost", "storage", f"{path}, which it goes on from, is not to be seen here")
            try:
                os.listdir(os.path.dirname(path))  # makes an NFS client ask its server
            except OSError:
                pass
            self._signals.sleep(1.0)
        return None

    def _check_stop(self) -> Order | None:
        try:
            os.stat(self._paths.stop)
        except OSError:
            return None
        try:
            why = atomic.read_json(self._paths.stop)
        except (OSError, ValueError):
            why = None
        reason = why.get("reason") if isinstance(why, dict) else None
        if reason == "stop_request":  # the trial is not given up: its next attempt goes on from what it has saved
            return Order("lost", "stopped", "the study was stopped (hpo stop)")
        return Order("cancelled", str(reason or "stopped"), f"the study was stopped ({reason or 'stop file'})")

    def _start(self, claim: claims.Claim, devices: list[str] | None) -> Program:
        """Write the trial's files and fork its program, which waits for the supervisor."""
        number, rendered = self._number, self._trial["rendered"]
        forget_deletion(self._paths, number)
        params_file = os.path.abspath(self._paths.params_file(number))
        metrics_file = os.path.abspath(self._paths.metrics_file(number))
        self._keep_metrics_file(claim.attempt)
        known: dict[str, Any] = {
            "number": number,
            "config": self._trial["config"],
            "dir": self._directory,
            "seed": self._trial["seed"],
            "attempt": claim.attempt,
            "params_file": params_file,
        }
        further = {}
        if self._trial.get("fidelity") is not None:
            known["fidelity"] = self._trial["fidelity"]
            known["resume_from"] = resume_from(self._paths, self._trial.get("parent"))
            further = {"HPO_FIDELITY": str(known["fidelity"]), "HPO_RESUME_FROM": known["resume_from"]}
            self._resumed = self._trial.get("parent") if known["resume_from"] else None
        files = rendered.get("files") or {}
        for name, file in files.items():
            known[f"file.{name}"] = os.path.join(self._directory, file["to"])
        facts = Facts(known, lambda: choose_port(self._paths.root, number))
        text = rendered.get("params_text")
        self._write(params_file, text if isinstance(text, str) else atomic.to_json(text) + "\n")
        for name, file in files.items():
            self._write(known[f"file.{name}"], resolve(file["text"], facts))
        for name in missing_names(os.environ, self._spec):
            self.say(f"{name} (pass_env) is not set here")
        environment = trial_environment(
            os.environ,
            self._spec,
            {name: resolve(value, facts) for name, value in (rendered.get("env") or {}).items()},
            rendered.get("hpo_env") or {},
            {
                "HPO_STUDY": self._spec["study"],
                "HPO_TRIAL": str(number),
                "HPO_TRIAL_DIR": self._directory,
                "HPO_SEED": str(self._trial["seed"]),
                "HPO_ATTEMPT": str(claim.attempt),
                "HPO_PARAMS_FILE": params_file,
                "HPO_METRICS_FILE": metrics_file,
                **further,
            },
            devices,
        )
        argv = arguments(self._spec, rendered["command"], facts)
        where = self._directory if self._spec.get("workdir") == "trial" else os.getcwd()
        program = Program(argv, where, environment)
        claim.started(program.group)
        return program

    def _keep_metrics_file(self, attempt: int) -> None:
        """Put the metrics file of the last attempt beside its log: it is not this attempt's."""
        path = self._paths.metrics_file(self._number)
        if attempt > 1 and os.path.exists(path):
            os.replace(path, self._paths.metrics_file_of(self._number, attempt - 1))

    @staticmethod
    def _write(path: str, text: str) -> None:
        """A file of the trial; left alone where it is as it should be."""
        try:
            with open(path, encoding="utf-8", newline="") as file:
                if file.read() == text:
                    return
        except (OSError, ValueError):
            pass
        atomic.replace(path, text)

    def _verdict(self, outcome: Outcome, claim: claims.Claim) -> Order:
        """What it means that the program ended by itself in this way."""
        code = outcome.exit_code
        if code == 0:
            return Order("done", None, "")
        last = printable(outcome.last_words.decode("utf-8", "replace").strip())
        words = f"; its last words: {last}" if last else ""
        assert code is not None  # it ended by itself
        if self._signals.stop is not None:  # whoever told us to end has told the program too
            reason = "preempted" if in_cluster_job() else "killed"
            return Order("lost", reason, f"the runner got {signal.Signals(self._signals.stop).name}{words}")
        if outcome.oom_kills and os.environ.get("SLURM_JOB_ID"):  # the control group is this job's alone
            return Order("failed", "oom", f"the kernel killed a process of it for memory{words}")
        # A shell says 128 + signal when its child was killed.
        number = -code if code < 0 else code - 128 if code in (128 + signal.SIGKILL, 128 + signal.SIGTERM) else None
        if number in (signal.SIGKILL, signal.SIGTERM):
            memory = f"it used {outcome.max_rss_mb:.0f} MB"
            limit = self._mem_mb
            if number == signal.SIGKILL and outcome.oom_kills:
                return Order("failed", "oom", f"the kernel killed it for memory; {memory}")
            if number == signal.SIGKILL and limit and outcome.max_rss_mb >= 0.9 * limit:
                return Order("failed", "oom", f"killed by signal 9; {memory} of {limit:.0f} MB")
            if self._options.attempt < self._options.attempts or not self._was_always_killed(claim):
                return Order("lost", "killed", f"killed by signal {number} from outside")
            return Order("failed", "exit_code", f"killed by signal {number} from outside in each attempt{words}")
        if number is not None:
            try:
                name = f" ({signal.Signals(number).name})"
            except ValueError:
                name = ""
            return Order("failed", "exit_code", f"killed by signal {number}{name}{words}")
        if self._disk_is_full():
            return Order("lost", "storage", f"exit code {code} on a full disk{words}")
        return Order("failed", "exit_code", f"exit code {code}{words}")

    def _was_always_killed(self, claim: claims.Claim) -> bool:
        """Whether the program itself was killed in all of this job's earlier tries, too.

        An attempt that ended with its runner, as on a node that died, has no exit code and says nothing of the program.
        """
        n_before = self._options.attempts - 1
        before = claim.lost_before[-n_before:] if n_before > 0 else []
        killed = [each.get("reason") == "killed" and each.get("exit_code") is not None for each in before]
        return len(killed) == n_before and all(killed)

    def _disk_is_full(self) -> bool:
        try:
            free = os.statvfs(self._directory)
        except OSError:
            return False
        return free.f_blocks > 0 and free.f_bavail * free.f_frsize < 64 * 1024

    # ---- the end -------------------------------------------------------------------------------------------
    def _publish(
        self,
        claim: claims.Claim,
        started: str,
        outcome: Outcome,
        order: Order,
        log: LogFile | None,
        reader: MetricReader | None,
        devices: list[str] | None,
    ) -> int:
        """Record how the attempt ended and tell Snakemake."""
        seconds = round(outcome.seconds, 3)
        end = {
            "end": order.kind if order.kind != "cancelled" else "lost",
            "reason": order.reason,
            "detail": order.detail,
            "seconds": seconds,
            "exit_code": outcome.exit_code,
        }
        if order.kind in ("lost", "superseded"):
            result = self._result()
            if result is not None:
                return self._finish(result, "superseded: another copy has published the result", claim)
            try:
                claim.ended({**end, "end": "lost"})
            except OSError:  # on a full disk the claim says at least who held it
                pass
            self._lost_before = claim.lost_before
            return self._lost({**claims.summary(claim.record, end), **end})
        if self._is_retried(order, claim):
            result = self._result()
            if result is not None:
                return self._finish(result, "superseded: another copy has published the result", claim)
            if log is not None:
                log.close()
            claim.ended(end)
            attempts = [*claim.lost_before, {**claims.summary(claim.record, end), **end}]
            return self._hand_back(attempts, str(order.reason))
        if log is not None:
            log.close()
        extraction = reader.close().to_json() if reader is not None else {"points": {}}
        trial = self._trial
        record = {
            "schema": SCHEMA,
            "number": self._number,
            "config": trial["config"],
            "batch": self._batch["batch"],
            "digest": trial["digest"],
            "identity": self._batch["identity"],
            "params": trial["params"],
            "fidelity": trial.get("fidelity"),
            "resumed": self._resumed,
            "end": {"kind": order.kind, "reason": order.reason, "detail": order.detail},
            **self._pruned(order),
            "attempts": [*claim.lost_before, claims.summary(claim.record, end)],
            "exit_code": outcome.exit_code,
            "seconds": seconds,
            "max_rss_mb": round(outcome.max_rss_mb, 1),
            "gpus": self._options.gpus,
            "devices": devices,
            "host": claim.record["host"],
            "started": started,
            "ended": _now(),
            "log": os.path.relpath(self._paths.log(self._number, claim.attempt), self._paths.root) if log else None,
            "log_bytes": log.written if log else 0,
            "log_dropped": log.dropped if log else 0,
            **({"joined": claim.attempt} if self._goes_on and claim.attempt > 1 else {}),
            "metrics": {"digest": self._plan["metrics_digest"], **extraction},
        }
        path = self._paths.result_record(self._number)
        for pause in (*PUBLISH_TRIES_S, None):
            try:
                won = sealed.publish(self._paths, path, record)
                break
            except OSError as error:
                if error.errno not in STORAGE_ERRORS or pause is None or self._signals.stop is not None:
                    raise
                self.say(f"{path}: {error.strerror}; trying again in {pause:g} s")
                self._signals.sleep(pause)
        if not won:
            result = self._result()
            if result is not None:
                return self._finish(result, "superseded: another copy was first", claim)
        return self._finish(record, "", claim)

    def _finish(self, result: Mapping[str, Any], message: str, claim: claims.Claim | None = None) -> int:
        """Write the rule's output from the trial's result."""
        if message:
            self.say(message)
        kept = ("number", "digest", "end", "seconds", "exit_code", "log")
        done = {"batch": self._batch["batch"], **{key: result.get(key) for key in kept}}
        atomic.replace(self._options.out, atomic.to_json(done) + "\n")
        if claim is not None:
            claims.remove_claims(self._paths, self._number, claim.attempt)
        return 0

    def _hand_back(self, attempts: Sequence[Mapping[str, Any]], reason: str) -> int:
        """No result yet: the next batch emits the trial again, whatever tries Snakemake has left for this job."""
        last = attempts[-1]
        self.say(f"attempt {last['attempt']} failed ({reason}), and another one follows: {last.get('detail') or ''}")
        done = {"number": self._number, "batch": self._batch["batch"], "lost": True, "attempts": list(attempts)}
        atomic.replace(self._options.out, atomic.to_json({**done, "again": reason}) + "\n")
        return 0

    def _lost(self, attempt: Mapping[str, Any]) -> int:
        """This attempt came to nothing that counts."""
        self.say(f"attempt lost ({attempt['reason'] or attempt['end']}): {attempt['detail']}")
        if self._options.attempt < self._options.attempts or attempt["reason"] == "stopped":
            return LOST_EXIT  # of a study that was stopped, nothing is made of it: the next run goes on
        attempts = [*self._lost_before, dict(attempt)]
        done = {"number": self._number, "batch": self._batch["batch"], "lost": True, "attempts": attempts}
        try:
            atomic.replace(self._options.out, atomic.to_json(done) + "\n")
        except OSError as error:
            self.say(f"{self._options.out}: {error.strerror}")
            return LOST_EXIT
        return 0


def _n_failed(attempts: Sequence[Mapping[str, Any]], reason: str) -> int:
    """How many attempts of a trial have failed in one way, lost ones not counted."""
    return sum(each.get("end") == "failed" and each.get("reason") == reason for each in attempts)


def main(argv: Sequence[str]) -> int:
    """Run one trial; gives the exit code."""
    options = read_options("runner", "Run one trial to its end.", OPTIONS, argv)
    try:
        runner = Runner(options)
    except CallError as error:
        sys.stderr.write(f"{printable(str(error), 2000)}\n")
        return 2
    return runner.run()
