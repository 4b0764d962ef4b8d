"""Addresses of servers: which hold a secret, and that none is shown."""

from __future__ import annotations

import pytest

from hpo_workflow.addresses import HIDDEN, secret_in, shown_uri, without_secrets


@pytest.mark.parametrize(
    ("uri", "secret"),
    [
        ("http://127.0.0.1:5000", ""),
        ("https://me@mlflow.example.org/path", ""),
        ("sqlite:///runs.db", ""),
        ("mlruns", ""),
        ("https://me:hunter2@mlflow.example.org", "a password"),
        ("postgresql://me:hunter2@db/runs", "a password"),
        ("https://:hunter2@h", "a password"),
        ("https://h/?workspace=a&api_key=hunter2", "the value of api_key"),
        ("https://h/?token=", ""),
        ("http://[::1", ""),
    ],
)
def test_a_secret_in_an_address_is_named_and_not_shown(uri: str, secret: str) -> None:
    assert secret_in(uri) == secret
    assert "hunter2" not in shown_uri(uri)


def test_an_address_is_shown_without_user_and_query() -> None:
    assert shown_uri("https://me:hunter2@h:5000/a/b?token=x") == "https://h:5000/a/b"
    assert shown_uri("sqlite:////data/runs.db") == "sqlite:////data/runs.db"
    assert shown_uri("http://[::1") == HIDDEN


def test_no_text_of_a_library_shows_what_is_secret() -> None:
    uri = "https://me:hun%3Ater2@h/?token=query-secret"
    environment = {"MLFLOW_TRACKING_TOKEN": "of-the-environment", "MLFLOW_TRACKING_PASSWORD": ""}
    said = f"request to {uri} failed: hun:ter2 of-the-environment at https://other:pw@h2/x"
    clean = without_secrets(said, uri, environment)
    for secret in ("hun%3Ater2", "hun:ter2", "query-secret", "of-the-environment", "pw@", "me:"):
        assert secret not in clean
    assert clean.startswith("request to https://h/") and clean.endswith("https://h2/x")
