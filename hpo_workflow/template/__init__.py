"""Placeholders: a study's command, environment and files with the values of a trial in them."""

from __future__ import annotations

from hpo_workflow.template.checking import check_template
from hpo_workflow.template.rendering import RenderedTrial, describe, render_trial, text_of_rendered

__all__ = ["RenderedTrial", "check_template", "describe", "render_trial", "text_of_rendered"]
