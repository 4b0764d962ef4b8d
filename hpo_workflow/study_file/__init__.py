"""The study file: read, checked, and its identity."""

from __future__ import annotations

from hpo_workflow.study_file.identity import diff_identity
from hpo_workflow.study_file.loader import LoadedStudy, load_mapping, load_study
from hpo_workflow.study_file.schema import study_schema

__all__ = ["LoadedStudy", "diff_identity", "load_mapping", "load_study", "study_schema"]
