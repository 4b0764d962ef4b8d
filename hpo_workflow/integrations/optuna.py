"""Optuna: its earlier studies for ours.

Needs the extra `optuna`. Importing this module imports Optuna.
"""

from hpo_workflow.integrations.optuna_storage import EarlierTrial, read_trials

__all__ = ["EarlierTrial", "read_trials"]
