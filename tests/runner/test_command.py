"""What is started: pieces with the trial's facts filled in."""

from __future__ import annotations

import shlex
import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo_workflow.runner.command import PORTS, Facts, arguments, choose_port, quote, resolve


def facts(**known: Any) -> Facts:
    return Facts(known, lambda: 29000)


@given(st.text())
def test_quote_is_the_standard_librarys(text: str) -> None:
    assert shlex.split(quote(text)) == [text]
    assert quote(text) == shlex.quote(text)


def test_facts_are_quoted_where_they_stand_in_a_shells_word() -> None:
    pieces = ["a ", {"trial": "dir", "quote": True}, " ", {"trial": "dir", "quote": False}]
    assert resolve(pieces, facts(dir="x y")) == "a 'x y' x y"


def test_a_filled_in_value_is_never_expanded_again() -> None:
    assert resolve([{"trial": "dir", "quote": False}], facts(dir="${trial.number}")) == "${trial.number}"


def test_the_port_is_chosen_only_when_it_is_asked_for_and_then_once() -> None:
    asked: list[int] = []

    def choose() -> int:
        asked.append(1)
        return 29500 + len(asked)

    known = Facts({"number": 1}, choose)
    assert asked == []
    assert (known["port"], known["port"]) == ("29501", "29501")


def test_neighbours_get_ports_of_their_own_and_used_ones_are_passed() -> None:
    ports = [choose_port("results/x", number) for number in range(50)]
    assert len(set(ports)) == 50
    assert all(port in PORTS for port in ports)
    assert choose_port("results/x", 7) == ports[7]
    with socket.socket() as taken:
        taken.bind(("", ports[7]))
        taken.listen()
        assert choose_port("results/x", 7) != ports[7]


@pytest.mark.parametrize(
    ("spec", "rendered", "argv"),
    [
        ({"command": "x"}, ["run ", "me"], ["bash", "-euo", "pipefail", "-c", "run me"]),
        ({"command": "x", "shell": "sh"}, ["run"], ["sh", "-eu", "-c", "run"]),
        (
            {"command": "x", "setup": "module load a\n"},
            ["run"],
            ["bash", "-euo", "pipefail", "-c", "set +u\nmodule load a\nset -u\nrun"],
        ),
        ({"command": ["x"]}, [["run"], ["a", " b"]], ["run", "a b"]),
        ({"command": ["x"], "setup": " \n"}, [["run"]], ["run"]),
        (
            {"command": ["x"], "setup": "s"},
            [["run"], ["$a b"]],
            ["bash", "-euo", "pipefail", "-c", 'set +u\ns\nset -u\nexec "$@"', "hpo", "run", "$a b"],
        ),
    ],
)
def test_arguments(spec: dict[str, Any], rendered: list[Any], argv: list[str]) -> None:
    assert arguments(spec, rendered, facts()) == argv
