"""`snakemake --logger hpo`: the studies of a workflow as `hpo run` shows them.

Snakemake finds the package by its name and imports it at each start, also for jobs, so nothing of ours is imported
before there is something to show. What it does stands in `hpo_workflow.cli.snakemake_view`.
"""

from __future__ import annotations

from logging import LogRecord
from typing import TYPE_CHECKING

from snakemake_interface_logger_plugins.base import LogHandlerBase

if TYPE_CHECKING:
    from hpo_workflow.cli.snakemake_view import SnakemakeView


class LogHandler(LogHandlerBase):
    """What Snakemake gives its records to; it writes to the terminal in place of Snakemake's own handler."""

    _view: SnakemakeView | None

    def __post_init__(self) -> None:
        from hpo_workflow.cli.snakemake_view import SnakemakeView

        self._view = SnakemakeView(
            is_dry=bool(self.common_settings.dryrun),
            no_color=bool(self.common_settings.nocolor),
            to_stdout=bool(self.common_settings.stdout),
        )

    def emit(self, record: LogRecord) -> None:
        """Show a record, unless the picture of a study tells the same."""
        try:
            if self._view is not None:
                self._view.take(record, self.format(record))
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Snakemake has ended."""
        if self._view is not None:
            self._view.close()
            self._view = None
        super().close()

    @property
    def writes_to_stream(self) -> bool:
        return True

    @property
    def writes_to_file(self) -> bool:
        return False

    @property
    def has_filter(self) -> bool:
        return False

    @property
    def has_formatter(self) -> bool:
        return False

    @property
    def needs_rulegraph(self) -> bool:
        return False
