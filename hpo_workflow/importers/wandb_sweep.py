"""A sweep file of Weights & Biases.

Sources: the JSON Schema of sweep files (wandb/sweeps, src/sweeps/config/schema.json), the values of its distributions
(src/sweeps/params.py) and what its agent makes of `command` (wandb/wandb, wandb/sdk/launch/sweeps/utils.py): words
without a shell, in which a macro stands for words.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hpo_workflow.importers.draft import Draft, listed, quoted
from hpo_workflow.importers.ranges import (
    float_range,
    int_range,
    natural_log_range,
    rounded,
    suggested,
    without_repetition,
)
from hpo_workflow.importers.source_text import SourceText
from hpo_workflow.importers.study_text import flow
from hpo_workflow.importers.words import Part, Value, Variable, Word, as_command
from hpo_workflow.space.parameters import is_number

SAMPLERS = {"bayes": "gp", "random": "random", "grid": "grid"}

DISTRIBUTIONS = {
    "constant": ("value",),
    "categorical": ("values",),
    "categorical_w_probabilities": ("values", "probabilities"),
    "int_uniform": ("min", "max"),
    "uniform": ("min", "max"),
    "q_uniform": ("min", "max", "q"),
    "log_uniform": ("min", "max"),
    "log_uniform_values": ("min", "max"),
    "q_log_uniform": ("min", "max", "q"),
    "q_log_uniform_values": ("min", "max", "q"),
    "inv_log_uniform": ("min", "max"),
    "inv_log_uniform_values": ("min", "max"),
    "normal": ("mu", "sigma"),
    "log_normal": ("mu", "sigma"),
    "q_normal": ("mu", "sigma", "q"),
    "q_log_normal": ("mu", "sigma", "q"),
    "beta": ("a", "b"),
    "q_beta": ("a", "b", "q"),
}
"""The distributions and the keys of each."""

KEYS = ("method", "metric", "parameters", "early_terminate", "run_cap", "command", "program", "name", "description")
UNNEEDED = ("project", "entity", "controller", "apiVersion", "kind")
LATER = ("job", "image_uri", "scheduler", "metrics")

_ENVVAR = re.compile(r"\$\{envvar:([A-Za-z0-9_]*)\}")
_PREFIXES = {"args": "--", "args_no_hyphens": "", "args_append_hydra": "+", "args_override_hydra": "++"}
"""What stands before `name=value` in each."""

_TEXT_MACROS = (*_PREFIXES, "args_no_equals")
_MACROS = (*_TEXT_MACROS, "args_no_boolean_flags", "args_json", "args_json_file", "env", "interpreter", "program")


@dataclass(frozen=True)
class _Parameter:
    """A parameter of the sweep.

    Args:
        path: Its name there, in parts where it is nested.
        name: Its name here.
        is_flag: Its values are true and false.
        texts: Its values that are texts.
        is_mixed: It has values of other kinds too.
    """

    path: tuple[str, ...]
    name: str
    is_flag: bool = False
    texts: tuple[str, ...] = ()
    is_mixed: bool = False

    @property
    def dotted(self) -> str:
        return ".".join(self.path)


def read_sweep(text: str | bytes, file: str) -> Draft:
    """A sweep file as a draft of a study file.

    Raises:
        ConfigError: It is no sweep file, with all its faults.
    """
    source = SourceText(text, file)
    sweep = source.value
    if not isinstance(sweep, dict) or "parameters" not in sweep:
        source.stop("", "this is no sweep file of W&B: there is no `parameters:`.", "Give the file of `wandb sweep`.")
    return _Importer(source, sweep).draft()


class _Importer:
    def __init__(self, source: SourceText, sweep: dict[str, Any]) -> None:
        self.source = source
        self.sweep = sweep
        self.result = Draft("a sweep of W&B")
        self.parameters: list[_Parameter] = []
        self.macros: set[str] = set()
        self.as_text = False
        """Whether the program gets its parameters as words, as Python prints them."""

    def draft(self) -> Draft:
        draft, source = self.result, self.source
        draft.name_study(source.text("name", self.sweep.get("name")), "sweep")
        description = source.text("description", self.sweep.get("description"))
        if description:
            draft.study["description"] = description
        command, macros = self.command_of()
        self.macros = macros
        self.as_text = bool(macros & set(_TEXT_MACROS))
        self.space(self.sweep["parameters"], (), "parameters")
        if "args_json" in macros and not source.faults:
            self.json_argument()
        self.write_command(command, macros)
        self.objective()
        self.method()
        cap = source.whole("run_cap", self.sweep.get("run_cap"))
        if cap is not None:
            draft.section("budget")["trials"] = cap
        elif draft.study.get("sampler") != "grid":
            draft.need("budget.trials", "The sweep has no run_cap: it would go on until somebody stops it.", "64")
        self.early_terminate()
        self.others()
        source.finish()
        source.note_ambiguous(draft, "W&B")
        return draft

    # ---- parameters --------------------------------------------------------------------------------------------
    def space(self, given: Any, path: tuple[str, ...], key: str) -> None:
        entries = self.source.mapping(key, given)
        if not entries:
            self.source.fault(key, "there are no parameters.", "Give at least one.")
        for name, config in entries.items():
            here = f"{key}.{name}"
            if not isinstance(config, dict):
                cure = "Give `value:`, `values:`, or `min:` and `max:`."
                self.source.fault(here, f"{quoted(config)} is no parameter of a sweep.", cure)
            elif "parameters" in config:
                if not path:
                    self.name_nested(here)
                self.space(config["parameters"], (*path, name), f"{here}.parameters")
            else:
                self.parameter(here, (*path, name), config)

    def name_nested(self, key: str) -> None:
        """Say what the program gets of a nested parameter, unless it is what W&B gave."""
        if self.as_text:
            said = "nested: W&B gave the program one argument with all of it, and here each part is one."
            self.result.change(key, said, "Let the program read the names with dots.")
        elif "args_json" not in self.macros:
            said = "nested: the file of parameters is flat, with dots in the names."
            self.result.change(key, said, "Let the program read the names with dots.")

    def parameter(self, key: str, path: tuple[str, ...], config: dict[str, Any]) -> None:
        kind = self.kind_of(key, config)
        if kind is None:
            return
        unknown = [name for name in config if name not in (*DISTRIBUTIONS[kind], "distribution")]
        if unknown:
            self.result.leave_out(key, f"{listed(unknown)}: {kind} has {listed(DISTRIBUTIONS[kind])}.")
        before = len(self.source.faults)
        entry = self.entry(key, kind, config)
        if len(self.source.faults) > before:
            return
        name = self.result.parameter(key, ".".join(path))
        if entry is None:
            shown = "{" + ", ".join(f"{k}: {v}" for k, v in config.items()) + "}"
            self.result.leave_out(
                key,
                f"{quoted(shown, 100)} has no counterpart: a study file knows ranges, even and logarithmic, and lists.",
                "Choose the range in which you would look, perhaps with a `prior:`, and write it into space:.",
            )
            self.result.need(f"space.{name}", f"{kind} has no counterpart.", flow(self.example(kind, config)))
            self.parameters.append(_Parameter(path, name))
            return
        self.result.section("space")[name] = entry
        choices = entry if isinstance(entry, list) else [entry] if not isinstance(entry, dict) else []
        is_flag = bool(choices) and all(isinstance(choice, bool) for choice in choices)
        texts = tuple(choice for choice in choices if isinstance(choice, str))
        self.parameters.append(_Parameter(path, name, is_flag, texts, 0 < len(texts) < len(choices)))

    def example(self, kind: str, config: dict[str, Any]) -> dict[str, Any]:
        """A range that the user may begin with."""
        center, spread = config.get("mu", 0.0), config.get("sigma", 1.0)
        if kind.endswith("normal") and is_number(center) and is_number(spread):
            return suggested(center, spread, log="log" in kind)
        low, high = config.get("min", 0.0), config.get("max", 1.0)
        if kind.endswith("_values") and is_number(low) and is_number(high):
            return float_range(low, high)
        return float_range(0, 1)

    def kind_of(self, key: str, config: dict[str, Any]) -> str | None:
        """The distribution, which W&B infers where it is not given."""
        if "distribution" in config:
            return self.source.word(f"{key}.distribution", config["distribution"], tuple(DISTRIBUTIONS))
        if "value" in config:
            return "constant"
        if "values" in config:
            return "categorical_w_probabilities" if "probabilities" in config else "categorical"
        if "min" in config and "max" in config:
            ends = (config["min"], config["max"])
            return "int_uniform" if all(type(end) is int for end in ends) else "uniform"
        self.source.fault(
            key, "has no value, no values, and not both of min and max.", "Give what the parameter can be."
        )
        return None

    def entry(self, key: str, kind: str, config: dict[str, Any]) -> Any:
        """What stands in `space:`; None where the distribution has no counterpart."""
        if kind == "constant":
            if "value" not in config:
                self.source.fault(key, "has no value.", "Give `value:`.")
                return None
            self.name_texts(key, [config["value"]])
            return self.choice(key, config["value"], isinstance(config["value"], bool))
        if kind.startswith("categorical"):
            return self.choices(key, config)
        if kind.endswith(("normal", "beta")) or kind.startswith("inv_"):
            return None
        ends = self.source.pair(key, config.get("min"), config.get("max"))
        q = self.source.number(f"{key}.q", config.get("q", 1.0))
        if ends is None or q is None:
            return None
        if q <= 0:
            self.source.fault(f"{key}.q", f"{q} is not above 0.", "Give the distance of two values.")
            return None
        low, high = ends
        if kind.endswith("_values") and low <= 0:
            self.source.fault(f"{key}.min", f"{low} is not above 0.", "Give the smallest value, not its logarithm.")
            return None
        if kind == "int_uniform":
            if low != int(low) or high != int(high):
                self.source.fault(key, "int_uniform needs whole numbers.", "Give whole numbers, or `uniform`.")
                return None
            return int_range(low, high)
        if kind == "uniform":
            return float_range(low, high)
        if kind == "q_uniform":
            return rounded(low, high, q, clipped=False, whole=type(q) is int)
        if kind == "log_uniform":
            entry = natural_log_range(low, high)
            if entry is not None and low >= 0 and high <= 1:
                said = f"log_uniform has natural logarithms, so values are from {entry['low']:g} to {entry['high']:g}."
                self.result.change(key, said, f"If {low:g} to {high:g} was meant, write that into space:.")
            return entry
        if kind == "log_uniform_values":
            return float_range(low, high, log=True)
        return self.rounded_log(kind, low, high, q)

    def rounded_log(self, kind: str, low: float, high: float, q: float) -> dict[str, Any] | None:
        """Whole numbers, evenly on the logarithmic scale: the one kind of rounded logarithms that is known here."""
        values = float_range(low, high) if kind.endswith("_values") else natural_log_range(low, high)
        if values is None or type(q) is not int or q != 1 or round(values["low"]) < 1 or values["high"] >= 2**53:
            return None
        return int_range(round(values["low"]), round(values["high"]), log=True)

    def choices(self, key: str, config: dict[str, Any]) -> Any:
        values = self.source.items(f"{key}.values", config.get("values"))
        if not values:
            self.source.fault(f"{key}.values", "there are no values.", "Give at least one.")
            return None
        if "probabilities" in config:
            weights = self.source.items(f"{key}.probabilities", config["probabilities"])
            if len(weights) != len(values) or not all(is_number(weight) for weight in weights):
                problem = f"{quoted(weights)} are not the probabilities of {len(values)} values."
                self.source.fault(f"{key}.probabilities", problem, "Give one number for each value.")
                return None
            if len(set(weights)) > 1:
                likeliest = values[max(range(len(values)), key=lambda i: float(weights[i]))]
                self.result.leave_out(
                    f"{key}.probabilities",
                    f"{quoted(weights)} have no counterpart: all values are drawn alike until results tell more.",
                    f"If you expect {quoted(likeliest)} to be best, give the parameter a `prior:` with it as center.",
                )
        are_flags = all(isinstance(value, bool) for value in values)
        spelled = [self.choice(f"{key}.values", value, are_flags) for value in values]
        self.name_texts(f"{key}.values", values)
        kept = without_repetition([value for value in spelled if value is not None])
        if len(kept) < len(spelled) and None not in spelled:
            self.result.change(
                f"{key}.values", "a value that was there twice is there once: choices are all different."
            )
        return kept

    def choice(self, key: str, value: Any, are_flags: bool = False) -> Any:
        """A value as the program got it from W&B's agent: as Python prints it, or as it is in JSON.

        Args:
            are_flags: All values of the parameter are true or false.
        """
        if is_number(value) or isinstance(value, str):
            return value
        has_flags = "args_no_boolean_flags" in self.macros
        if self.as_text or (has_flags and not isinstance(value, bool)):
            return str(value)
        if isinstance(value, bool) and (are_flags or not has_flags):
            return value
        problem = f"{quoted(value)} cannot be a value of a parameter here."
        if isinstance(value, bool):
            problem = f"{quoted(value)} is among other values, and ${{args_no_boolean_flags}} makes it a flag."
        self.source.fault(key, problem, "Give it a name.")
        return None

    def name_texts(self, key: str, values: Sequence[Any]) -> None:
        """Name the values that are texts here."""
        spelled = [self.choice(key, value, all(isinstance(v, bool) for v in values)) for value in values]
        pairs = zip(spelled, values, strict=True)
        found = [text for text, value in pairs if isinstance(text, str) and not isinstance(value, str)]
        if found:
            self.result.change(key, f"{listed(found)}: as texts, spelled as W&B gives them to the program.")

    # ---- the command -------------------------------------------------------------------------------------------
    def command_of(self) -> tuple[list[Any], set[str]]:
        """The words of the command, and the macros in it."""
        given = self.sweep.get("command")
        words = ["${env}", "${interpreter}", "${program}", "${args}"]
        if given is not None:
            words = [word for word in self.source.items("command", given) if word is not None]
        bad = [word for word in words if not isinstance(word, (str, int, float))]
        if bad:
            self.source.fault("command", f"{quoted(bad[0])} is not a word.", "Give a list of words.")
        words = [word if isinstance(word, str) else str(word) for word in words if word not in bad]
        return words, {word[2:-1] for word in words if word.startswith("${") and word[2:-1] in _MACROS}

    def write_command(self, words: Sequence[str], macros: set[str]) -> None:
        program = self.source.text("program", self.sweep.get("program"))
        if program is None and ("program" in macros or not words):
            shown = " ".join(self.shown_arguments())
            why = "The sweep names no program."
            if any(key in self.sweep for key in ("job", "image_uri")):
                why = "The sweep starts a job or an image of W&B Launch, and names no program."
            self.result.need("command", why, f"python train.py {shown}".strip())
            return
        expanded: list[Word] = []
        variables: list[str] = []
        for word in words:
            expanded += self.expanded(word, program or "", variables)
        if not expanded:
            self.result.need("command", "The sweep's command is empty.", "python train.py")
            return
        self.result.study["command"] = as_command(expanded)
        if variables:
            self.result.study["pass_env"] = sorted(set(variables))
        if not macros & {*_TEXT_MACROS, "args_no_boolean_flags", "args_json"}:
            self.result.study["pass"] = ["file"]
            if "args_json_file" not in macros:
                self.result.change(
                    "command",
                    "the command gives the program no parameters, so it takes them from wandb.config.",
                    "Let it read the JSON file that the variable HPO_PARAMS_FILE names.",
                )
        if "args_json_file" in macros and any(p.name != p.path[0] for p in self.parameters):
            self.result.change(
                "command", "the JSON file of parameters has the names of this study.", "Let the program read those."
            )
        self.result.change(
            "program",
            "what wandb.log gets is not printed, and only what is printed is read; wandb.config is empty here.",
            f"Let the program also print `{self.metric_name()}=0.5` at each step, and take its parameters from "
            + ("its arguments." if macros - {"env", "interpreter", "program", "args_json_file"} else "the file."),
        )

    def shown_arguments(self) -> list[str]:
        return [f"--{p.dotted}=${{hpo.{p.name}}}" for p in self.parameters]

    def expanded(self, word: str, program: str, variables: list[str]) -> list[Word]:
        """The words that one word of the command stands for."""
        name = word[2:-1] if word.startswith("${") and word.endswith("}") else ""
        if name == "env":
            return []  # /usr/bin/env only looks the interpreter up, as a shell does
        if name == "interpreter":
            return [("python",)]
        if name == "program":
            return [(program,)]
        if name == "args_json_file":
            return [(Value("${trial.params_file}"),)]
        if name == "args_json":
            return [tuple(self.json_argument())]
        if name in (*_TEXT_MACROS, "args_no_boolean_flags"):
            found: list[Word] = []
            for parameter in self.parameters:
                value = Value(f"${{hpo.{parameter.name}}}")
                option = f"--{parameter.dotted}"
                if name == "args_no_equals":
                    found += [(option,), (value,)]
                elif name == "args_no_boolean_flags" and parameter.is_flag:
                    found.append((Value(f"${{hpo.{parameter.name}?{option}}}"),))
                else:
                    found.append((f"{_PREFIXES.get(name, '--')}{parameter.dotted}=", value))
            return found
        parts: list[Part] = []
        position = 0
        for match in _ENVVAR.finditer(word):
            parts += [word[position : match.start()], Variable(match[1])]
            variables.append(match[1])
            position = match.end()
        parts.append(word[position:])
        if name and position == 0:
            said = f"{quoted(word)} is no macro: W&B leaves it out, and so does the study."
            self.result.leave_out("command", said, "Remove it.")
            return []
        return [tuple(part for part in parts if part != "") or ("",)]

    def json_argument(self) -> list[Part]:
        """All parameters as one argument that holds JSON."""
        tree: dict[str, Any] = {}
        for parameter in self.parameters:
            node = tree
            for part in parameter.path[:-1]:
                node = node.setdefault(part, {})
            node[parameter.path[-1]] = parameter
            bad = [text for text in parameter.texts if json.dumps(text, ensure_ascii=False)[1:-1] != text]
            if bad:
                cure = "Give the values in a file, with ${args_json_file}, or name them otherwise."
                self.source.fault(f"parameters.{parameter.dotted}", f"{quoted(bad[0])} needs escapes in JSON.", cure)
            if parameter.is_mixed:
                cure = "Give the values in a file, with ${args_json_file}, or make all of them texts."
                self.source.fault(f"parameters.{parameter.dotted}", "has texts and other values in one argument.", cure)
        return list(_json_parts(tree))

    # ---- the rest ----------------------------------------------------------------------------------------------
    def metric_name(self) -> str:
        metric = self.sweep.get("metric")
        name = metric.get("name") if isinstance(metric, dict) else None
        return re.sub(r"[\s=]+", "_", name).strip("_") if isinstance(name, str) and name.strip("= \t\n") else "metric"

    def objective(self) -> None:
        draft, source = self.result, self.source
        metric = source.mapping("metric", self.sweep.get("metric"))
        objective = draft.section("objective")
        name = source.text("metric.name", metric.get("name"))
        if name is None:
            why = "The sweep names no metric; W&B needs none for its method."
            draft.need("objective.metric", why, "loss")
            draft.need("objective.direction", "The sweep does not say what is better.", "minimize")
        else:
            objective["metric"] = self.metric_name()
            if objective["metric"] != name:
                said = f"{quoted(name)} cannot be printed as name=value, so the objective is {objective['metric']}."
                draft.change("metric.name", said)
            goal = source.word("metric.goal", metric.get("goal", "minimize"), ("minimize", "maximize"))
            objective["direction"] = goal or "minimize"
            objective["reduce"] = "best"  # W&B takes the best value of a run (run.py, metric_extremum)
        target = source.number("metric.target", metric.get("target"))
        if target is not None:
            objective |= {"target": target, "on_target": "finish"}
        for key in ("impute", "impute_while_running"):
            value = metric.get(key)
            if value not in (None, False, "false") and (key, value) != ("impute", "worst"):
                draft.leave_out(
                    f"metric.{key}",
                    f"{quoted(value)}: what counts for runs that fail or still run is decided by the sampler here.",
                )
        if not objective:
            del draft.study["objective"]

    def method(self) -> None:
        method = self.source.word("method", self.sweep.get("method"), (*SAMPLERS, "custom"))
        if method is None:
            self.source.fault("method", "is missing.", "Give bayes, random or grid.")
        elif method == "custom":
            self.result.leave_out("method", "custom: a program of yours proposes.", "See `sampler: {name: external}`.")
        else:
            self.result.study["sampler"] = SAMPLERS[method]
        endless = [
            name
            for name, entry in self.result.study.get("space", {}).items()
            if method == "grid" and isinstance(entry, dict) and entry["type"] == "float" and "step" not in entry
        ]
        if endless:
            self.source.fault(
                "method", f"a grid cannot have {listed(endless)}, which is a range of real numbers.", "Give `values:`."
            )

    def early_terminate(self) -> None:
        rule = self.source.mapping("early_terminate", self.sweep.get("early_terminate"))
        if not rule:
            return
        eta = self.source.number("early_terminate.eta", rule.get("eta", 3)) or 3
        first = self.source.whole("early_terminate.min_iter", rule.get("min_iter"))
        last = self.source.whole("early_terminate.max_iter", rule.get("max_iter"))
        suggested = (
            f"fidelity: {{name: epochs, low: {first or 1}, high: {last or 27}, eta: {round(eta)}, method: asha}}"
        )
        self.result.leave_out(
            "early_terminate",
            "W&B stops a run, while it runs, that is not among the best of its bracket; there is no such rule here.",
            f"If the program can be told how far to train: `{suggested}`; else `pruner: median` ends hopeless runs.",
        )

    def others(self) -> None:
        for key in self.sweep:
            if key in UNNEEDED:
                self.result.unneeded.append(key)
            elif key in LATER:
                cures = {
                    "metrics": "Choose one of them as objective.",
                    "scheduler": "See `sampler: {name: optuna}` and `{name: external}`.",
                }
                cure = cures.get(key, "Write what it runs into command:.")
                self.result.leave_out(key, "there is no counterpart.", cure)
            elif key not in KEYS:
                self.result.leave_out(key, "this key is not known here.")


def _json_parts(tree: Mapping[str, Any]) -> list[Part]:
    """A JSON object as parts of a word, with the spaces that Python puts there."""
    parts: list[Part] = ["{"]
    for index, (key, value) in enumerate(tree.items()):
        parts.append(f"{', ' if index else ''}{json.dumps(key)}: ")
        if isinstance(value, dict):
            parts += _json_parts(value)
        else:
            quote = '"' if value.texts else ""
            parts += [quote, Value(f"${{hpo.{value.name}}}"), quote] if quote else [Value(f"${{hpo.{value.name}}}")]
    return [*parts, "}"]
