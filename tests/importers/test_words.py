from __future__ import annotations

from hpo_workflow.importers.words import Value, Variable, as_command

LR = Value("${hpo.lr}")


def test_plain_words_are_a_line_for_the_shell() -> None:
    assert as_command([("python",), ("train.py",), ("--lr=", LR)]) == "python train.py --lr=${hpo.lr}"


def test_a_word_that_needs_quotes_makes_it_a_list() -> None:
    assert as_command([("a b",), (LR,), ("",)]) == ["a b", "${hpo.lr}", ""]


def test_a_variable_needs_a_shell_and_everything_else_is_quoted_for_it() -> None:
    command = as_command([("run it",), ("--data=", Variable("DATA"), "/x;y"), ("",)])
    assert command == "'run it' --data=\"${DATA}\"'/x;y' ''"


def test_text_that_looks_like_a_placeholder_of_ours_stays_text() -> None:
    assert as_command([("a b",), ("${hpo.lr} ${HOME} ${trial.dir}",)]) == ["a b", "$${hpo.lr} ${HOME} $${trial.dir}"]
