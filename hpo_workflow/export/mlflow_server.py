"""A connection to MLflow, with errors for people and without credentials in any text."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

from hpo_workflow.addresses import shown_uri, without_secrets
from hpo_workflow.errors import ExportError, MissingExtra

URI = "MLFLOW_TRACKING_URI"
EXPERIMENT = "MLFLOW_EXPERIMENT_NAME"

DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # nobody but the server that was named hears of a study
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}
"""MLflow's own settings where the user has not chosen them; by default it tries for four minutes."""


def reason_of(error: BaseException, uri: str) -> str:
    """The first line of what went wrong, short and without secrets."""
    said = without_secrets(str(error), uri, os.environ).strip()
    line = next((line.strip() for line in said.splitlines() if line.strip()), type(error).__name__)
    refused = re.search(r"Connection refused|Name or service not known|timed out|No route to host", said)
    if refused:
        return refused[0]
    return line if len(line) <= 300 else line[:297] + "..."


def sqlite_file(uri: str) -> str | None:
    """The file of a database of SQLite; None for any other address."""
    parts = urlsplit(uri)
    return unquote(parts.path[1:]) or None if parts.scheme == "sqlite" and not parts.netloc else None


def make_whole(path: str, make: Callable[[str], object]) -> None:
    """Make a database that is not there yet: beside its place, and put there when it is whole.

    MLflow makes its tables in some fifty steps, which take seconds. Two processes that do so at once, or one that is
    killed meanwhile, would leave a file that no MLflow can use any more.

    Args:
        make: Makes it at a path.
    """
    if os.path.exists(path):
        return
    with tempfile.TemporaryDirectory(prefix=".mlflow.", dir=os.path.dirname(path) or ".") as beside:
        new = os.path.abspath(os.path.join(beside, "new.db"))
        make(new)
        try:
            os.link(new, path)
        except FileExistsError:
            pass  # somebody else was faster
        except OSError:  # no hard links here
            os.rename(new, path)


class Server:
    """MLflow at an address.

    Args:
        uri: The address, None for MLflow's own choice: MLFLOW_TRACKING_URI, else `mlflow.db` in this folder.

    Attributes:
        client: MLflow's client.
        uri: The address.

    Raises:
        MissingExtra: MLflow is not installed.
        ExportError: It cannot be used.
    """

    def __init__(self, uri: str | None) -> None:
        for name, value in DEFAULTS.items():
            os.environ.setdefault(name, value)
        try:
            import mlflow
            from mlflow import MlflowClient
        except ImportError:
            raise MissingExtra("mlflow", "mlflow") from None
        logging.getLogger("alembic").setLevel(logging.WARNING)
        self.uri: str = uri or mlflow.get_tracking_uri()
        with self.errors():
            database = sqlite_file(self.uri)
            if database is not None:
                make_whole(database, lambda path: MlflowClient(f"sqlite:///{path}"))
            self.client: Any = MlflowClient(self.uri)

    @property
    def shown(self) -> str:
        """The address for people."""
        return shown_uri(self.uri)

    @property
    def is_remote(self) -> bool:
        """Whether calls wait for a network."""
        return self.uri.startswith(("http://", "https://", "databricks"))

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Turn what MLflow and the libraries below it raise into an ExportError."""
        from mlflow.exceptions import MlflowException

        try:
            yield
        except (MlflowException, OSError) as error:
            raise self._error(error) from None
        except Exception as error:
            if not type(error).__module__.startswith(("sqlalchemy", "alembic", "requests", "urllib3")):
                raise
            raise self._error(error) from None

    def _error(self, error: Exception) -> ExportError:
        return ExportError(
            f"MLflow at {self.shown}: {reason_of(error, self.uri)}.\n"
            "  What it has taken stays; when this is mended, the same command goes on with the rest."
        )
