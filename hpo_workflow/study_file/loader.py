"""A study file as a StudySpec, or all its faults in one report.

`load_study` reads a file, `load_mapping` the `config:` of a Snakemake module. Both run the same checks in the same
order: the YAML, the schema, then what no schema can say. A section with faults is left out of the later checks, so that
one mistake is reported once.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import jsonschema

from hpo_workflow.addresses import secret_in
from hpo_workflow.errors import ConfigError, Fault
from hpo_workflow.metrics.user_patterns import compiled
from hpo_workflow.multifidelity import METHODS, methods
from hpo_workflow.pruners import registry as pruners
from hpo_workflow.quantities import bytes_of, seconds_of
from hpo_workflow.samplers import check_settings
from hpo_workflow.samplers.registry import LATER
from hpo_workflow.space import SearchSpace, read_space
from hpo_workflow.space.start import read_start
from hpo_workflow.spec import (
    Budget,
    Define,
    Fidelity,
    Limits,
    MetricSettings,
    Objective,
    Retry,
    StudySpec,
    Template,
    digest_of,
)
from hpo_workflow.store.trial_files import OWN as OWN_FILES
from hpo_workflow.study_file import identity, yaml_reader
from hpo_workflow.study_file.schema import TRACK_EVERY, default_of, study_schema
from hpo_workflow.study_file.sentences import fault_of, shown
from hpo_workflow.study_file.yaml_reader import Document, Path, dotted
from hpo_workflow.template import check_template
from hpo_workflow.template.file_formats import format_of
from hpo_workflow.template.placeholders import NAME, nearest
from hpo_workflow.template.rendering import read_command

LARGEST_TEMPLATE = 1_000_000
LONGEST_REGEX = 500
DEFAULT_PARALLEL = 8
LARGEST_FIDELITY = 1e12
"""More than anybody trains, and few enough for exact arithmetic."""

MOST_LEVELS = 1000
"""Of population based training: each member has a trial at each level."""

TRACKERS = ("mlflow",)
"""What `track:` knows."""

WITHOUT_PRIOR = ("grid", "optuna")
"""Samplers that do not use `prior:`."""

_NUMBER = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
SECRET = re.compile(r"(?:^|_)(?:[A-Z0-9]*(?:PASSWORD|PASSWD|SECRET|TOKEN|APIKEY)|KEY|PASS)(?:_|$)")
"""Names of variables, in capitals, whose values must not be recorded."""

_RESOURCE_HINTS = {
    "memory": "mem",
    "ram": "mem",
    "time": "runtime",
    "walltime": "runtime",
    "cpus": "threads",
    "cores": "threads",
    "partition": "slurm_partition",
    "account": "slurm_account",
}


@dataclass(frozen=True)
class LoadedStudy:
    """A study file that has no faults.

    Args:
        spec: What it says, defaults filled in.
        warnings: Sentences about what is possible but perhaps not meant.
        identity: The content that decides whether earlier results count.
        identity_digest: Its short name.
        files: SHA-256 of the inputs by path.
        path: The file as it was named.
    """

    spec: StudySpec
    warnings: list[str]
    identity: dict[str, Any]
    identity_digest: str
    files: dict[str, str]
    path: str = ""


def load_study(path: str | os.PathLike[str], *, base_dir: str | os.PathLike[str] | None = None) -> LoadedStudy:
    """Read a study file.

    Args:
        path: The file.
        base_dir: Where the paths in it start; the current directory by default, as with Snakemake.

    Raises:
        ConfigError: With all faults, in the order of the file.
    """
    name = os.fspath(path)
    try:
        with open(path, "rb") as file:
            data = file.read(yaml_reader.LARGEST_FILE + 1)
            data += file.read(1) and b"" if len(data) <= yaml_reader.LARGEST_FILE else b""
    except FileNotFoundError:
        raise ConfigError(name, [Fault("", "there is no such file.", "`hpo init` writes one to start from.")]) from None
    except IsADirectoryError:
        raise ConfigError(name, [Fault("", "this is a folder.", "Give the study file in it.")]) from None
    except OSError as error:
        raise ConfigError(name, [Fault("", f"the file cannot be read: {error.strerror}.", "")]) from None
    return _Loader(yaml_reader.read_yaml(data, name), name, base_dir).load()


def load_mapping(
    mapping: Mapping[str, Any], name: str, *, base_dir: str | os.PathLike[str] | None = None
) -> LoadedStudy:
    """Read a study from a mapping, such as the `config:` of a Snakemake module.

    Snakemake reads `1e-4` as text, so text that reads as a number is accepted where a number is required, and refused
    as a choice, where nobody can know what was meant.

    Args:
        mapping: What a study file would say.
        name: What to call it in messages.
        base_dir: As for `load_study`.
    """
    try:
        document = yaml_reader.from_mapping(mapping)
    except ConfigError as error:
        raise ConfigError(name, error.faults) from None
    loader = _Loader(document, name, base_dir)
    loader.accept_numbers_as_text()
    return loader.load()


class _Loader:
    def __init__(self, document: Document, file: str, base_dir: str | os.PathLike[str] | None) -> None:
        self.document = document
        self.file = file
        self.base_dir = os.fspath(base_dir) if base_dir is not None else os.getcwd()
        self.faults: list[tuple[Path, Fault]] = list(document.faults)
        self.warnings: list[str] = []
        self.by_key = {dotted(path): path for path in document.places}
        value = document.value
        if value is None:
            raise ConfigError(file, [Fault("", "the file is empty.", "`hpo init` writes a study file to start from.")])
        if not isinstance(value, dict):
            cure = "Write `key: value` lines, starting with `study:`."
            raise ConfigError(file, [Fault("", f"the file holds {shown(value)} instead of keys and values.", cure)])
        self.given: dict[str, Any] = value
        self.space: SearchSpace | None = None
        self.misspelled: set[Path] = set()
        """Keys of the top level for which another word is in the file."""

    # ---- faults ----------------------------------------------------------------------------------
    def fault(self, path: Path, problem: str, cure: str = "") -> None:
        self.faults.append((path, Fault(dotted(path), problem, cure)))

    def add(self, fault: Fault) -> None:
        """A fault that another part found; its place is that of the nearest key in the file."""
        key = fault.key
        while key and key not in self.by_key:
            key = re.sub(r"(?:\.[^.\[\]]*|\[\d+\])$", "", key) if re.search(r"[.\[]", key) else ""
        self.faults.append((self.by_key.get(key, ()), fault))

    def is_good(self, *path: str | int) -> bool:
        """Whether nothing is wrong at or below a path."""
        return not any(at[: len(path)] == path for at, _ in self.faults)

    def value(self, *path: str) -> Any:
        """What the file gives, or the default of the schema; only asked for where nothing is wrong."""
        node: Any = self.given
        for key in path:
            if not isinstance(node, Mapping) or key not in node:
                return default_of(*path)
            node = node[key]
        return node

    def get(self, *path: str) -> Any:
        """What the file gives, or None."""
        node: Any = self.given
        for key in path:
            if not isinstance(node, Mapping) or key not in node:
                return None
            node = node[key]
        return node

    def report(self) -> ConfigError:
        """All faults in the order of the file; a missing key of the top level comes last."""

        def order(entry: tuple[int, tuple[Path, Fault]]) -> tuple[int, int, int, int]:
            index, (path, _) = entry
            place = self.document.place(path)
            return (int(not path), place.line, place.column, index)

        faults = [fault for _, (_, fault) in sorted(enumerate(self.faults), key=order)]
        return ConfigError(self.file, list(dict.fromkeys(faults)))

    # ---- text as numbers ---------------------------------------------------------------------------
    def accept_numbers_as_text(self) -> None:
        """Turn text into numbers where the schema wants numbers; refuse it where nobody can know."""
        schema = study_schema()
        parameter = schema["properties"]["space"].pop("additionalProperties")
        space = self.given.pop("space", None)
        self.given = _with_numbers(self.given, schema)
        if space is not None:
            self.given["space"] = space
        start = self.given.get("start")
        if isinstance(space, dict) and isinstance(start, list):
            self.given["start"] = [self._start_entry(index, entry, space) for index, entry in enumerate(start)]
        if isinstance(space, dict):
            self.given["space"] = {name: self._space_entry(name, entry, parameter) for name, entry in space.items()}

    def _space_entry(self, name: str, entry: Any, schema: Mapping[str, Any]) -> Any:
        if not isinstance(entry, dict):
            for index, choice in enumerate(entry if isinstance(entry, list) else [entry]):
                self._refuse_number(("space", name, index) if isinstance(entry, list) else ("space", name), choice)
            return entry
        found = {
            key: _with_numbers(value, schema["properties"][key]) if key in schema["properties"] else value
            for key, value in entry.items()
        }
        if isinstance(found.get("choices"), list):
            for index, choice in enumerate(found["choices"]):
                self._refuse_number(("space", name, "choices", index), choice)
        if isinstance(found.get("when"), dict):
            found["when"] = {parent: _condition_with_numbers(wanted) for parent, wanted in found["when"].items()}
        if found.get("type") in ("float", "int") and "fallback" in found:
            found["fallback"] = _as_number(found["fallback"])
        if isinstance(found.get("prior"), dict) and "center" in found["prior"]:
            if found.get("type") in ("float", "int"):
                found["prior"] = {**found["prior"], "center": _as_number(found["prior"]["center"])}
            else:
                self._refuse_number(("space", name, "prior", "center"), found["prior"]["center"])
        return found

    def _start_entry(self, index: int, entry: Any, space: Mapping[str, Any]) -> Any:
        if not isinstance(entry, dict):
            return entry
        found = {}
        for name, value in entry.items():
            parameter = space.get(name)
            if isinstance(parameter, dict) and parameter.get("type") in ("float", "int"):
                value = _as_number(value)
            else:
                self._refuse_number(("start", index, name), value)
            found[name] = value
        return found

    def _refuse_number(self, path: Path, value: Any) -> None:
        if isinstance(value, str) and _NUMBER.fullmatch(value):
            cure = "Give the study as a file (`study: PATH`), or write the number as 0.0001 or 1.0e-4."
            self.fault(
                path, f"{shown(value)} is text that reads as a number: Snakemake may have turned it into text.", cure
            )

    # ---- the whole -------------------------------------------------------------------------------
    def load(self) -> LoadedStudy:
        self.check_schema()
        self.check_objective()
        self.check_metrics()
        self.check_paths()
        command = self.read_command()
        env = self.read_env()
        templates, template_names = self.read_templates()
        self.check_space()
        setup = self.value("setup") if self.is_good("setup") else ""
        fidelity = self.read_fidelity()
        if self.is_good("pass") and command is not None:
            space = self.given.get("space")
            names = tuple(space) if isinstance(space, dict) else ()
            names = tuple(name for name in names if re.fullmatch(NAME, name))
            if names:
                for fault in check_template(
                    command,
                    env,
                    templates,
                    self.space,
                    names=names,
                    passed=self.value("pass"),
                    setup=setup,
                    template_names=template_names,
                    fidelity=self.fidelity_name(),
                    must_resume=self.get("fidelity", "method") == "pbt",
                ):
                    self.add(fault)
        start = self.read_start()
        history = self.read_history()
        sampler = self.read_sampler()
        budget = self.read_budget(sampler)
        pruner = self.read_pruner()
        resources, runtime_s, mem_mb = self.read_resources()
        limits = self.read_limits()
        retry = self.read_retry(runtime_s, mem_mb, limits)
        track = self.read_track()
        files = self.read_inputs(command)
        if self.faults:
            raise self.report()
        assert command is not None and budget is not None
        spec = StudySpec(
            study=self.given["study"],
            command=command,
            space=self.given["space"],
            objective=Objective(
                metric=self.given["objective"]["metric"],
                direction=self.given["objective"]["direction"],
                reduce=self.value("objective", "reduce"),
                target=self.get("objective", "target"),
                on_target=self.value("objective", "on_target"),
            ),
            budget=budget,
            version=self.value("version"),
            description=self.value("description"),
            seed=int(self.value("seed")),
            outdir=self.value("outdir"),
            cache=self.value("cache"),
            shell=self.value("shell"),
            workdir=self.value("workdir"),
            setup=setup,
            env=env,
            pass_env=tuple(self.value("pass_env")),
            passed=tuple(self.value("pass")),
            templates=templates,
            inputs=tuple(self.given["inputs"]) if "inputs" in self.given else None,
            needs=tuple(self.value("needs")),
            metrics=MetricSettings(
                format=self.value("metrics", "format"),
                lines=self.get("metrics", "lines"),
                step=self.get("metrics", "step"),
                define={name: Define(**rule) for name, rule in self.value("metrics", "define").items()},
            ),
            sampler=sampler,
            refill=self.value("refill"),
            resources=resources,
            runtime_s=runtime_s,
            mem_mb=mem_mb,
            limits=limits,
            start=start,
            history=history,
            pruner=pruner,
            fidelity=fidelity,
            keep=self.value("keep"),
            retry=retry,
            track=track,
        )
        self.warnings += fidelity_warnings(spec)
        content = identity.identity_of(spec, files)
        return LoadedStudy(spec, self.warnings, content, digest_of(content), files, self.file)

    def check_schema(self) -> None:
        schema = study_schema()
        schema["properties"]["space"].pop("additionalProperties")
        checker = jsonschema.FormatChecker(formats=())
        checker.checks("duration", raises=ValueError)(lambda value: bool(seconds_of(value, None)))
        checker.checks("duration-or-minutes", raises=ValueError)(lambda value: bool(seconds_of(value, "m")))
        checker.checks("size", raises=ValueError)(lambda value: bool(bytes_of(value)))
        checker.checks("regex-of-ours", raises=(ValueError, re.error, OverflowError, RecursionError))(_is_regex)
        validator = jsonschema.Draft202012Validator(schema, format_checker=checker)
        found = [entry for error in validator.iter_errors(self.given) for entry in fault_of(error, self.document)]
        known = {path for path, _ in self.document.faults}
        meant = {(*path[:-1], key) for path, fault in found for key in re.findall(r"^Write (\w+)[:.]", fault.cure)}
        for path, fault in found:
            is_missing = path not in self.document.places
            if path in known or (is_missing and path in meant):
                continue
            known.add(path)
            self.faults.append((path[:-1] if is_missing else path, fault))
        self.misspelled = {path[:1] for path in meant}

    # ---- sections ----------------------------------------------------------------------------------
    def check_objective(self) -> None:
        metric = self.get("objective", "metric")
        if not isinstance(metric, str) or not self.is_good("objective", "metric"):
            return
        path = ("objective", "metric")
        facts = ("trial.seconds", "trial.max_rss_mb")
        if metric.startswith("trial.") and metric not in facts:
            guess = nearest(metric, facts)
            cure = (
                f"Write {guess}."
                if guess
                else "Write trial.seconds or trial.max_rss_mb, or a metric that the program prints."
            )
            self.fault(path, f"{metric} is not known.", cure)
        if metric == self.get("metrics", "step"):
            cure = "Give the metric that is optimised here, and the one that counts steps in metrics.step."
            self.fault(path, f"{metric} also counts the steps (metrics.step).", cure)

    def check_metrics(self) -> None:
        define = self.get("metrics", "define")
        if not isinstance(define, dict):
            return
        for name, rule in define.items():
            path = ("metrics", "define", name)
            if not isinstance(rule, dict) or not self.is_good(*path):
                continue
            if name.startswith("trial."):
                self.fault(
                    path, f"{name} looks like a fact of the trial.", "Choose a name that does not start with trial."
                )
            if ("after" in rule) == ("regex" in rule):
                what = "both after: and regex:" if "after" in rule else "neither after: nor regex:"
                self.fault(path, f"has {what}.", 'Give one of them, for example `after: "auc:"`.')
            elif "regex" in rule:
                groups = compiled(rule["regex"])
                if "value" not in groups.groupindex and groups.groups != 1:
                    problem = f"{shown(rule['regex'])} has {groups.groups} groups and none is called value."
                    cure = r"Put the number into the group value, for example 'accuracy is (?P<value>\S+)%'."
                    self.fault((*path, "regex"), problem, cure)
            for key in ("regex", "lines"):
                self.warn_of_slow_regex((*path, key), rule.get(key))
        self.warn_of_slow_regex(("metrics", "lines"), self.get("metrics", "lines"))

    def warn_of_slow_regex(self, path: Path, pattern: Any) -> None:
        if isinstance(pattern, str) and re.search(r"[+*]\)(?:[+*]|\{\d+,)", pattern):
            self.warnings.append(
                f"{dotted(path)}: {shown(pattern)} repeats a repetition and can take very long on some lines."
            )

    def check_paths(self) -> None:
        for key in ("outdir", "cache"):
            value = self.get(key)
            if not isinstance(value, str) or not self.is_good(key):
                continue
            if any(ord(char) < 32 or char in "\"'\\`" for char in value):
                self.fault(
                    (key,), f"{shown(value)} has a quote, backslash or control character.", "Choose a plain path."
                )
            elif value.startswith("~") or "$" in value:
                cure = "Write the path out; nothing expands ~ and variables here."
                self.fault((key,), f"{shown(value)} has a part that only a shell would expand.", cure)

    def read_command(self) -> str | tuple[str, ...] | None:
        command = self.given.get("command")
        if not self.is_good("command") or not isinstance(command, (str, list)):
            return None
        if isinstance(command, list):
            return tuple(self.text(("command", index), word) for index, word in enumerate(command))
        if not command.strip():
            self.fault(
                ("command",), "is empty.", "Give what a trial runs, for example `python train.py --lr=${hpo.lr}`."
            )
            return None
        if "\0" in command:
            self.fault(("command",), "contains a NUL character.", "Remove it.")
            return None
        for key in ("command", "setup"):
            place = self.document.place((key,))
            if key in self.given and place.comment and not place.style:
                cure = (
                    "If it belongs to the command, put the command in quotes; if it is a comment, give it a line of its"
                )
                cure += " own."
                self.fault((key,), f"YAML ends the value at ` #`: `{place.comment[:60]}` is not part of it.", cure)
        comments = read_command(command).comments
        if comments and "\n" not in command.strip() and self.document.place(("command",)).style in ("", ">"):
            problem = f"the lines are folded into one, so `{comments[0][:60]}` is a comment to its end."
            cure = "Remove the comment, or write `command: |` with a \\ at the end of each line that continues."
            self.fault(("command",), problem, cure)
            return None
        return command.strip("\n")

    def text(self, path: Path, value: Any) -> str:
        """A scalar as text: numbers as they are written in the file."""
        place = self.document.places.get(path)
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, (int, float)) and place is not None and place.source:
            return place.source
        return repr(value) if isinstance(value, float) else str(value)

    def read_env(self) -> dict[str, str]:
        given = self.get("env")
        if not isinstance(given, dict):
            return {}
        passed = self.get("pass_env") if isinstance(self.get("pass_env"), list) else []
        env: dict[str, str] = {}
        for name, value in given.items():
            path = ("env", name)
            if not self.is_good(*path):
                continue
            text = self.text(path, value)
            if name.startswith("HPO_"):
                self.fault(path, "names that start with HPO_ are set by hpo_workflow.", "Choose another name.")
            elif name in passed:
                self.fault(path, "is also in pass_env:.", "Keep one of them.")
            elif SECRET.search(name.upper()) and text and "${hpo." not in text:
                cure = (
                    f"Write `pass_env: [{name}]` and set it where the run is started; then its value is never recorded."
                )
                self.fault(path, "looks like a secret, and all of env: is recorded.", cure)
            elif "\0" in text:
                self.fault(path, "contains a NUL character.", "Remove it.")
            else:
                if re.search(r"\$(?:[A-Za-z_]\w*|\{(?!hpo\.|trial\.|study\.)[A-Za-z_]\w*\})", text):
                    self.warnings.append(
                        f"env.{name}: {shown(text)} is given as it stands; no shell expands the variable."
                    )
                env[name] = text
        for index, name in enumerate(passed):
            if isinstance(name, str) and name.startswith("HPO_") and self.is_good("pass_env", index):
                self.fault(("pass_env", index), f"{name} is set by hpo_workflow.", "Remove it.")
        return env

    def read_templates(self) -> tuple[dict[str, Template], list[str]]:
        given = self.get("templates")
        if not isinstance(given, dict):
            return {}, []
        templates: dict[str, Template] = {}
        owners: dict[str, str] = {}
        for name, entry in given.items():
            path: Path = ("templates", name)
            if not self.is_good(*path):
                continue
            settings = entry if isinstance(entry, dict) else {"from": entry}
            source = settings["from"]
            base = os.path.basename(source)
            target = settings.get("to", base[: -len(".in")] if base.endswith(".in") and base != ".in" else base)
            place = (*path, "to") if "to" in settings else path
            normal = os.path.normpath(target)
            if (
                os.path.isabs(target)
                or normal.startswith("..")
                or normal == "."
                or re.search(r"[\x00-\x1f\"'\\]", target)
            ):
                cure = "Give a plain relative path such as in.nml."
                self.fault(place, f"{shown(target)} is not a file below the trial's directory.", cure)
            elif OWN_FILES.fullmatch(normal):
                self.fault(
                    place, f"{target} is a file that hpo_workflow writes there itself.", "Give another name with to:."
                )
            elif normal in owners:
                self.fault(
                    place, f"{target} is already what template {owners[normal]} becomes.", "Give another name with to:."
                )
            owners.setdefault(normal, name)
            text = self.read_template(path, source)
            if text is not None:
                form = settings.get("format", format_of(base))
                templates[name] = Template(source, normal, form, text)
        return templates, list(given)

    def read_template(self, path: Path, source: str) -> str | None:
        place = (*path, "from") if (*path, "from") in self.document.places else path
        full = os.path.join(self.base_dir, source)
        try:
            if os.path.getsize(full) > LARGEST_TEMPLATE:
                self.fault(place, f"{source} is larger than 1 MB.", "Keep data out of the template.")
                return None
            with open(full, encoding="utf-8", newline="") as file:
                return file.read()
        except FileNotFoundError:
            self.fault(place, f"{source} does not exist.", f"Paths start in {_folder(self.base_dir)}.")
        except UnicodeDecodeError:
            self.fault(place, f"{source} is not UTF-8 text.", "Save it as UTF-8.")
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            self.fault(place, f"{source} cannot be read: {reason}.", "")
        return None

    def check_space(self) -> None:
        if not self.is_good("space") or not isinstance(self.given.get("space"), dict):
            return
        space, faults = read_space(self.given["space"])
        for fault in faults:
            self.add(fault)
        self.space = space if not faults else None
        for path, reading in self.document.warnings.items():
            if path[:1] == ("space",):
                text = self.document.places[path].source
                self.warnings.append(
                    f"{dotted(path)}: {text} is text here, as YAML 1.2 reads it; YAML 1.1 would read {reading}."
                )

    def read_start(self) -> tuple[dict[str, Any], ...]:
        given = self.get("start")
        if self.space is None or not isinstance(given, list) or not self.is_good("start"):
            return ()
        start = read_start(self.space, given)
        for fault in start.faults:
            self.add(fault)
        self.warnings += start.notes
        trials = self.get("budget", "trials")
        if self.is_good("budget") and isinstance(trials, (int, float)) and len(start.points) > trials:
            more = f"start: lists {len(start.points)} configurations, and budget.trials is {trials}"
            self.warnings.append(f"{more}: the last ones do not run.")
        return start.points

    def read_history(self) -> tuple[dict[str, Any], ...]:
        """What `history:` names; `earlier_sources` reads it when the study is planned."""
        given = self.get("history")
        if not isinstance(given, list) or not self.is_good("history"):
            return ()
        for index, entry in enumerate(given):
            path: Path = ("history", index)
            kinds = [kind for kind in ("study", "csv", "optuna") if kind in entry]
            if len(kinds) != 1:
                problem = f"has {' and '.join(kinds)}." if kinds else "names no results."
                self.fault(path, problem, "Give one of study, csv and optuna, for example `csv: old.csv`.")
            elif "study_name" in entry and kinds != ["optuna"]:
                self.fault((*path, "study_name"), f"is not possible beside {kinds[0]}.", "Remove it.")
            elif "metric" in entry and kinds == ["optuna"]:
                cure = "A study of Optuna has one value, without a name. Remove it."
                self.fault((*path, "metric"), "is not possible beside optuna.", cure)
            elif "\0" in entry[kinds[0]]:
                self.fault((*path, kinds[0]), "contains a NUL character.", "Remove it.")
        return tuple(given)

    def fidelity_name(self) -> str | None:
        """The name of `fidelity:` as far as it is known; None where the file has no such key."""
        given = self.get("fidelity")
        if given is None:
            return None
        name = given.get("name") if isinstance(given, dict) else None
        return name if isinstance(name, str) else "epochs"

    def read_fidelity(self) -> Fidelity | None:
        """`fidelity:`, whose ends must be such that there is a ladder between them."""
        given = self.get("fidelity")
        if not isinstance(given, dict) or not self.is_good("fidelity"):
            return None
        space = self.get("space")
        if isinstance(space, dict) and given["name"] in space:
            problem = f"{given['name']} is a parameter of space:, too."
            cure = f"Remove it there, and write ${{trial.fidelity}} instead of ${{hpo.{given['name']}}}."
            self.fault(("fidelity", "name"), problem, cure)
        metric = self.get("objective", "metric")
        if metric in ("trial.seconds", "trial.max_rss_mb"):
            problem = f"the objective is {metric}, which is smallest where trials are trained least."
            self.fault(("fidelity",), problem, "Remove fidelity:, or choose a metric that the program prints.")
        method = self.value("fidelity", "method")
        self.check_method(given, METHODS[method])
        if not self.is_good("fidelity"):
            return None
        interval: float | None = given["interval"] if METHODS[method].shape == "interval" else None
        whole = self.value("fidelity", "type") == "int"
        low: float = self.value("fidelity", "low") if interval is None else given.get("low", interval)
        high: float = given["high"]
        for key, value in (("low", low), ("high", high), ("interval", interval or 0)):
            if key in given and whole and value != int(value):
                self.fault(
                    ("fidelity", key), f"{shown(value)} is not a whole number.", "Round it, or write `type: float`."
                )
            elif value > LARGEST_FIDELITY:
                self.fault(("fidelity", key), f"{shown(value)} is too large.", f"Give at most {LARGEST_FIDELITY:g}.")
        if not self.is_good("fidelity"):
            return None
        if interval is not None and "low" not in given and high <= interval:
            cure = f"Give an interval below {shown(high)}: a member is judged before it is trained to the end."
            self.fault(("fidelity", "interval"), f"high is {shown(high)} and interval {shown(interval)}.", cure)
            return None
        if high < low or (high == low and "low" in given):
            place = "low" if "low" in given else "high"
            cure = f"Give a high above {shown(low)}." if high <= low else ""
            self.fault(("fidelity", place), f"high is {shown(high)} and low {shown(low)}.", cure)
            return None
        if interval is not None and (high - low) / interval > MOST_LEVELS:
            problem = f"from {shown(low)} to {shown(high)} are more than {MOST_LEVELS} intervals of {shown(interval)}"
            self.fault(
                ("fidelity", "interval"), f"{problem}, and each member has a trial for each.", "Give a larger one."
            )
            return None
        return Fidelity(
            name=given["name"],
            type=self.value("fidelity", "type"),
            low=int(low) if whole else float(low),
            high=int(high) if whole else float(high),
            eta=int(self.value("fidelity", "eta")),
            method=method,
            interval=None if interval is None else int(interval) if whole else float(interval),
            options={key: self.value("fidelity", key) for key in METHODS[method].options},
        )

    def check_method(self, given: Mapping[str, Any], entry: methods.Entry) -> None:
        """The keys of `fidelity:` that not all methods have, and what population based training needs."""
        method = given.get("method", default_of("fidelity", "method"))
        own = {entry.shape, *entry.options}
        of_methods: dict[str, list[str]] = {}
        for name, each in METHODS.items():
            for key in (each.shape, *each.options):
                of_methods.setdefault(key, []).append(name)
        for key, names in of_methods.items():
            if key in given and key not in own:
                known = f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
                cure = f"Remove it, or write `method: {names[0]}`."
                self.fault(("fidelity", key), f"{key} is an option of {known}, and the method is {method}.", cure)
        if entry.shape != "interval":
            return
        if "interval" not in given:
            problem = f"method {method} needs interval:, how far a member is trained before it is judged."
            self.fault(("fidelity",), problem, "Give for example `interval: 1`.")
        for index, name in enumerate(given.get("fixed", ())):
            if self.space is not None and name not in self.space.by_name:
                guess = nearest(name, self.space.by_name)
                cure = f"Write {guess}." if guess else f"There are {', '.join(self.space.by_name)}."
                self.fault(("fidelity", "fixed", index), f"no parameter that varies is called {shown(name)}.", cure)
        if self.get("cache") is not None:
            problem = f"a cache holds results and not what programs wrote, from which members of {method} go on."
            self.fault(("cache",), problem, "Remove cache:, or take another fidelity.method.")

    def read_sampler(self) -> dict[str, Any]:
        given = self.given.get("sampler", default_of("sampler"))
        settings = {"name": given} if isinstance(given, str) else given
        if not self.is_good("sampler") or not isinstance(settings, dict):
            return dict(default_of("sampler"))
        path: Path = ("sampler", "name") if isinstance(given, dict) else ("sampler",)
        if settings["name"] in LATER:
            self.fault(path, f"the sampler {settings['name']} is not in this version.", "Write `sampler: auto`.")
        else:
            known = {name: value for name, value in settings.items() if not name.startswith("x-")}
            for fault in check_settings(known, self.space or SearchSpace(())):
                self.add(fault)
            if self.space is not None and settings["name"] in WITHOUT_PRIOR:
                self.warnings += [
                    f"space.{parameter.name}.prior: the sampler {settings['name']} does not use it."
                    for parameter in self.space.parameters
                    if parameter.prior is not None
                ]
        return dict(settings)

    def read_pruner(self) -> dict[str, Any] | None:
        given = self.get("pruner")
        if given is None or not self.is_good("pruner"):
            return None
        metric = self.get("objective", "metric") if self.is_good("objective") else None
        for fault in pruners.check_settings(given, metric):
            self.add(fault)
        if not self.is_good("pruner"):
            return None
        settings = pruners.normal(given)
        trials = self.get("budget", "trials")
        startup = settings.get("startup", 0)
        if self.is_good("budget") and isinstance(trials, (int, float)) and startup >= trials:
            more = f"{startup} complete trials are waited for, and budget.trials is {trials}"
            self.warnings.append(f"pruner.startup: {more}: nothing is ever stopped.")
        return settings

    def read_budget(self, sampler: Mapping[str, Any]) -> Budget | None:
        trials = self.get("budget", "trials")
        size = None
        if trials is None and self.is_good("budget") and ("budget",) not in self.misspelled:
            if sampler.get("name") == "grid":
                size = self.space.grid_size() if self.space is not None else 1
            if size is None:
                problem = "is missing."
                if sampler.get("name") == "grid":
                    problem = "is missing, and the grid of this space is not finite."
                cure = "Give the number of configurations to try, for example `trials: 64`."
                place: Path = ("budget",) if "budget" in self.given else ()
                self.faults.append((place, Fault("budget.trials", problem, cure)))
        if not self.is_good("budget"):
            return None
        if sampler.get("name") == "grid" and "order" not in sampler and trials and self.space is not None:
            grid = self.space.grid_size()
            if grid is not None and trials < grid:
                first = next((p.name for p in self.space.parameters if p.grid and len(p.grid) > 1), "")
                said = (
                    f"budget.trials: {trials} of a grid of {grid} are tried, in the order of the file: {first} varies"
                )
                self.warnings.append(
                    f"{said} least. `sampler: {{name: grid, order: shuffled}}` takes them from all over."
                )
        limit = trials if trials is not None else size
        parallel = self.get("budget", "parallel")
        if parallel is None:
            parallel = min(DEFAULT_PARALLEL, int(limit) if limit is not None else DEFAULT_PARALLEL)
        wall = self.get("budget", "wall")
        ahead = self.get("budget", "ahead") or 0
        if ahead and self.get("refill") == "rounds":
            cure = "A round fills all slots at once, when all are free. Remove one of the two."
            self.fault(("budget", "ahead"), f"is {ahead}, beside `refill: rounds`.", cure)
        gpu_hours = self.get("budget", "gpu_hours")
        if gpu_hours is not None and not self.get("resources", "gpu"):
            cure = "Give resources.gpu, the GPUs of a trial; or bound the study by wall: or trials:."
            self.fault(("budget", "gpu_hours"), "is given, but trials ask for no GPU, so none is ever used.", cure)
        failures = self.get("budget", "failures")
        return Budget(
            trials=None if trials is None else int(trials),
            parallel=int(parallel),
            failures=None if failures is None else int(failures),
            ahead=int(ahead),
            wall_s=None if wall is None else seconds_of(wall),
            gpu_hours=None if gpu_hours is None else float(gpu_hours),
        )

    def read_resources(self) -> tuple[dict[str, Any], float | None, float | None]:
        given = self.get("resources")
        if not isinstance(given, dict) or not self.is_good("resources"):
            return {}, None, None
        for name, hint in _RESOURCE_HINTS.items():
            if name in given:
                self.warnings.append(
                    f"resources.{name}: Snakemake knows it as {hint}; {name} is passed on without a meaning."
                )
        if "mem" in given and "mem_mb" in given:
            self.fault(("resources", "mem_mb"), "is given beside mem:.", "Keep one of them.")
        resources = {name: int(v) if isinstance(v, float) and v.is_integer() else v for name, v in given.items()}
        runtime_s = seconds_of(given["runtime"], "m") if "runtime" in given else None
        mem_mb = given.get("mem_mb")
        if "mem" in given:
            mem_mb = bytes_of(given["mem"]) / 1e6
        return resources, runtime_s, None if mem_mb is None else float(mem_mb)

    def read_limits(self) -> Limits:
        if not self.is_good("limits"):
            return Limits()
        silence = self.get("limits", "silence")
        return Limits(
            silence_s=None if silence is None else seconds_of(silence),
            grace_s=seconds_of(self.value("limits", "grace")),
            log_bytes=bytes_of(self.value("limits", "log")),
        )

    def read_retry(self, runtime_s: float | None, mem_mb: float | None, limits: Limits) -> Retry | None:
        given = self.get("retry")
        if not isinstance(given, dict) or not self.is_good("retry"):
            return None
        timeout, oom = given.get("timeout"), given.get("oom")
        known = self.is_good("resources")
        if timeout is not None and timeout["resume"] is not True:
            cure = (
                "Let the program save its state in ${trial.dir} at the signal TERM, and go on from it, then write "
                "`resume: true`; or give trials a longer resources.runtime."
            )
            self.fault(("retry", "timeout", "resume"), "who starts anew runs into the same limit again.", cure)
        elif timeout is not None and runtime_s is None and known:
            cure = "Give the time of one job, for example `resources: {runtime: 12h}`."
            self.fault(("retry", "timeout"), "is given, but no resources.runtime that could be over.", cure)
        elif timeout is not None and runtime_s is not None and limits.grace_s > runtime_s / 2:
            self.warnings.append(
                f"limits.grace: {limits.grace_s:g} s for saving are more than half of resources.runtime "
                f"({runtime_s:g} s), so the program is told to end after half of it."
            )
        if oom is not None and mem_mb is None and known:
            cure = "Give the memory of the first attempt, for example `resources: {mem: 8GB}`."
            self.fault(("retry", "oom"), "is given, but no resources.mem of which there could be more.", cure)
        metric = self.get("objective", "metric") if self.is_good("objective") else None
        if timeout is not None and metric == "trial.seconds":
            problem = "is given, and trial.seconds is the time of a trial's last attempt alone."
            self.fault(("retry", "timeout"), problem, "Remove it, or let the program print its time.")
        if not self.is_good("retry"):
            return None
        return Retry(
            timeouts=0 if timeout is None else int(timeout.get("times", default_of("retry", "timeout", "times"))),
            ooms=0 if oom is None else int(oom.get("times", default_of("retry", "oom", "times"))),
            mem=float((oom or {}).get("mem", default_of("retry", "oom", "mem"))),
        )

    def read_track(self) -> tuple[dict[str, Any], ...]:
        """`track:`, each tracker with its settings."""
        given = self.get("track")
        if not isinstance(given, list):
            return ()
        found: list[dict[str, Any]] = []
        for index, entry in enumerate(given):
            path: Path = ("track", index)
            if not self.is_good(*path):
                continue
            name, settings = (entry, None) if isinstance(entry, str) else next(iter(entry.items()))
            if name not in TRACKERS:
                more = " `hpo export STUDY --to wandb` writes runs that `wandb sync` takes." if name == "wandb" else ""
                self.fault(path, f"{shown(name)} is no tracker that is known.", f"Write {' or '.join(TRACKERS)}.{more}")
                continue
            if any(name == other["name"] for other in found):
                self.fault(path, f"{name} is named twice.", "Keep one of them.")
                continue
            settings = settings or {}
            uri = settings.get("uri")
            secret = "" if uri is None else secret_in(uri)
            if secret:
                cure = (
                    "Leave it out of the address and set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or "
                    "MLFLOW_TRACKING_TOKEN, where the run is started; or set the whole address there, as "
                    "MLFLOW_TRACKING_URI. Then it is never recorded."
                )
                self.fault((*path, name, "uri"), f"holds {secret}, and the study file is recorded.", cure)
                continue
            every_s = seconds_of(settings.get("every", TRACK_EVERY))
            if every_s < 1:
                self.fault((*path, name, "every"), f"{shown(settings['every'])} is not possible.", "Give 1s or more.")
                continue
            chosen = {key: settings[key] for key in ("uri", "experiment") if key in settings}
            found.append({"name": name, **chosen, "every_s": every_s})
        return tuple(found)

    def read_inputs(self, command: str | tuple[str, ...] | None) -> dict[str, str]:
        needs = self.get("needs") if self.is_good("needs") else None
        if "inputs" not in self.given:
            if command is None or not self.is_good("command"):
                return {}
            files, warnings = identity.default_inputs(command, self.base_dir, needs or ())
            self.warnings += warnings
        else:
            if not self.is_good("inputs"):
                return {}
            files = []
            for index, pattern in enumerate(self.given["inputs"]):
                matches = identity.matching_files(pattern, self.base_dir) if "\0" not in pattern else []
                if not matches:
                    what = "matches no file" if re.search(r"[*?\[]", pattern) else "does not exist"
                    if os.path.isdir(os.path.join(self.base_dir, pattern)):
                        problem, cure = (
                            f"{pattern} is a folder.",
                            f'Write "{pattern.rstrip("/")}/**" for all files in it.',
                        )
                    else:
                        problem, cure = f"{shown(pattern)} {what}.", f"Paths start in {_folder(self.base_dir)}."
                    self.fault(("inputs", index), problem, cure)
                files += matches
            files = list(dict.fromkeys(files))
        digests, faults = identity.input_digests(files, self.base_dir)
        for fault in faults:
            self.add(fault)
        return digests


def fidelity_warnings(spec: StudySpec) -> list[str]:
    """What a budget too small for its ladder or its population means, and how members are judged."""
    fidelity, trials = spec.fidelity, spec.budget.trials
    if fidelity is not None and fidelity.method == "pbt":
        return population_warnings(spec, fidelity)
    if fidelity is None or trials is None:
        return []
    ladder = fidelity.ladder
    needed = ladder.eta**ladder.top
    if trials >= needed:
        return []
    reached = max(level for level in range(ladder.top + 1) if trials >= ladder.eta**level)
    if fidelity.method == "hyperband" and reached < ladder.top:
        return []
    end, top = (f"{fidelity.name} {ladder.levels[level]:g}" for level in (reached, ladder.top))
    why = f"one in {ladder.eta} gets from a level to the next, so that {end} is as far as it goes"
    return [
        f"budget.trials: {trials} are too few to train one to {top}: {why}. Give {needed}, or a larger fidelity.low."
    ]


def population_warnings(spec: StudySpec, fidelity: Fidelity) -> list[str]:
    """Settings of population based training that are right and perhaps not meant."""
    trials, warnings = spec.budget.trials, []
    least = math.ceil(1 / fidelity.options["quantile"])
    if fidelity.options["exploit"] == "truncation" and trials is not None and trials < least:
        warnings.append(
            f"budget.trials: the worst {fidelity.options['quantile']:g} of a population of {trials} is nobody, so "
            f"nobody is replaced. Give {least} or more, or `exploit: tournament`."
        )
    if spec.objective.reduce == "best":
        warnings.append(
            "objective.reduce: best judges members by the best value of a trial, and others go on from what it left at "
            "its end. `last` judges by what is gone on from."
        )
    return warnings


def _is_regex(value: object) -> bool:
    if isinstance(value, str):
        if len(value) > LONGEST_REGEX:
            raise ValueError(f"it is longer than {LONGEST_REGEX} characters")
        compiled(value)
    return True


def _folder(path: str) -> str:
    return "the directory where the run is started" if os.path.samefile(path, os.getcwd()) else path


# ---- text as numbers -------------------------------------------------------------------------------
def _as_number(value: Any) -> Any:
    """Text that reads as a number, as the number."""
    if isinstance(value, str) and len(value) < 40 and _NUMBER.fullmatch(value.strip()):
        text = value.strip()
        return int(text) if re.fullmatch(r"[-+]?[0-9]{1,18}", text) else float(text)
    return value


def _with_numbers(value: Any, schema: Any) -> Any:
    """`value` with text turned into what the schema wants, where that is a number or a boolean and not text."""
    if not isinstance(schema, Mapping):
        return value
    kinds: Iterable[str] = [schema["type"]] if isinstance(schema.get("type"), str) else schema.get("type", ())
    if isinstance(value, dict):
        known = schema.get("properties", {})
        other = schema.get("additionalProperties")
        return {key: _with_numbers(item, known.get(key, other)) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_numbers(item, schema.get("items")) for item in value]
    if isinstance(value, str) and "string" not in kinds:
        if {"number", "integer"} & set(kinds) or schema.get("const") == 1:
            return _as_number(value)
        if "boolean" in kinds and value.lower() in ("true", "false"):
            return value.lower() == "true"
    return value


def _condition_with_numbers(wanted: Any) -> Any:
    if isinstance(wanted, dict):
        return {key: _as_number(bound) for key, bound in wanted.items()}
    return [_as_number(item) for item in wanted] if isinstance(wanted, list) else _as_number(wanted)


__all__ = ["LoadedStudy", "load_mapping", "load_study"]
