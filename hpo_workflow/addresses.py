"""Addresses of servers, which may hold secrets: whether they do, and how to show them without."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, unquote, urlsplit

SECRETS = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "DATABRICKS_TOKEN")
HIDDEN = "***"

_SECRET_KEY = re.compile(r"pass|pwd|secret|token|key|auth|sig", re.IGNORECASE)
_USERINFO = re.compile(r"(?<=://)[^/@\s]*@")


def secret_in(uri: str) -> str:
    """What in the address of a server is a secret, in words; empty where nothing is."""
    try:
        parts = urlsplit(uri)
        password = parts.password
    except ValueError:
        return ""
    if password is not None:
        return "a password"
    named = [key for key, value in parse_qsl(parts.query) if value and _SECRET_KEY.search(key)]
    return f"the value of {named[0]}" if named else ""


def shown_uri(uri: str) -> str:
    """The address without what stands before the host and after the path."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return HIDDEN
    shown = _USERINFO.sub("", uri)
    return shown.partition("?")[0] if parts.query else shown


def without_secrets(text: str, uri: str, environment: Mapping[str, str]) -> str:
    """A text of MLflow or of a library below it without the credentials of an address and of the environment."""
    secrets = [environment.get(name, "") for name in SECRETS]
    with contextlib.suppress(ValueError):
        parts = urlsplit(uri)
        secrets += [parts.password or "", unquote(parts.password or "")]
        secrets += [value for _, value in parse_qsl(parts.query)]
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return _USERINFO.sub("", text)
