"""The environment of a trial's program."""

from __future__ import annotations

from hpo_workflow.runner.environment import missing_names, trial_environment


def test_the_studys_env_outweighs_ours_and_ours_what_is_inherited() -> None:
    inherited = {"PATH": "/bin", "A": "old", "HPO_TRIAL": "outer", "HPO_PARAM_GONE": "1", "OMP_NUM_THREADS": "2"}
    made = trial_environment(
        inherited,
        {"resources": {"threads": 8}},
        {"A": "new", "CUDA_VISIBLE_DEVICES": "7"},
        {"HPO_PARAM_X": "3"},
        {"HPO_TRIAL": "5"},
        ["0", "1"],
    )
    assert made == {
        "PATH": "/bin",
        "A": "new",
        "HPO_TRIAL": "5",
        "HPO_PARAM_X": "3",
        "OMP_NUM_THREADS": "2",
        "PYTHONUNBUFFERED": "1",
        "CUDA_VISIBLE_DEVICES": "7",
    }
    assert inherited["A"] == "old"


def test_threads_set_what_nobody_has_set() -> None:
    assert trial_environment({}, {"resources": {"threads": 8}}, {}, {}, {}, None)["OMP_NUM_THREADS"] == "8"
    assert trial_environment({}, {}, {}, {}, {}, None)["OMP_NUM_THREADS"] == "1"
    assert trial_environment({}, {}, {}, {}, {}, ["3", "5"])["CUDA_VISIBLE_DEVICES"] == "3,5"


def test_a_name_of_pass_env_that_is_not_set_is_told_by_name() -> None:
    assert missing_names({"A": "secret"}, {"pass_env": ["A", "B"]}) == ["B"]
