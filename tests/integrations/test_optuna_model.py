"""What our samplers are told of a study of Optuna, and what becomes of their proposals."""

from __future__ import annotations

import math
import pickle
import warnings

import numpy as np
import pytest

from hpo_workflow.errors import ConfigError, UsageError
from hpo_workflow.samplers import Observation
from hpo_workflow.samplers.design import draw_new
from tests.machine import need

need("optuna")

import optuna  # noqa: E402
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution  # noqa: E402
from optuna.trial import TrialState, create_trial  # noqa: E402

from hpo_workflow.integrations.optuna import Sampler  # noqa: E402

X = FloatDistribution(0.0, 10.0)
N = IntDistribution(1, 8, log=True)
TREE = {
    "kind": ["a", "b"],
    "depth": {"type": "int", "low": 1, "high": 9, "when": {"kind": "a"}},
    "leaf": {"type": "float", "low": 0.0, "high": 1.0, "step": 0.1, "when": {"depth": {"ge": 5}}},
    "batch": [64, 16, 32],
    "clip": {"type": "float", "low": 0.1, "high": 1.0, "when": {"batch": {"gt": 16}}},
}


class Listener:
    """Stands for a sampler of ours: remembers what it is told, and draws at random."""

    def __init__(self):
        self.space, self.history = None, None

    def propose(self, space, history, n, rng):
        self.space, self.history = space, history
        return [draw_new(space, set(), rng)]


def listening(direction="minimize", **settings):
    """A study, and what listens in the place of its sampler."""
    sampler = Sampler("random", seed=0, **settings)
    sampler._sampler = Listener()
    return optuna.create_study(sampler=sampler, direction=direction), sampler._sampler


def told(x, value=None, state=TrialState.COMPLETE, reported=(), distribution=X, **attrs):
    return create_trial(
        params={"x": x},
        distributions={"x": distribution},
        value=value,
        state=state,
        intermediate_values=dict(enumerate(reported)),
        system_attrs=attrs,
    )


def losses(listener):
    return [(o.params["x"], o.loss) for o in listener.history.observations]


def test_values_are_turned_into_losses_and_failures_are_told_as_failures():
    study, listener = listening("maximize")
    study.add_trials([told(1.0, 5.0), told(2.0, -3.0), told(3.0, state=TrialState.FAIL), told(4.0, math.inf)])
    study.ask({"x": X})
    assert losses(listener) == [(1.0, -5.0), (2.0, 3.0), (3.0, None), (4.0, None)]
    assert listener.history.pending == ()


def test_a_pruned_trial_is_never_better_than_the_median():
    study, listener = listening()
    study.add_trials([told(float(x), float(x)) for x in (1, 2, 3)])
    study.add_trial(told(4.0, state=TrialState.PRUNED, reported=(0.5, 1.0)))
    study.add_trial(told(5.0, state=TrialState.PRUNED, reported=(0.5, 7.0)))
    study.add_trial(told(6.0, state=TrialState.PRUNED))
    study.add_trial(told(7.0, state=TrialState.PRUNED, reported=(math.nan,)))
    study.ask({"x": X})
    assert losses(listener)[3:] == [(4.0, 2.0), (5.0, 7.0), (6.0, None), (7.0, None)]


def test_a_violated_constraint_is_a_failure():
    study, listener = listening()
    for bound in (-1.0, 0.0, 0.5):
        trial = study.ask({"x": X})
        trial.set_constraint("memory", bound)
        study.tell(trial, 1.0)
    study.ask({"x": X})
    assert [o.loss for o in listener.history.observations] == [1.0, 1.0, None]


def test_running_and_enqueued_trials_are_pending():
    study, listener = listening()
    study.add_trial(told(1.0, 1.0))
    running = study.ask({"x": X})
    study.enqueue_trial({"x": 3.5})
    study.enqueue_trial({"y": 3.5})
    waiting = [trial for trial in study.trials if trial.state is TrialState.WAITING]
    assert len(waiting) == 2
    study.sampler.sample_relative(study, study.trials[1], {"x": X})
    assert listener.history.pending == ({"x": 3.5},)
    study.sampler.sample_relative(study, waiting[1], {"x": X})
    assert listener.history.pending == ({"x": running.params["x"]}, {"x": 3.5})


def test_a_proposal_is_pending_before_its_trial_has_asked_for_it():
    study, listener = listening()
    names = [f"parameter_with_a_long_name_{i}" for i in range(120)]
    distributions = dict.fromkeys(names, X)
    study.add_trial(create_trial(params=dict.fromkeys(names, 2.5), distributions=distributions, value=1.0))
    first = study.ask()
    proposed = first.relative_params
    assert len(proposed) == 120
    assert study.ask().relative_params != proposed
    assert listener.history.pending == (proposed,)
    notes = study.trials[1].system_attrs
    assert len(notes) > 1 and all(len(text) <= 2045 for text in notes.values())
    study._storage.set_trial_system_attr(first._trial_id, "hpo_workflow:proposal:1", "")
    assert study.ask().relative_params  # half of a note, while another worker writes it, is none
    assert len(listener.history.pending) == 1


