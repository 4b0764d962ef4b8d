"""Hostile values through real shells: none is executed, all arrive as they are; unsafe places are refused."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from hpo_workflow.errors import ConfigError
from hpo_workflow.template import render_trial, text_of_rendered
from tests.hostile_texts import FOR_SHELLS, HOSTILE
from tests.soak import IS_SOAK
from tests.template.studies import faults, study

ACCEPTED = {
    "word": ("$SHOW ${hpo.v}", "{}"),
    "part of a word": ("$SHOW --v=${hpo.v}", "--v={}"),
    "middle of a word": ("$SHOW a${hpo.v}b", "a{}b"),
    "twice in a word": ("$SHOW ${hpo.v}${hpo.v}", "{}{}"),
    "beside quotes": ("$SHOW \"a b\"${hpo.v}'c d'", "a b{}c d"),
    "beside a variable": ("x=1; $SHOW $x${hpo.v}", "1{}"),
    "before a variable": ("x=1; $SHOW ${hpo.v}$x", "{}1"),
    "beside a variable in braces": ("x=1; $SHOW ${x}${hpo.v}", "1{}"),
    "after a command": ("true && $SHOW ${hpo.v}; true", "{}"),
    "after a pipe": ("true | $SHOW ${hpo.v} | cat", "{}"),
    "before a redirection": ("$SHOW ${hpo.v}>out", "{}"),
    "before an input": ("$SHOW ${hpo.v}</dev/null", "{}"),
    "in a subshell": ("($SHOW ${hpo.v})", "{}"),
    "in braces": ("{ $SHOW ${hpo.v}; }", "{}"),
    "in a substitution": ('x=$($SHOW ${hpo.v}); echo "$x"', "{}"),
    "in a quoted substitution": ('echo "$($SHOW ${hpo.v})"', "{}"),
    "in an if": ("if true; then $SHOW ${hpo.v}; fi", "{}"),
    "in a loop": ('for x in ${hpo.v}; do $SHOW "$x"; done', "{}"),
    "in an assignment": ('x=${hpo.v}; $SHOW "$x"', "{}"),
    "in an assignment for a command": ("X=${hpo.v} $SHOW from_env X", "{}"),
    "in an export": ("export X=${hpo.v}; $SHOW from_env X", "{}"),
    "in a function": ("f() { $SHOW ${hpo.v}; }; f", "{}"),
    "in arguments of a function": ('f() { $SHOW "$1"; }\nf ${hpo.v}', "{}"),
    "in set": ('set -- ${hpo.v}; $SHOW "$1"', "{}"),
    "in env": ("env X=${hpo.v} $SHOW from_env X", "{}"),
    "over lines": ("$SHOW \\\n  ${hpo.v} \\\n  # the end", "{}"),
    "in a comparison": ("if [ ${hpo.v} = a ]; then :; fi; $SHOW ${hpo.v}", "{}"),
    "after a script of a shell": ("sh -c '$SHOW \"$1\"' _ ${hpo.v}", "{}"),
    "as a here-string's neighbour": ('cat <<E >/dev/null\nit\'s "here"\nE\n$SHOW ${hpo.v}', "{}"),
    "after a number": ("$SHOW 1${hpo.v}>out", "1{}"),
    "in a variable inside quotes": ('$SHOW "$HPO_PARAM_V"', "{}"),
    "optional": ("$SHOW ${hpo.v?}", "{}"),
    "after an escaped blank": ("$SHOW a\\ ${hpo.v}", "a {}"),
    "after a case without placeholders": ("case a in a) true;; (b) false;; esac; $SHOW ${hpo.v}", "{}"),
    "after arithmetic": ("x=$((1 + (2 * 3))); $SHOW $x${hpo.v}", "7{}"),
}
BASH_ONLY = {
    "in an array": ('x=(a ${hpo.v}); $SHOW "${x[1]}"', "{}"),
    "in a here-string": ("read -r -d '' x <<< ${hpo.v} || true; $SHOW ${hpo.v}", "{}"),
    "after double brackets": ("[[ a == a ]] && $SHOW ${hpo.v}", "{}"),
    "in a process substitution": ("cat <($SHOW ${hpo.v}; echo)", "{}"),
    "beside a closed bracket": ("$SHOW [a]${hpo.v}", "[a]{}"),
}
SHOW = r"""#!/bin/sh
if [ "$1" = from_env ]; then printf '%s\0' "$X" > "$SEEN"; else printf '%s\0' "$@" > "$SEEN"; fi
"""
"""Writes its arguments, or the variable X, into the file $SEEN; a shell script, because Python takes long to start."""

FULLY_TRIED = ("word", "middle of a word", "in an assignment", "in a quoted substitution")
"""Places that are tried with every text in the usual run too."""

CASES = [(shell, name) for shell in ("bash", "sh") for name in ACCEPTED] + [("bash", name) for name in BASH_ONLY]
FLAGS = {"bash": ["bash", "-euo", "pipefail"], "sh": ["sh", "-eu"]}


@pytest.fixture(scope="module")
def show(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("program") / "show"
    path.write_text(SHOW)
    path.chmod(0o755)
    return str(path)


@pytest.mark.soak
@pytest.mark.parametrize(("shell", "name"), CASES, ids=lambda part: part.replace(" ", "-"))
def test_a_hostile_value_arrives_as_it_is_and_is_not_executed(shell: str, name: str, tmp_path: Path, show: str) -> None:
    """All values of one case run in one shell, each in a subshell of its own; `show` is a function where it can be."""
    template, expected = {**ACCEPTED, **BASH_ONLY}[name]
    texts = HOSTILE if IS_SOAK or name in FULLY_TRIED else FOR_SHELLS
    spec = study(template, {"v": list(texts)}, shell=shell)
    assert faults(spec) == []
    is_program = "env" in template or "sh -c" in template
    lines = ["show() {", *SHOW.splitlines()[1:], "}", f"export SHOW={show if is_program else 'show'}"]
    for number, value in enumerate(texts):
        trial = render_trial(spec, {"v": value})
        variable = f"export SEEN={number} HPO_PARAM_V={shlex.quote(trial.hpo_env['HPO_PARAM_V'])}"
        lines += ["(", variable, text_of_rendered(trial.command), ")"]  # type: ignore[arg-type]
    (tmp_path / "script").write_text("\n".join(lines), newline="")
    subprocess.run([*FLAGS[shell], "script"], cwd=tmp_path, capture_output=True, timeout=60, check=True)
    assert not list(tmp_path.glob("hit*")), f"something was executed in {template}"
    for number, value in enumerate(texts):
        assert (tmp_path / str(number)).read_bytes() == expected.replace("{}", value).encode() + b"\0", repr(value)


@pytest.mark.parametrize("shell", ["bash", "sh"])
def test_a_hostile_value_is_as_harmless_in_the_call_that_a_trial_makes(shell: str, tmp_path: Path, show: str) -> None:
    spec = study("$SHOW --v=${hpo.v}", {"v": list(HOSTILE)}, shell=shell)
    for value in HOSTILE[:24]:
        command = [*FLAGS[shell], "-c", text_of_rendered(render_trial(spec, {"v": value}).command)]  # type: ignore[arg-type]
        subprocess.run(command, cwd=tmp_path, env={**os.environ, "SHOW": show, "SEEN": "seen"}, timeout=20, check=True)
        assert (tmp_path / "seen").read_bytes() == f"--v={value}\0".encode()
        assert not list(tmp_path.glob("hit*"))


UNSAFE = (
    'prog "${hpo.v}"',
    "prog 'a ${hpo.v}'",
    "prog $'${hpo.v}'",
    'prog $"${hpo.v}"',
    "prog `echo ${hpo.v}`",
    'prog "`echo ${hpo.v}`"',
    'prog "$(echo "${hpo.v}")"',
    "prog # ${hpo.v}",
    "prog a\n#${hpo.v}",
    "cat <<E\n${hpo.v}\nE",
    "cat <<'E'\n${hpo.v}\nE",
    "cat <<-E\n\t${hpo.v}\n\tE",
    "cat <<${hpo.v}\nx\n",
    "cat <<A <<B\nA\n${hpo.v}\nB",
    "x=$(cat <<E\n${hpo.v}\nE\n)",
    "prog $((${hpo.v}))",
    "prog $(( 1 + ${hpo.v} ))",
    "prog $[${hpo.v}]",
    "((x=${hpo.v}))",
    "for ((i=0;i<${hpo.v};i++)); do :; done",
    "[[ ${hpo.v} == a ]]",
    "if [[ -n ${hpo.v} ]]; then :; fi",
    "case ${hpo.v} in a) ;; esac",
    "case a in ${hpo.v}) ;; esac",
    "case a in a) prog ${hpo.v};; esac",
    "x=$(case a in a) prog ${hpo.v};; esac)",
    "prog ${x:-${hpo.v}}",
    'prog "${x:-${hpo.v}}"',
    "prog ${x[${hpo.v}]}",
    "x[${hpo.v}]=1",
    "prog [${hpo.v}]",
    "prog {a,${hpo.v}}",
    "prog {${hpo.v}..3}",
    "prog ~${hpo.v}",
    "x=~${hpo.v}",
    "prog \\${hpo.v}",
    'prog "\\${hpo.v}"',
    "prog a$'b'$'${hpo.v}'",
    "eval prog ${hpo.v}",
    "command eval prog ${hpo.v}",
    "builtin eval ${hpo.v}",
    "x=1 eval ${hpo.v}",
    "bash -c ${hpo.v}",
    "sh -ec ${hpo.v}",
    "srun -n 1 bash -lc ${hpo.v}",
    "env A=b /bin/sh -c ${hpo.v}",
    "bash -c -e ${hpo.v}",
    "bash -c 'x '${hpo.v}",
    "ssh node prog ${hpo.v}",
    "/usr/bin/ssh node ${hpo.v}",
    "nohup ssh node ${hpo.v}",
    "su -c ${hpo.v}",
    "parallel prog ::: ${hpo.v}",
    "watch ${hpo.v}",
    "trap ${hpo.v} EXIT",
    "alias x=${hpo.v}",
    "let x=${hpo.v}",
    "declare -i x=${hpo.v}",
    "typeset x=${hpo.v}",
    "f() { local x=${hpo.v}; }",
    "export ${hpo.v}=1",
    "readonly ${hpo.v}",
    "unset ${hpo.v}",
    "read ${hpo.v}",
    "printf -v ${hpo.v} a",
    "[ -v ${hpo.v} ]",
    "test -v ${hpo.v}",
    "[ ${hpo.v} ]",
    "${hpo.v} prog",
    "X=1 ${hpo.v}",
    "true && ${hpo.v}",
    "if ${hpo.v}; then :; fi",
    "! ${hpo.v}",
    "time ${hpo.v}",
    "time -p ${hpo.v}",
    "exec ${hpo.v}",
    "{ ${hpo.v}; }",
    "(${hpo.v})",
    "$(${hpo.v})",
    "for ${hpo.v} in a; do :; done",
    "function ${hpo.v} { :; }",
    "${hpo.v}() { :; }",
    "coproc prog ${hpo.v}",
    "prog >&${hpo.v}",
    "prog <&${hpo.v}",
    "prog ) ${hpo.v}",
    "prog ( ${hpo.v}",
    "prog 'it ${hpo.v}",
    'prog "it ${hpo.v}',
    "prog $(echo ${hpo.v}",
    "prog {hpo.v} ${hpo.v}",
    "prog $hpo.v ${hpo.v}",
    "prog ;; ${hpo.v}",
    "prog @(${hpo.v}|b)",
    "prog $${hpo.v}$$${hpo.v}",
    "python -c ${hpo.v}",
    "perl -e ${hpo.v}",
    "srun python3.11 -c ${hpo.v}",
    "awk ${hpo.v}",
    "sed -i s/LR/${hpo.v}/ in.txt",
    "env -S ${hpo.v}",
    "x=${hpo.v}; prog $((x * 2))",
    "x=${hpo.v}; [[ x -gt 1 ]]",
    "export x=${hpo.v}; (( x > 1 ))",
    "declare -i x; x=${hpo.v}",
    "x=${hpo.v}; let y=x",
    "prog ${hpo.v} $((HPO_PARAM_V * 2))",
)


@pytest.mark.parametrize("template", UNSAFE)
def test_an_unsafe_place_is_refused_with_a_cure(template: str) -> None:
    found = faults(study(template, {"v": ["a b", "$(touch hit)"]}))
    assert found
    assert all(fault.cure for fault in found)


def test_an_unknown_name_as_the_program_is_one_fault() -> None:
    found = faults(study("${hpo.other} ${hpo.v}", {"v": [1, 2]}))
    assert len(found) == 1 and "other" in found[0].problem


def test_a_list_of_arguments_reaches_the_program_without_a_shell(tmp_path: Path, show: str) -> None:
    spec = study([show, "--v=${hpo.v}", "$HOME"], {"v": list(HOSTILE)})
    assert faults(spec) == []
    for value in HOSTILE[:30]:
        words = [text_of_rendered(word) for word in render_trial(spec, {"v": value}).command]  # type: ignore[arg-type]
        subprocess.run(words, cwd=tmp_path, env={**os.environ, "SEEN": "seen"}, check=True, timeout=20)
        assert (tmp_path / "seen").read_bytes() == f"--v={value}\0$HOME\0".encode()


def test_a_value_in_env_is_given_as_it_stands() -> None:
    spec = study("prog", {"v": list(HOSTILE)}, env={"X": "a ${hpo.v}"})
    assert faults(spec) == []
    for value in HOSTILE:
        assert render_trial(spec, {"v": value}).env == {"X": [f"a {value}"]}


def test_a_fact_of_the_trial_is_marked_for_quoting_only_where_a_shell_splits() -> None:
    spec = study('prog ${trial.dir} "n${trial.number}" ${trial.number}>out ${hpo.v}', {"v": [1, 2]})
    assert faults(spec) == []
    assert render_trial(spec, {"v": 1}).command == [
        "prog ",
        {"trial": "dir", "quote": True},
        ' "n',
        {"trial": "number", "quote": False},
        "\" ''",
        {"trial": "number", "quote": True},
        ">out 1",
    ]


@pytest.mark.parametrize("shell", ["bash", "sh"])
def test_an_escaped_placeholder_is_text_wherever_it_stands(shell: str, tmp_path: Path, show: str) -> None:
    template = "$SHOW $${hpo.v} a$${hpo.v} \"b $${hpo.v}\" 'c $${hpo.v}' ${hpo.v}"
    spec = study(template, {"v": [1, 2]}, shell=shell)
    assert faults(spec) == []
    command = text_of_rendered(render_trial(spec, {"v": 1}).command)  # type: ignore[arg-type]
    environment = {**os.environ, "SHOW": show, "SEEN": "seen"}
    subprocess.run([*FLAGS[shell], "-c", command], cwd=tmp_path, env=environment, check=True)
    words = (tmp_path / "seen").read_bytes().decode().split("\0")[:-1]
    assert words == ["${hpo.v}", "a${hpo.v}", "b ${hpo.v}", "c ${hpo.v}", "1"]


def test_a_value_longer_than_a_program_can_be_given_is_refused() -> None:
    assert "bytes long" in faults(study("prog ${hpo.v}", {"v": ["x" * 100_001, "y"]}))[0].problem
    twice = study("prog ${hpo.v} ${hpo.v}", {"v": ["x" * 70_000, "y"]})
    assert "the command can become" in faults(twice)[0].problem
    with pytest.raises(ConfigError, match="the most that a shell can be given"):
        render_trial(twice, {"v": "x" * 70_000})


def test_a_nul_character_is_refused() -> None:
    assert "NUL" in faults(study("prog ${hpo.v}", {"v": ["a\0b", "y"]}))[0].problem
