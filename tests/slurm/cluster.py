"""A whole Slurm cluster on one machine, for tests: several nodes with fake GPUs and accounting. No init, no Docker.

It is the distribution's real Slurm. Each node is a slurmd of its own on this host; CPUs, memory and GPUs are declared,
not present, so scheduling, CUDA_VISIBLE_DEVICES, sacct, time limits and dying nodes are what they are on a cluster.
Everything it writes is below one folder; nothing outside is touched, so two clusters can run beside each other, as
any user. Standard library only:

    sudo python3 tests/slurm/cluster.py install       Debian's packages; nothing to do where they are
    python3 tests/slurm/cluster.py start              also starts again what has died
    eval "$(python3 tests/slurm/cluster.py env)"      then sbatch, squeue and snakemake --profile slurm work
    python3 tests/slurm/cluster.py kill node2 | revive | stop

The tests start one for each session and stop it; a cluster that was started by hand is used and left running.

Partitions: gpu (default), cpu, short (at most 5 minutes), lowprio (gives way and is requeued), urgent (takes the place
of lowprio). Account test. Node features n1, n2, ...: `--constraint=n2` puts a job on node2. Ask for at least 300 MB:
Snakemake's own process in the job counts.
"""

from __future__ import annotations

import argparse
import getpass
import hashlib
import json
import os
import random
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

PACKAGES = ("slurm-wlm", "slurm-wlm-basic-plugins", "munge", "slurmdbd", "mariadb-server")
PROGRAMS = ("munged", "slurmctld", "slurmd", "slurmdbd", "sbatch", "srun", "sacct", "mariadbd", "mariadb-install-db")
SYSTEM_PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
CGROUPS = Path("/sys/fs/cgroup")

CONTROLLER, ACCOUNTING, DATABASE, FIRST_NODE = 17, 19, 20, 101  # offsets from the first port
PORTS = 200  # the distance of two clusters
DOWN_AFTER_S = 15  # until the controller calls a silent node down; real clusters wait 300 s


class ClusterError(RuntimeError):
    """A daemon did not come up; the message names the log to read."""


@dataclass(frozen=True)
class Size:
    """What the cluster pretends to have."""

    nodes: int = 3
    cpus: int = 8
    gpus: int = 4
    memory_mb: int = 16000


def default_folder() -> Path:
    """The cluster of this user and clone that is started by hand; short, because socket paths end at 108 characters."""
    clone = hashlib.sha256(str(Path(__file__).resolve()).encode()).hexdigest()[:8]
    return Path(tempfile.gettempdir()) / f"hpo-slurm-{os.getuid()}-{clone}"


def session_folder() -> Path:
    """A cluster that only this process uses, so that test sessions beside each other do not share one."""
    return default_folder().with_name(f"{default_folder().name}-{os.getpid()}")


def stop_orphans() -> None:
    """Stop the clusters of test sessions that were killed."""
    for folder in default_folder().parent.glob(f"{default_folder().name}-*"):
        owner = folder.name.rpartition("-")[2]
        if owner.isdigit() and not Path("/proc", owner).exists():
            Cluster(folder).stop(wipe=True)


def wait_until(condition: Callable[[], bool], seconds: float, pause: float = 0.1) -> bool:
    """Ask until the answer is yes; False when `seconds` are over."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(pause)
    return True


def _is_running(pid: int, program: str) -> bool:
    """Whether `pid` is alive and still that program: pids are used again, and a zombie answers to signal 0."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    name, _, rest = stat.partition("(")[2].rpartition(")")
    return rest.split()[0] != "Z" and name.startswith(program[:15])


def _ports_are_free(first: int, nodes: int) -> bool:
    for offset in (CONTROLLER, ACCOUNTING, DATABASE, *range(FIRST_NODE, FIRST_NODE + nodes)):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", first + offset))
            except OSError:
                return False
    return True


def _kernel_tracks_jobs() -> bool:
    """Whether jobs can be tracked and bounded by cgroup v1, as on real clusters; Slurm 22.05 wants root for it."""
    return os.geteuid() == 0 and all(
        os.access(CGROUPS / kind / "cgroup.procs", os.W_OK) for kind in ("freezer", "memory")
    )