def test_what_the_latest_range_does_not_hold_is_left_aside():
    study, listener = listening()
    study.add_trials([told(1.0, 1.0), told(9.0, 2.0), told(15.0, 3.0, distribution=FloatDistribution(5.0, 20.0))])
    trial = study.ask()
    assert 5.0 <= trial.suggest_float("x", 5.0, 20.0) <= 20.0
    assert losses(listener) == [(9.0, 2.0), (15.0, 3.0)]
    assert 0.0 <= study.ask().suggest_float("x", 0.0, 1.0) <= 1.0
    assert losses(listener) == [(1.0, 1.0)]


def test_values_with_the_rounding_errors_of_a_step_are_those_of_the_step():
    study, listener = listening()
    step = FloatDistribution(0.0, 0.5, step=0.1)
    study.add_trials([told(0.1 + 0.2, 1.0, distribution=step), told(0.15, 1.0, distribution=X)])
    study.ask()
    study.sampler.sample_relative(study, study.trials[-1], {"x": step})
    assert losses(listener) == [(0.3, 1.0)]


@pytest.mark.parametrize("choices", [[None, "a"], [float("nan"), 1.0], [True, 2], ["1", 1], [3, 1, 2], [2, 2], [0.5]])
def test_choices_may_be_all_that_optuna_allows(choices):
    study, listener = listening()
    distribution = CategoricalDistribution(choices)
    for _ in range(12):
        trial = study.ask({"c": distribution, "x": X})
        value = trial.params["c"]
        assert any(value is choice or value == choice for choice in choices)
        study.tell(trial, 1.0)
    study.ask({"c": distribution, "x": X})
    assert len(listener.history.observations) == 12
    if len(choices) > 1:
        assert listener.space.by_name["c"].ordered == (choices == [3, 1, 2])


def test_conditions_are_learned_from_the_trials():
    def objective(trial):
        if trial.suggest_categorical("kind", ["a", "b"]) == "a":
            return trial.suggest_float("x", 0, 1)
        return 2 + trial.suggest_int("n", 1, 8, log=True)

    study = optuna.create_study(sampler=Sampler("tpe", seed=0))
    study.optimize(objective, n_trials=15)
    space = study.sampler.infer_relative_search_space(study, study.trials[-1])
    assert list(space) == ["kind", "n", "x"]
    for _ in range(5):
        proposed = study.ask().relative_params
        assert set(proposed) == ({"kind", "x"} if proposed["kind"] == "a" else {"kind", "n"})
    study.optimize(objective, n_trials=25)
    kinds = [trial.params["kind"] for trial in study.trials[-15:]]
    assert kinds.count("a") > 10
    assert study.best_value < 0.1


def test_a_range_that_changed_makes_no_parameter_conditional():
    study, listener = listening()
    both = {"kind": CategoricalDistribution(["a", "b"]), "x": X}
    study.add_trial(create_trial(params={"kind": "a", "x": 1.0}, distributions=both, value=1.0))
    moved = {**both, "x": FloatDistribution(5.0, 20.0)}
    study.add_trial(create_trial(params={"kind": "b", "x": 6.0}, distributions=moved, value=1.0))
    study.add_trial(create_trial(params={"kind": "b"}, distributions={"kind": both["kind"]}, value=1.0))
    assert set(study.ask().relative_params) == {"kind"}  # with b, x was there and was not
    assert not any(parameter.when for parameter in listener.space.parameters)


def test_a_known_space_gives_whole_proposals_from_the_first_trial_on():
    from hpo_workflow.integrations.optuna import suggest
    from hpo_workflow.space import SearchSpace

    space = SearchSpace.from_mapping(TREE)
    study, listener = listening(space=TREE)
    seen = set()
    for i in range(40):
        trial = study.ask()
        proposed = trial.relative_params
        params = suggest(trial, TREE)
        assert space.fits(params)
        assert set(params) == set(proposed)
        seen |= set(params)
        study.tell(trial, float(i))
    assert seen == set(TREE)
    study.ask().relative_params  # noqa: B018
    assert len(listener.history.observations) == 40
    assert listener.space.by_name["batch"].ordered


def test_what_a_program_asks_for_though_it_is_inactive_is_passed_over():
    study, listener = listening(
        space={"kind": ["a", "b"], "x": {"type": "float", "low": 0, "high": 10, "when": {"kind": "a"}}}
    )
    distributions = {"kind": CategoricalDistribution(["a", "b"]), "x": X}
    for kind in "ab":
        study.add_trial(create_trial(params={"kind": kind, "x": 1.0}, distributions=distributions, value=1.0))
    study.ask().relative_params  # noqa: B018
    assert [dict(o.params) for o in listener.history.observations] == [{"kind": 0, "x": 1.0}, {"kind": 1}]


def test_a_fixed_parameter_of_a_known_space_leaves_the_others():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        fixed = optuna.samplers.PartialFixedSampler({"kind": "a"}, Sampler("tpe", seed=0, space=TREE))
    study = optuna.create_study(sampler=fixed)
    trial = study.ask()
    assert trial.suggest_categorical("kind", ["a", "b"]) == "a"
    assert "depth" in trial.relative_params


