"""Optuna: our samplers for its studies, its earlier studies for ours, and search spaces in both directions.

    study = optuna.create_study(sampler=Sampler("gp", seed=0))

Needs the extra `optuna`. Importing this module imports Optuna.
"""

from hpo_workflow.integrations.optuna_distributions import from_distributions, suggest, to_distributions
from hpo_workflow.integrations.optuna_model import Sampler
from hpo_workflow.integrations.optuna_storage import EarlierTrial, StoredStudy, read_study, read_trials

__all__ = [
    "EarlierTrial",
    "Sampler",
    "StoredStudy",
    "from_distributions",
    "read_study",
    "read_trials",
    "suggest",
    "to_distributions",
]