class Cluster:
    """The cluster whose files are below `folder`; it may or may not be running.

    Args:
        folder: Configuration, logs, spool, database and pids; made by `start`.
        size: What to pretend; only read while no controller runs.
    """

    def __init__(self, folder: Path | None = None, size: Size | None = None) -> None:
        self.folder = folder or default_folder()
        self.size = size or Size()
        self.conf = self.folder / "etc" / "slurm.conf"
        self.logs = self.folder / "log"
        self._socket = self.folder / "munge" / "socket"
        self._children: set[int] = set()

    # ---- for tests ---------------------------------------------------------------------------------
    @property
    def nodes(self) -> tuple[str, ...]:
        """No two clusters of a machine share a name: slurmd names a job's control groups after its node and number, and
        the end of a job kills whatever is in them.
        """
        cluster = self._port(0) // PORTS
        return tuple(f"c{cluster}node{index}" for index in range(1, self.size.nodes + 1))

    def env(self) -> dict[str, str]:
        """The environment in which Slurm's commands, and Snakemake, talk to this cluster."""
        path = os.pathsep.join((str(self.folder / "bin"), SYSTEM_PATH))
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("SLURM", "SBATCH_", "SRUN_"))}
        return {**kept, "SLURM_CONF": str(self.conf), "PATH": path}

    def run(self, *command: str, check: bool = True, cwd: Path | None = None, timeout: float = 60) -> str:
        """Standard output of one of Slurm's commands."""
        done = subprocess.run(
            command, env=self.env(), cwd=cwd, capture_output=True, text=True, timeout=timeout, check=False
        )
        if check and done.returncode != 0:
            raise ClusterError(f"{shlex.join(command)} ended with {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def squeue(
        self, fields: Sequence[str] = ("JobID", "Name", "State", "Reason", "NodeList"), *, ended: bool = False
    ) -> list[dict[str, str]]:
        """Jobs that wait or run, with `ended` all jobs; one mapping each; `fields` as `squeue --Format` spells them.

        The controller answers from its memory, so unlike the accounts it is never behind.
        """
        command = ["squeue", "--noheader", "--Format", ",".join(f"{field}:|" for field in fields)]
        lines = self.run(*command, *(["--states=all"] if ended else [])).splitlines()
        return [dict(zip(fields, (cell.strip() for cell in line.split("|")), strict=False)) for line in lines]

    def sacct(
        self, fields: Sequence[str] = ("JobID", "JobName", "State", "NodeList", "AllocTRES"), *, steps: bool = False
    ) -> list[dict[str, str]]:
        """All jobs since the cluster was made, one mapping each, with `steps` also their steps.

        The accounts follow the events by up to some seconds: wait for what you look for.
        """
        command = ["sacct", "--parsable2", "--starttime", "now-2days", "--format", ",".join(fields)]
        lines = self.run(*command, "--noheader", *([] if steps else ["--allocations"])).splitlines()
        return [dict(zip(fields, line.split("|"), strict=True)) for line in lines]

    def kill_node(self, name: str, *, noticed: bool = False) -> None:
        """Let a node die: its slurmd and every process of its jobs, at once.

        The controller sees it after some 30 s and ends the node's jobs as NODE_FAIL; with `noticed` it is told.
        """
        pid = self._pid(f"slurmd-{name}")
        if pid is None:
            raise ClusterError(f"{name} does not run")
        os.kill(pid, signal.SIGKILL)
        for _ in range(20):  # a step may start another process while the list is read
            victims = self._processes_of(name)
            if not victims:
                break
            for victim in victims:
                try:
                    os.kill(victim, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            time.sleep(0.05)
        if noticed:
            self.run("scontrol", "update", f"nodename={name}", "state=down", "reason=died")

    def revive(self) -> None:
        """Start again what has died and wait until all nodes take jobs."""
        self.start()

    def cancel_all(self) -> None:
        """End all jobs, so that the next test meets an empty cluster."""
        self.run("scancel", "--me")
        if not wait_until(lambda: not self.squeue(), 30, 0.2):
            raise ClusterError(f"jobs that scancel does not end: {self.squeue()}")

    # ---- start and stop ----------------------------------------------------------------------------
    def is_running(self) -> bool:
        return self._pid("slurmctld") is not None and "UP" in self.run("scontrol", "ping", check=False)

    def start(self) -> None:
        """Start every daemon that does not run and wait until all nodes are up."""
        missing = [name for name in PROGRAMS if shutil.which(name, path=SYSTEM_PATH) is None]
        if missing:
            raise ClusterError(f"{', '.join(missing)} not found; install with: sudo python3 {__file__} install")
        self.folder.mkdir(mode=0o755, exist_ok=True)
        for name in ("etc", "bin", "log", "pid", "munge", "spool/controller", "dev"):
            (self.folder / name).mkdir(mode=0o755, parents=True, exist_ok=True)
        if self._pid("slurmctld") is None:
            self._configure()
        else:
            self.size = Size(**json.loads((self.folder / "size.json").read_text())["size"])
        self._start_munge()
        self._start_accounting()
        if self._pid("slurmctld") is None:
            self._spawn("slurmctld", ["slurmctld", "-D", "-f", str(self.conf)])
        self._expect("slurmctld", lambda: "UP" in self.run("scontrol", "ping", check=False), 30)
        for name in self.nodes:
            if self._pid(f"slurmd-{name}") is None:
                self._spawn(f"slurmd-{name}", ["slurmd", "-D", "-f", str(self.conf), "-N", name])
        if not wait_until(self._all_nodes_up, 30, 0.2):
            # A node that was down for long, or set down by hand, wants to be told.
            self.run("scontrol", "update", f"nodename={','.join(self.nodes)}", "state=resume", check=False)
            self._expect("slurmctld", self._all_nodes_up, 30)

    def stop(self, *, wipe: bool = False) -> None:
        """End jobs and daemons; with `wipe` also remove the folder."""
        if self.is_running():
            try:
                self.cancel_all()
            except (ClusterError, subprocess.TimeoutExpired) as error:
                print(f"while stopping: {error}", file=sys.stderr)
        nodes = [path.stem for path in (self.folder / "pid").glob("slurmd-*.pid")]
        for name in nodes:
            self._end(name, 10)
        for name in ("slurmctld", "slurmdbd", "mariadbd", "munged"):
            self._end(name, 30)
        if wipe and self.conf.exists():
            shutil.rmtree(self.folder)

    # ---- daemons -----------------------------------------------------------------------------------
    def _pid(self, daemon: str) -> int | None:
        try:
            pid = int((self.folder / "pid" / f"{daemon}.pid").read_text())
        except (OSError, ValueError):
            return None
        if pid in self._children and os.waitpid(pid, os.WNOHANG)[0]:
            self._children.remove(pid)
        return pid if _is_running(pid, daemon.partition("-")[0]) else None

    def _spawn(self, daemon: str, command: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        with (self.logs / f"{daemon}.out").open("ab") as output:
            child = subprocess.Popen(
                command,
                env={**self.env(), **(env or {})},
                cwd=self.logs,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C in pytest is not for them
            )
        child.returncode = 0  # looked after by its pid: it may outlive this process, about which Popen would complain
        self._children.add(child.pid)
        (self.folder / "pid" / f"{daemon}.pid").write_text(f"{child.pid}\n")

    def _expect(self, daemon: str, condition: Callable[[], bool], seconds: float) -> None:
        """Wait until `condition`, for as long as the daemon lives."""
        if not wait_until(lambda: self._pid(daemon) is None or condition(), seconds) or self._pid(daemon) is None:
            output = self.logs / f"{daemon}.out"
            tail = "\n".join(output.read_text(errors="replace").splitlines()[-5:]) if output.exists() else ""
            state = "has ended" if self._pid(daemon) is None else f"does not answer after {seconds:.0f} s"
            raise ClusterError(f"{daemon} {state}; its logs are in {self.logs}\n{tail}")

    def _end(self, daemon: str, seconds: float) -> None:
        pid = self._pid(daemon)
        if pid is not None:
            os.kill(pid, signal.SIGTERM)
            if not wait_until(lambda: self._pid(daemon) is None, seconds):
                os.kill(pid, signal.SIGKILL)
                wait_until(lambda: self._pid(daemon) is None, 5)
        (self.folder / "pid" / f"{daemon}.pid").unlink(missing_ok=True)

    def _start_munge(self) -> None:
        if self._pid("munged") is not None:
            return
        key = self.folder / "munge" / "key"
        if not key.exists():
            key.touch(mode=0o600)
            key.write_bytes(os.urandom(1024))
        for left in self._socket.parent.glob("socket*"):
            left.unlink()
        command = ["munged", "--foreground", f"--key-file={key}", f"--socket={self._socket}"]
        command += [f"--pid-file={self.folder}/munge/pid", f"--seed-file={self.folder}/munge/seed", "--num-threads=4"]
        self._spawn("munged", [*command, f"--log-file={self.logs}/munged.log"])
        answers = ("munge", "--no-input", f"--socket={self._socket}")
        self._expect("munged", lambda: "MUNGE" in self.run(*answers, check=False), 15)

    def _start_accounting(self) -> None:
        database, query = self.folder / "mysql", self.folder / "mysql.socket"
        client = ["--no-defaults", f"--socket={query}", "--user=root"]
        temporary = self.folder / "mysql.tmp"  # a server that starts removes the temporary tables of others in its own
        temporary.mkdir(exist_ok=True)
        if self._pid("mariadbd") is None:
            if not (database / "mysql").is_dir():
                self.run(
                    "mariadb-install-db",
                    "--no-defaults",
                    f"--datadir={database}",
                    f"--tmpdir={temporary}",
                    f"--user={getpass.getuser()}",
                    "--skip-test-db",
                    "--auth-root-authentication-method=normal",
                    "--innodb-log-file-size=8M",
                    timeout=120,
                )
            query.unlink(missing_ok=True)
            command = ["mariadbd", "--no-defaults", f"--datadir={database}", f"--user={getpass.getuser()}"]
            command += [
                f"--tmpdir={temporary}",
                f"--socket={query}",
                "--bind-address=127.0.0.1",
                f"--port={self._port(DATABASE)}",
            ]
            command += [f"--pid-file={self.folder}/mysql.pid", "--skip-log-bin", "--skip-name-resolve"]
            command += ["--innodb-buffer-pool-size=64M", "--innodb-log-file-size=8M", "--innodb-lock-wait-timeout=900"]
            self._spawn("mariadbd", [*command, "--innodb-flush-log-at-trx-commit=0"])
            self._expect("mariadbd", lambda: "alive" in self.run("mariadb-admin", *client, "ping", check=False), 60)
            self.run(
                "mariadb",
                *client,
                "--execute",
                "CREATE DATABASE IF NOT EXISTS accounts;"
                "CREATE USER IF NOT EXISTS 'slurm'@'127.0.0.1' IDENTIFIED BY 'slurm';"
                "GRANT ALL ON accounts.* TO 'slurm'@'127.0.0.1';",
            )
        if self._pid("slurmdbd") is None:
            self._spawn("slurmdbd", ["slurmdbd", "-D"])
            clusters = ("sacctmgr", "--noheader", "list", "cluster", "format=cluster")
            self._expect("slurmdbd", lambda: self._answers(*clusters), 60)
            if "emulated" not in self.run(*clusters):
                user = getpass.getuser()
                for words in (
                    "add cluster emulated",
                    "add account test Description=test Organization=test cluster=emulated",
                    f"add user {user} account=test cluster=emulated AdminLevel=Admin",
                ):
                    self.run("sacctmgr", "--immediate", *words.split())

    def _answers(self, *command: str) -> bool:
        try:
            self.run(*command, timeout=10)
        except (ClusterError, subprocess.TimeoutExpired):
            return False
        return True

    def _all_nodes_up(self) -> bool:
        """A star after the state says that the node does not answer."""
        rows = self.run("sinfo", "--noheader", "--Node", "--partition=gpu", "--format=%T", check=False).split()
        good = {"idle", "mixed", "allocated", "completing"}
        return len(rows) == self.size.nodes and set(rows) <= good

    def _processes_of(self, node: str) -> list[int]:
        """Slurm's processes that look after the jobs on a node, then those of the jobs themselves.

        The first hold the node's log open, the others have its name in their environment.
        """
        log = self.logs / f"slurmd-{node}.log"
        marks = {f"SLURMD_NODENAME={node}".encode(), f"SLURM_CONF={self.conf}".encode()}
        guards, jobs = [], []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            try:
                name, _, rest = (entry / "stat").read_text().partition("(")[2].rpartition(")")
                if rest.split()[0] == "Z":
                    continue
                if name == "slurmstepd" and any(Path(os.readlink(file)) == log for file in (entry / "fd").iterdir()):
                    guards.append(int(entry.name))
                elif marks <= set((entry / "environ").read_bytes().split(b"\0")):
                    jobs.append(int(entry.name))
            except OSError:  # it has ended meanwhile, or belongs to somebody else
                continue
        return guards + jobs

    # ---- configuration -----------------------------------------------------------------------------
    def _port(self, offset: int) -> int:
        first: int = json.loads((self.folder / "size.json").read_text())["first_port"]
        return first + offset

    def _first_port(self) -> int:
        """Where this cluster's ports begin; daemons that have outlived the controller go on using theirs."""
        if any(self._pid(path.stem) is not None for path in (self.folder / "pid").glob("*.pid")):
            return self._port(0)
        # In no fixed order: a second cluster that starts at the same moment finds the same ports free.
        choices = random.SystemRandom().sample(range(16800, 32000, PORTS), 76)
        first = next((port for port in choices if _ports_are_free(port, self.size.nodes)), None)
        if first is None:
            raise ClusterError("no free ports between 16800 and 32000")
        return first

    def _configure(self) -> None:
        first = self._first_port()
        (self.folder / "size.json").write_text(json.dumps({"size": asdict(self.size), "first_port": first}))
        for name in self.nodes:
            (self.folder / "spool" / name).mkdir(exist_ok=True)
            devices = self.folder / "dev" / name
            devices.mkdir(exist_ok=True)
            for index in range(self.size.gpus):
                gpu = devices / f"nvidia{index}"
                if not os.path.lexists(gpu):
                    gpu.symlink_to("/dev/null")  # slurmd wants a device file for each GPU
        track = _kernel_tracks_jobs()
        etc = self.conf.parent
        self.conf.write_text(self._slurm_conf(first, track))
        (etc / "gres.conf").write_text(self._gres_conf())
        (etc / "plugstack.conf").write_text("")
        # slurmd 22.05 looks for a cgroup v1 even where nothing uses it; an empty folder satisfies it.
        (self.folder / "cgroup" / "freezer").mkdir(parents=True, exist_ok=True)
        cgroups = CGROUPS if track else self.folder / "cgroup"
        (etc / "cgroup.conf").write_text(
            f"CgroupPlugin=cgroup/v1\nCgroupMountpoint={cgroups}\nCgroupAutomount=no\n"
            f"ConstrainRAMSpace={'yes' if track else 'no'}\n"
        )
        accounts = etc / "slurmdbd.conf"
        accounts.touch(mode=0o600)
        accounts.write_text(self._slurmdbd_conf(first))
        # The plugin's step executor removes SLURM_CONF before it calls srun; this one puts it back.
        srun = self.folder / "bin" / "srun"
        real = shutil.which("srun", path=SYSTEM_PATH)
        srun.write_text(f'#!/bin/sh\nexport SLURM_CONF={self.conf}\nexec {real} "$@"\n')
        srun.chmod(0o755)

    def _gres_conf(self) -> str:
        lines = ["AutoDetect=off"]
        for name in self.nodes if self.size.gpus else ():
            files = f"{self.folder}/dev/{name}/nvidia[0-{self.size.gpus - 1}]"
            lines.append(f"NodeName={name} Name=gpu Type=a100 File={files}")
        return "\n".join(lines) + "\n"

    def _slurmdbd_conf(self, first: int) -> str:
        return f"""\
AuthType=auth/munge
AuthInfo=socket={self._socket}
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={first + ACCOUNTING}
SlurmUser={getpass.getuser()}
LogFile={self.logs}/slurmdbd.log
PidFile={self.folder}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={first + DATABASE}
StorageUser=slurm
StoragePass=slurm
StorageLoc=accounts
"""

    def _slurm_conf(self, first: int, track: bool) -> str:
        host, user, size = socket.gethostname().partition(".")[0], getpass.getuser(), self.size
        gres = f" Gres=gpu:a100:{size.gpus}" if size.gpus else ""
        nodes = "\n".join(
            f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={first + FIRST_NODE + index} CPUs={size.cpus}"
            f" RealMemory={size.memory_mb}{gres} Feature=emulated,n{index + 1} State=UNKNOWN"
            for index, name in enumerate(self.nodes)
        )
        tracking = (
            "ProctrackType=proctrack/cgroup\nTaskPlugin=task/cgroup"
            if track
            else "ProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\nJobAcctGatherParams=OverMemoryKill"
        )
        always = "MaxTime=INFINITE DefaultTime=60 State=UP PreemptMode=OFF"
        return f"""\
# Written by {Path(__file__).name} at each start.
ClusterName=emulated
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={first + CONTROLLER}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={self._socket}
CredType=cred/munge
StateSaveLocation={self.folder}/spool/controller
SlurmdSpoolDir={self.folder}/spool/%n
SlurmctldPidFile={self.folder}/slurmctld.pid
SlurmdPidFile={self.folder}/slurmd-%n.pid
SlurmctldLogFile={self.logs}/slurmctld.log
SlurmdLogFile={self.logs}/slurmd-%n.log
PlugStackConfig={self.conf.parent}/plugstack.conf
MailProg=/bin/true
MpiDefault=none
SwitchType=switch/none
{tracking}
# Nodes that declare more than the machine has, and that come back by themselves.
SlurmdParameters=config_overrides
ReturnToService=2
# Schedule at once: nobody else is in the queue.
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=5,bf_interval=5
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
GresTypes=gpu
DefMemPerCPU=100
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
# Seconds. Real clusters are more patient.
KillWait=5
MinJobAge=7200
SlurmctldTimeout=30
SlurmdTimeout={DOWN_AFTER_S}
InactiveLimit=0
CompleteWait=0
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={first + ACCOUNTING}
AccountingStoragePass={self._socket}
AccountingStorageTRES=gres/gpu
AccountingStoreFlags=job_comment
{nodes}
PartitionName=gpu Nodes=ALL Default=YES PriorityTier=10 {always}
PartitionName=cpu Nodes=ALL PriorityTier=10 {always}
PartitionName=urgent Nodes=ALL PriorityTier=20 {always}
PartitionName=short Nodes=ALL PriorityTier=10 MaxTime=5 DefaultTime=1 State=UP PreemptMode=OFF
PartitionName=lowprio Nodes=ALL PriorityTier=1 MaxTime=INFINITE DefaultTime=60 State=UP PreemptMode=REQUEUE GraceTime=0
"""


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """A cluster without jobs: one that was started by hand and is left running, else one of our own."""
    stop_orphans()
    by_hand = Cluster()
    ours = not by_hand.is_running()
    cluster = Cluster(session_folder()) if ours else by_hand
    try:
        cluster.start()
        cluster.cancel_all()
        yield cluster
    finally:
        if ours:
            cluster.stop(wipe=True)


def install() -> None:
    """Install Debian's packages, without starting their services."""
    if all(shutil.which(name, path=SYSTEM_PATH) for name in PROGRAMS):
        return
    policy = Path("/usr/sbin/policy-rc.d")  # Debian's way to forbid that a package starts its service
    ours = not policy.exists()
    if ours:
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    try:
        env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-q"], env=env, check=True)
        command = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *PACKAGES]
        subprocess.run(command, env=env, check=True)
    finally:
        if ours:
            policy.unlink()


def main() -> int:
    """The command line that the top of this file shows."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("verb", choices=("install", "start", "stop", "env", "kill", "revive"))
    parser.add_argument("node", nargs="?", help="the node to kill")
    parser.add_argument("--folder", type=Path, default=default_folder(), help="where the cluster lives (%(default)s)")
    parser.add_argument("--wipe", action="store_true", help="stop: remove the folder too")
    arguments = parser.parse_args()
    cluster = Cluster(arguments.folder)
    try:
        if arguments.verb == "install":
            install()
        elif arguments.verb in ("start", "revive"):
            cluster.start()
            print(cluster.run("sinfo", "--format=%P %a %l %D %t %N %G"), end="")
        elif arguments.verb == "stop":
            cluster.stop(wipe=arguments.wipe)
        elif arguments.verb == "kill":
            if not arguments.node:
                parser.error("which node?")
            cluster.kill_node(next((name for name in cluster.nodes if name.endswith(arguments.node)), arguments.node))
        else:
            env = cluster.env()
            print("\n".join(f"export {name}={shlex.quote(env[name])}" for name in ("SLURM_CONF", "PATH")))
    except ClusterError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
