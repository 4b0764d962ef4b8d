"""The faults of a study's placeholders: names, formats, places, and parameters that nothing uses."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from hpo_workflow.errors import Fault
from hpo_workflow.space import Categorical, Float, Int, SearchSpace
from hpo_workflow.spec import Template
from hpo_workflow.template.file_formats import possible_faults, surroundings
from hpo_workflow.template.placeholders import FIDELITY_FACTS, Fact, Hpo, Text, nearest
from hpo_workflow.template.rendering import FACT_VARIABLES, LONGEST_COMMAND, read, read_command
from hpo_workflow.template.shell_words import Word, variable_of
from hpo_workflow.template.values import formatted, problem_of, text_of
from hpo_workflow.trial import Value

_PROGRAM_NAME = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_./+-]*")
_NOT_PROGRAMS = {"eval", "exec", "command", "builtin", "source", ".", "trap", "alias"}
_NOT_PROGRAMS |= {"let", "declare", "typeset", "local", "unset", "read", "set", "shift"}
_NOT_PROGRAMS |= {"if", "then", "else", "elif", "fi", "for", "while", "until"}
_NOT_PROGRAMS |= {"do", "done", "case", "esac", "select", "function", "time", "in"}
_NOT_PROGRAMS |= {"coproc"}


def check_template(
    command: str | Sequence[str],
    env: Mapping[str, str],
    templates: Mapping[str, Template],
    space: SearchSpace | None,
    *,
    names: Sequence[str] = (),
    passed: Sequence[str] = (),
    setup: str = "",
    template_names: Sequence[str] | None = None,
    fidelity: str | None = None,
    must_resume: bool = False,
) -> list[Fault]:
    """All that is wrong with the placeholders of a study.

    Args:
        command: Text for a shell, or a list of arguments.
        env: Variables of `env:`.
        templates: Templates that could be read.
        space: The search space; None where it has faults of its own, and only the `names` of its parameters are known.
        names: Names of all parameters, in the file's order; not needed where `space` is given.
        passed: The file's `pass:`.
        setup: The file's `setup:`, in which no placeholder may stand.
        template_names: Names of all templates, also of those that could not be read.
        fidelity: The name of the file's `fidelity:`, None where it has none.
        must_resume: Whether a program that is not told what to go on from makes no sense.
    """
    known = tuple(space.names()) if space is not None else tuple(names)
    checker = _Checker(space, known, tuple(templates if template_names is None else template_names))
    checker.fidelity = fidelity
    if isinstance(command, str):
        checker.command(command)
    else:
        for index, argument in enumerate(command):
            checker.argument(f"command[{index}]", argument, is_program=index == 0)
    for item in read(setup).placeholders:
        cure = "Placeholders belong into command:; setup: is the same for all trials."
        checker.faults.append(Fault("setup", f"`{item.source}` stands in setup:.", cure))
    for name, value in env.items():
        checker.argument(f"env.{name}", value)
    for name, template in templates.items():
        checker.template(f"templates.{name}", template)
    checker.variables()
    if not passed:
        checker.unused()
    if fidelity is not None and "env" not in passed:
        checker.fidelity_is_used(setup, must_resume)
    return list(dict.fromkeys(checker.faults))


class _Checker:
    def __init__(self, space: SearchSpace | None, known: tuple[str, ...], template_names: tuple[str, ...]) -> None:
        self.space = space
        self.known = known
        self.template_names = template_names
        self.faults: list[Fault] = []
        self.used: set[str] = set()
        self.names_params_file = False
        self.fidelity: str | None = None
        self.facts: set[str] = set()
        self.parameters = {} if space is None else {parameter.name: parameter for parameter in space.parameters}

    # ---- texts -----------------------------------------------------------------------------------
    def command(self, source: str) -> None:
        text = read(source)
        self._problems("command", text)
        shell = read_command(source)
        self.faults += [Fault("command", problem.problem, problem.cure) for problem in shell.problems]
        self._mentions(source)
        for item in text.placeholders:
            place = shell.places.get(item.start)
            word = place.word if place else None
            if isinstance(item, Hpo):
                in_word = [other for other in word.placeholders if isinstance(other, Hpo)] if word else [item]
                self._parameter("command", item, in_word)
                if item.text and re.search(r"[^\w@%+=:,./-]", item.text):
                    cure = (
                        f"Write one placeholder for each word: ${{hpo.{item.name}?--one}} ${{hpo.{item.name}?--two=2}}."
                    )
                    self.faults.append(Fault("command", f"`{item.source}`: its text is not one plain word.", cure))
                is_named = word is not None and (word.prefix.startswith("-") or "/" in word.prefix)
                if word is not None and word.role == "program" and not item.optional and not is_named:
                    self._program("command", item, word)
            elif isinstance(item, Fact):
                self._fact("command", item)
                if word is not None and word.role == "program" and "/" not in word.prefix and item.start == word.start:
                    if item.name in ("dir", "params_file") or item.name.startswith("file."):
                        continue
                    self.faults.append(Fault("command", f"`{item.source}` stands where a program is named.", ""))
        self._longest(source, text)

    def argument(self, key: str, source: str, *, is_program: bool = False) -> None:
        text = read(source)
        self._problems(key, text)
        if key.startswith("command"):
            self._mentions(source)
        items = [item for item in text.placeholders if isinstance(item, Hpo)]
        for item in text.placeholders:
            if isinstance(item, Hpo):
                self._parameter(key, item, items)
                if is_program and item.optional:
                    cure = f"Write ${{hpo.{item.name}}} and give the parameter a fallback:."
                    self.faults.append(
                        Fault(key, f"`{item.source}` cannot be left out: it is the program's name.", cure)
                    )
            elif isinstance(item, Fact):
                self._fact(key, item)
        if is_program and not source.strip():
            self.faults.append(Fault(key, "the program's name is empty.", "Give the program as the first element."))

    def template(self, key: str, template: Template) -> None:
        text = read(template.text)
        self._problems(key, text, template.source)
        for item in text.placeholders:
            if isinstance(item, Fact):
                self._fact(key, item)
            if not isinstance(item, Hpo):
                continue
            line = template.text.count("\n", 0, item.start) + 1
            if item.optional and template.format == "json":
                cure = f"Write ${{hpo.{item.name}}} and give the parameter a fallback:."
                problem = f"`{item.source}` in line {line} of {template.source}: a line of JSON cannot be left out."
                self.faults.append(Fault(key, problem, cure))
                continue
            start = template.text.rfind("\n", 0, item.start) + 1
            end = template.text.find("\n", item.end)
            end = len(template.text) if end < 0 else end
            in_line = [other for other in text.placeholders if isinstance(other, Hpo) and start <= other.start < end]
            if not self._parameter(key, item, in_line) or item.text is not None:
                continue
            where = surroundings(template.format, template.text, item.start, item.end)
            values = [(value, formatted(value, shown, item.format)) for value, shown in self._possible(item.name)]
            for reason in possible_faults(template.format, where, values):
                problem = f"`{item.source}` in line {line} of {template.source}: {reason}."
                cure = "Change the value, or name another `format`."
                if where == "plain" and template.format not in ("ini", "raw"):
                    cure = "Put quotes around the text in the template, or let the placeholder be the whole value."
                self.faults.append(Fault(key, problem, cure))

    def _problems(self, key: str, text: Text, file: str = "") -> None:
        for problem in text.problems:
            place = f"{file}: " if file else ""
            self.faults.append(Fault(key, place + problem.problem, problem.cure))

    def _mentions(self, source: str) -> None:
        """Parameters that the command reads from their variables, in double quotes for example."""
        self.facts.update(fact for name, fact in FACT_VARIABLES.items() if re.search(rf"\${{?{name}\b", source))
        self.names_params_file |= "HPO_PARAMS_FILE" in source
        for variable in re.findall(r"\$\{?(HPO_PARAM_[A-Z0-9_]+)", source):
            names = [name for name in self.known if variable_of(name) == variable]
            self.used.update(names)
            if not names:
                guess = nearest(variable, [variable_of(name) for name in self.known])
                cure = f"Write ${guess}." if guess else "Known are " + ", ".join(map(variable_of, self.known)) + "."
                self.faults.append(Fault("command", f"no parameter is called like ${variable}.", cure))

    # ---- placeholders ----------------------------------------------------------------------------
    def _parameter(self, key: str, item: Hpo, together: Sequence[Hpo]) -> bool:
        """Check a parameter's name, its presence and its format; `together` is what is left out with it."""
        if item.name not in self.known:
            guess = nearest(item.name, self.known)
            self.used.update([guess] if guess else [])
            listed = ", ".join(self.known[:20]) + (", ..." if len(self.known) > 20 else "")
            cure = f"Write ${{hpo.{guess}}}, or add {item.name} to space:." if guess else f"Parameters are {listed}."
            self.faults.append(Fault(key, f"`{item.source}`: no parameter is called {item.name}.", cure))
            return False
        self.used.add(item.name)
        if self.space is None:
            return False
        is_covered = any(other.name == item.name and other.optional for other in together)
        if not is_covered and self.space.is_conditional(item.name) and self.space.fallback(item.name) is None:
            problem = f"`{item.source}`: {item.name} has no value where its condition does not hold."
            left_out = f"${{hpo.{item.name}{':' + item.format if item.format else ''}?}}"
            other_cure = f"give {item.name} a fallback: in space:"
            if item.name in self.space.derived:
                other_cure = "give the parameters in its expr: no condition"
            cure = f"Write {left_out} to leave {self._unit(key)} out there, or {other_cure}."
            self.faults.append(Fault(key, problem, cure))
        return self._format(key, item)

    @staticmethod
    def _unit(key: str) -> str:
        """What an optional placeholder leaves out."""
        if key == "command":
            return "the whole word"
        if key.startswith("command"):
            return "the whole argument"
        return "the variable" if key.startswith("env") else "the whole line"

    def _format(self, key: str, item: Hpo) -> bool:
        if not item.format or self.space is None:
            return True
        for value, text in self._possible(item.name):
            try:
                if item.name in self.space.derived:
                    format(0.5, item.format)
                    format(1, item.format)
                formatted(value, text, item.format)
            except (ValueError, TypeError):
                kind = "text" if isinstance(value, str) else f"a {type(value).__name__}"
                cure = f"Write ${{hpo.{item.name}}}, or a format that fits, such as :.0f for a number without decimals."
                problem = f"`{item.source}`: {item.format} is not a format for {kind} such as {text!r}."
                self.faults.append(Fault(key, problem, cure))
                return False
        return True

    def _possible(self, name: str) -> Iterator[tuple[Value, str]]:
        """The values that a parameter can have: all where they are listed, the two ends of a range."""
        if self.space is None:
            return
        parameter = self.parameters.get(name)
        values: list[Value] = []
        step, low = None, 0.0
        if isinstance(parameter, Categorical):
            values += parameter.choices
        elif isinstance(parameter, (Float, Int)):
            values += [parameter.low, parameter.high]
            if isinstance(parameter, Float):
                step, low = parameter.step, parameter.low
        elif name in self.space.constants:
            values.append(self.space.constants[name])
        elif name in self.space.derived:
            values.append(0.5)
        fallback = self.space.fallback(name)
        for value in values:
            yield value, text_of(value, step if isinstance(value, float) else None, low)
        if fallback is not None:
            yield fallback, text_of(fallback)

    def _program(self, key: str, item: Hpo, word: Word) -> None:
        """A parameter may name the program where all its values are plain names of programs."""
        parameter = self.parameters.get(item.name)
        is_listed = isinstance(parameter, Categorical) or (self.space is not None and item.name in self.space.constants)
        texts = [text for _, text in self._possible(item.name)]
        is_safe = all(_PROGRAM_NAME.fullmatch(text) and text not in _NOT_PROGRAMS for text in texts)
        if self.space is None or not texts or (is_listed and is_safe):
            return  # without a text there is no such parameter, which is a fault of its own
        bad = next((text for text in texts if not _PROGRAM_NAME.fullmatch(text) or text in _NOT_PROGRAMS), texts[0])
        problem = f"`{item.source}` stands where a program is named, and {bad[:40]!r} is not the plain name of one."
        self.faults.append(Fault(key, problem, "Name programs by letters, digits and any of _ . / + - there."))

    def _fact(self, key: str, item: Fact) -> None:
        self.facts.add(item.name)
        if item.name in FIDELITY_FACTS and self.fidelity is None:
            cure = "Add it, for example `fidelity: {name: epochs, type: int, low: 1, high: 27}`."
            self.faults.append(Fault(key, f"`{item.source}` needs `fidelity:`, which the file does not have.", cure))
        self.names_params_file |= item.name == "params_file"
        kind, _, name = item.name.partition(".")
        if kind != "file" or name in self.template_names:
            return
        guess = nearest(name, self.template_names)
        if guess:
            cure = f"Write ${{trial.file.{guess}}}."
        elif self.template_names:
            cure = "Templates are " + ", ".join(self.template_names) + "."
        else:
            cure = f"Add the file to templates:, for example `{name}: conf/{name}.yaml.in`."
        self.faults.append(Fault(key, f"`{item.source}`: no template is called {name}.", cure))

    # ---- the whole -------------------------------------------------------------------------------
    def _longest(self, source: str, text: Text) -> None:
        size = len(source.encode(errors="replace"))
        for item in text.placeholders:
            if isinstance(item, Hpo) and item.name in self.known:
                size += max((len(shown.encode(errors="replace")) for _, shown in self._possible(item.name)), default=0)
        if size > LONGEST_COMMAND:
            problem = (
                f"the command can become {size} bytes long; {LONGEST_COMMAND} is the most that a shell can be given."
            )
            self.faults.append(Fault("command", problem, "Pass long values in a file, with templates:."))

    def variables(self) -> None:
        """Two parameters must not share a variable; values must be such that a program can be given them."""
        owners: dict[str, str] = {}
        for name in self.known:
            variable = variable_of(name)
            if variable in owners:
                problem = f"its variable {variable} is also that of {owners[variable]}."
                self.faults.append(Fault(f"space.{name}", problem, "Rename one of the two."))
            owners.setdefault(variable, name)
            for value, _ in self._possible(name):
                if problem := problem_of(value):
                    self.faults.append(Fault(f"space.{name}", f"a value {problem}.", "Shorten or replace it."))

    def fidelity_is_used(self, setup: str, must_resume: bool) -> None:
        """A program that is not told how far to train would train each trial to the end.

        One that is not told what to go on from would begin each trial of a population with nothing.
        """
        self._mentions(setup)
        if "fidelity" not in self.facts:
            problem = "nothing tells the program how far to train."
            cure = f"Put ${{trial.fidelity}} into command:, for example `--{self.fidelity}=${{trial.fidelity}}`."
            self.faults.append(
                Fault("fidelity", problem, f"{cure} Programs that read HPO_FIDELITY need `pass: [env]`.")
            )
        if must_resume and "resume_from" not in self.facts:
            problem = "nothing tells the program where the weights are that a member goes on from."
            cure = "Put ${trial.resume_from} into command:, for example `--resume-from=${trial.resume_from}`."
            self.faults.append(
                Fault("fidelity", problem, f"{cure} Programs that read HPO_RESUME_FROM need `pass: [env]`.")
            )

    def unused(self) -> None:
        """A parameter that reaches no program would be tuned in vain."""
        needed = set(self.used)
        if self.space is not None:
            for name, expression in self.space.derived.items():
                if name in self.used:
                    needed.update(expression.inputs)
            for _ in self.space.derived:  # a derived value may be made of derived values
                for name in [name for name in needed if name in self.space.derived]:
                    needed.update(self.space.derived[name].inputs)
            for parameter in self.space.parameters:
                needed.update(condition.parent for condition in parameter.when)
        for name in self.known:
            if name not in needed:
                reads = "`pass: [env]` if the program reads " + variable_of(name)
                if self.names_params_file:
                    reads = "`pass: [file]` if the program reads it from the file of parameters"
                cure = f"Put ${{hpo.{name}}} into command:, env: or a template, or write {reads}."
                self.faults.append(Fault(f"space.{name}", "nothing uses this parameter.", cure))
