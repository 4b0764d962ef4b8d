"""GPUs of one machine. No GPU is needed: `nvidia-smi` here is a mock that prints what the real one does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hpo_workflow.runner import gpu_lease
from hpo_workflow.runner.gpu_lease import GpuError, GpuLease, lease_for, visible_devices

from .conftest import Study, wait_for

LISTED = "GPU {0}: NVIDIA A100-SXM4-40GB (UUID: GPU-5c2b8d1e-0000-0000-0000-00000000000{0})"


@pytest.fixture
def two_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A PATH on which a mock of nvidia-smi lists two GPUs; locks of a user of its own."""
    folder = tmp_path / "bin"
    folder.mkdir()
    lines = "\n".join(LISTED.format(i) for i in range(2))
    (folder / "nvidia-smi").write_text(f"#!/bin/sh\n# a mock\n[ \"$1\" = -L ] && cat <<'END'\n{lines}\nEND\n")
    (folder / "nvidia-smi").chmod(0o755)
    path = f"{folder}:{os.environ['PATH']}"
    monkeypatch.setenv("PATH", path)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return path


def test_devices_are_those_that_are_visible_else_those_that_nvidia_smi_lists(two_gpus: str) -> None:
    assert visible_devices({}) == ["0", "1"]
    assert visible_devices({"CUDA_VISIBLE_DEVICES": "3, GPU-5c2b"}) == ["3", "GPU-5c2b"]
    assert visible_devices({"CUDA_VISIBLE_DEVICES": ""}) == []
    assert visible_devices({"CUDA_VISIBLE_DEVICES": "-1"}) == []


def test_without_nvidia_smi_there_are_no_devices(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert visible_devices({}) == []


def test_all_wanted_devices_or_none(tmp_path: Path) -> None:
    folder = str(tmp_path)
    one = GpuLease(["0", "1", "2"], 2, "t", folder)
    two = GpuLease(["0", "1", "2"], 2, "t", folder)
    three = GpuLease(["0", "1", "2"], 1, "t", folder)
    assert one.try_take() == ["0", "1"]
    assert two.try_take() is None
    assert three.try_take() == ["2"]
    three.release()
    assert two.try_take() is None
    one.release()
    assert two.try_take() == ["0", "1"]
    two.release()


def test_another_namespace_means_other_devices(tmp_path: Path) -> None:
    one = GpuLease(["0"], 1, "slurm1", str(tmp_path))
    two = GpuLease(["0"], 1, "slurm2", str(tmp_path))
    assert one.try_take() == two.try_take() == ["0"]
    one.release()
    two.release()


def test_death_frees_a_device(tmp_path: Path) -> None:
    code = (
        "import sys, time; sys.path.insert(0, sys.argv[2])\n"
        "from hpo_workflow.runner.gpu_lease import GpuLease\n"
        "print(GpuLease(['0'], 1, 't', sys.argv[1]).try_take(), flush=True); time.sleep(60)"
    )
    package = str(Path(gpu_lease.__file__).resolve().parents[2])
    holder = subprocess.Popen([sys.executable, "-c", code, tmp_path, package], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "['0']\n"
    lease = GpuLease(["0"], 1, "t", str(tmp_path))
    assert lease.try_take() is None
    holder.kill()
    holder.communicate()
    assert wait_for(lease.try_take) == ["0"]
    lease.release()


def test_asking_for_more_than_exist_names_both_counts(tmp_path: Path) -> None:
    with pytest.raises(GpuError, match=r"asks for 3 GPUs, and 2 can be used here \(0, 1\)"):
        GpuLease(["0", "1"], 3, "t", str(tmp_path))
    with pytest.raises(GpuError, match="asks for 1 GPU, and 0 can be used here$"):
        GpuLease([], 1, "t", str(tmp_path))


def test_inside_a_slurm_job_slurm_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_lease, "_lock_folder", lambda: str(tmp_path))
    assert lease_for({"SLURM_JOB_ID": "7"}, 1) is None
    assert lease_for({"SLURM_JOB_ID": "7", "CUDA_VISIBLE_DEVICES": "0"}, 4) is None  # a job over several nodes
    lease = lease_for({"SLURM_JOB_ID": "7", "CUDA_VISIBLE_DEVICES": "0,1,2,3"}, 2)  # one allocation, many trials
    assert lease is not None
    assert lease.try_take() == ["0", "1"]
    assert sorted(os.listdir(tmp_path)) == ["slurm7-0", "slurm7-1"]
    lease.release()
    assert lease_for({}, 0) is None


def test_a_lock_folder_of_somebody_else_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(gpu_lease.os, "getuid", lambda: 987_654)
    folder = Path("/tmp/hpo-workflow-gpus-987654")
    folder.symlink_to(tmp_path)
    try:
        with pytest.raises(GpuError, match="is not a folder of yours alone"):
            gpu_lease._lock_folder()
    finally:
        folder.unlink()


def test_two_trials_get_a_gpu_each_and_the_third_waits(study: Study, two_gpus: str) -> None:
    devices = f"t{os.getpid()}a,t{os.getpid()}b"  # names of this test's own: locks are shared by the whole machine
    env = {"CUDA_VISIBLE_DEVICES": devices}
    study.use("echo $CUDA_VISIBLE_DEVICES > device.$HPO_TRIAL; while [ ! -e go ]; do sleep 0.05; done; echo loss=1")
    seen = []
    running = []
    for number in (12, 13):
        study.number = number
        running.append(study.start("--gpus", "1", env=env))
        file = study.launch / f"device.{number}"
        seen.append(wait_for(lambda file=file: file.exists() and file.read_text()).strip())
    assert sorted(seen) == devices.split(",")
    study.number = 14
    third = study.start("--gpus", "1", env=env)
    time.sleep(0.5)
    assert not (study.launch / "device.14").exists()
    (study.launch / "go").touch()
    assert [process.wait(20) for process in (*running, third)] == [0, 0, 0]
    assert study.result["devices"][0] in devices
    assert study.result["gpus"] == 1


def test_a_trial_that_asks_for_more_gpus_than_exist_fails_with_the_counts(study: Study, two_gpus: str) -> None:
    study.use("touch ran")
    code, _ = study.run("--gpus", "4")
    assert code == 0
    end = study.result["end"]
    assert (end["kind"], end["reason"]) == ("failed", "gpu_missing")
    assert end["detail"] == "the trial asks for 4 GPUs, and 2 can be used here (0, 1)"
    assert study.log() == f"{end['detail']}\n"
    assert not (study.launch / "ran").exists()
    assert json.loads(study.out.read_text())["end"] == end
