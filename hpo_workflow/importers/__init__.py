"""Studies from the files of other tools: text in, a draft of a study file out.

    wandb_sweep       a sweep of Weights & Biases
    katib_experiment  an Experiment of Kubeflow Katib
    nni_experiment    an experiment of NNI, or its search space alone
    optuna_study      the trials that a study of Optuna has stored

What can be said exactly is carried over. What has no counterpart is named in the draft and never approximated; what a
study file needs and the source does not say is left for the user to fill in. `study_text` writes a draft.
"""

from hpo_workflow.importers.draft import Draft, Missing, Note

__all__ = ["Draft", "Missing", "Note"]