@pytest.mark.parametrize(("name", "trials"), [("tpe", 24), ("gp", 12)])
def test_when_all_was_tried_the_good_is_tried_again(name, trials):
    study = optuna.create_study(sampler=Sampler(name, seed=0))
    study.optimize(lambda t: t.suggest_int("n", 0, 2) + 3 * t.suggest_categorical("c", [False, True]), n_trials=trials)
    again = study.trials[8:]
    good = [trial for trial in again if trial.params["n"] <= 1 and not trial.params["c"]]
    assert len(good) > 0.6 * len(again)  # a third of all are


def test_one_seed_gives_one_study_and_no_seed_another_each_time():
    def run(**settings):
        study = optuna.create_study(sampler=Sampler("tpe", **settings))
        study.optimize(lambda trial: trial.suggest_float("x", -1, 1) ** 2 + trial.suggest_int("n", 0, 9), n_trials=14)
        return [trial.params for trial in study.trials]

    assert run(seed=3) == run(seed=3)
    assert run(seed=3) != run(seed=4)
    assert run() != run()


def test_parameters_of_the_first_trials_are_drawn_independently_of_each_other():
    study = optuna.create_study(sampler=Sampler("gp", seed=0))
    points = []
    for _ in range(30):
        trial = study.ask()  # nothing is told yet
        points.append([trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)])
    assert abs(np.corrcoef(np.array(points).T)[0, 1]) < 0.4


def test_threads_share_a_sampler():
    study = optuna.create_study(sampler=Sampler("tpe", seed=0))
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1) + trial.suggest_float("y", 0, 1), n_trials=24, n_jobs=4)
    assert len({tuple(trial.params.values()) for trial in study.trials}) == 24


def test_of_two_workers_with_the_same_idea_the_later_trial_steps_aside():
    """Another worker writes down its proposal while this one is still thinking."""
    study, listener = listening()
    study.add_trial(told(1.0, 1.0))
    earlier = study.ask()
    answers = iter([{"x": 2.5}, {"x": 7.5}])

    def propose(space, history, n, rng):
        study._storage.set_trial_system_attr(earlier._trial_id, "hpo_workflow:proposal:0", '{"x": 2.5}')
        listener.history = history
        return [next(answers)]

    listener.propose = propose
    assert study.ask({"x": X}).params == {"x": 7.5}
    assert listener.history.pending == ({"x": 2.5},)


def test_a_study_in_a_file_with_a_pruner_goes_on_where_it_was(tmp_path):
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    def objective(trial):
        x = trial.suggest_float("x", 0, 1)
        for step in range(9):
            trial.report(x + 1 / (step + 1), step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return x

    for trials in (8, 16):
        storage = JournalStorage(JournalFileBackend(str(tmp_path / "study.log")))
        study = optuna.create_study(
            study_name="s",
            storage=storage,
            load_if_exists=True,
            sampler=Sampler("tpe", seed=0),
            pruner=optuna.pruners.HyperbandPruner(max_resource=9),
        )
        study.optimize(objective, n_trials=8)
        assert len(study.trials) == trials
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE, TrialState.PRUNED}


def test_the_options_of_a_sampler_reach_it():
    sampler = Sampler({"name": "tpe", "startup": 3, "candidates": 5}, seed=0)
    assert (sampler._sampler.startup, sampler._sampler.candidates) == (3, 5)
    assert str(sampler) == "hpo_workflow tpe"
    assert pickle.loads(pickle.dumps(sampler))._sampler == sampler._sampler  # some keep it in a file beside the study


@pytest.mark.parametrize(
    ("sampler", "settings", "said"),
    [
        ("grid", {}, "grid is not for studies of Optuna.*Choose one of auto, gp, tpe"),
        ({"name": "optuna", "sampler": "tpe"}, {}, "optuna is not for studies of Optuna"),
        ("bayes", {}, "Did you mean gp"),
        ({"name": "tpe", "starts": 3}, {}, "no such option"),
        ("tpe", {"seed": -1}, "seed is -1"),
        ("tpe", {"seed": True}, "seed is True"),
        ("tpe", {"space": {"x": {"type": "float", "low": 1}}}, "high"),
        ("tpe", {"space": {"x": [1, True]}}, "cannot tell these choices apart"),
    ],
)
def test_what_cannot_be_is_refused_when_the_sampler_is_made(sampler, settings, said):
    with pytest.raises((ConfigError, UsageError), match="(?s)" + said):
        Sampler(sampler, **settings)


def test_several_objectives_are_refused_with_what_serves_them():
    study = optuna.create_study(directions=["minimize", "maximize"], sampler=Sampler("gp", seed=0))
    with pytest.raises(ValueError, match="2 objectives.*NSGAIISampler"):
        study.ask({"x": X})


def test_an_observation_is_what_the_samplers_of_a_study_file_are_told():
    study, listener = listening()
    study.add_trial(create_trial(params={"x": 1.0, "n": 4}, distributions={"x": X, "n": N}, value=2.0))
    study.ask({"x": X, "n": N})
    assert listener.history.observations == (Observation({"x": 1.0, "n": 4}, 2.0),)
