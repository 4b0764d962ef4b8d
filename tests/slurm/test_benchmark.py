"""The benchmark of the emulated cluster, in a size that takes seconds."""

from __future__ import annotations

import pytest

from benchmarks import slurm_slots
from benchmarks.places import Workshop


@pytest.mark.timeout(180)
def test_the_time_of_the_gpus_of_a_study_is_accounted_for(tmp_path, quiet_cluster):
    case = {"poll_s": 2, "ahead": 0, "gpus": 2, "trials": 4, "mean_s": 1.0}
    values = slurm_slots.measure_on(quiet_cluster, case, Workshop(tmp_path))
    assert 0 < values["use"] < values["held"] <= 1
    assert values["held"] + values["queued_idle"] + values["unasked_idle"] == pytest.approx(1)
    assert values["unasked_idle"] > 0, "the successor of a job was submitted before its end was seen"
    assert values["start_to_program_s"] > 0.5, "Snakemake is started in the job before the program"
    assert 0 < values["unseen_results"] < 2
    assert values["login_cpu_a_trial_s"] > 0
