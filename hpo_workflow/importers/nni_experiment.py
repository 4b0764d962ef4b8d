"""An experiment of NNI: a configuration of version 2 or 1, or a search space alone.

Sources: microsoft/nni, docs/source/reference/experiment_config.rst and docs/source/hpo/search_space.rst.
"""

from __future__ import annotations

import json
import posixpath
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hpo_workflow.errors import ConfigError
from hpo_workflow.importers.draft import Draft, listed, quoted
from hpo_workflow.importers.ranges import float_range, int_range, rounded, suggested, without_repetition
from hpo_workflow.importers.source_text import SourceText
from hpo_workflow.importers.study_text import flow
from hpo_workflow.space.parameters import is_number

SAMPLERS = {"tpe": "tpe", "random": "random", "gridsearch": "grid", "gp": "gp"}
RANGES = {"randint": 2, "uniform": 2, "loguniform": 2, "quniform": 3, "qloguniform": 3}
WITHOUT_COUNTERPART = {"normal": 2, "lognormal": 2, "qnormal": 3, "qlognormal": 3}

METRIC = "default"
"""What NNI calls the number that a trial reports."""

VERSION_1 = {
    "maxTrialNum": "maxTrialNumber",
    "maxExecDuration": "maxExperimentDuration",
    "trainingServicePlatform": "trainingService",
    "searchSpacePath": "searchSpaceFile",
    "name": "experimentName",
}
"""Keys of version 1 and their names in version 2."""

KEYS: tuple[str, ...] = ("experimentName", "searchSpace", "searchSpaceFile", "trialCommand", "trialCodeDirectory")
KEYS += ("trialConcurrency", "trialGpuNumber", "maxTrialNumber", "maxTrialDuration", "maxExperimentDuration")
KEYS += ("tuner", "assessor", "advisor", "trainingService", "useAnnotation", "sharedStorage")
UNNEEDED: tuple[str, ...] = ("nniManagerIp", "debug", "logLevel", "experimentWorkingDirectory", "tunerGpuIndices")
UNNEEDED += ("authorName", "multiThread", "multiPhase", "logDir", "logCollection", "versionCheck", "machineList")

Beside = Callable[[str], bytes]
"""The content of a file that a configuration names; OSError where it cannot be read."""


def read_experiment(text: str | bytes, file: str, beside: Beside | None = None, folder: str = "") -> Draft:
    """A configuration, or a search space alone, as a draft of a study file.

    Args:
        beside: Reads the file of the search space.
        folder: Where the file is, in which its paths begin.

    Raises:
        ConfigError: It is neither, with all its faults.
    """
    source = SourceText(text, file)
    given = source.value
    if not isinstance(given, dict) or not given:
        source.stop("", "this is no experiment of NNI.", "Give its configuration, or its search space.")
    if all(isinstance(entry, dict) and "_type" in entry for entry in given.values()):
        return _Importer(source, {"searchSpace": given}, beside, "").draft(is_space=True)
    known = (*KEYS, *VERSION_1, "trial")
    if not set(given) & set(known):
        cure = "Give its configuration (trialCommand, searchSpace, ...), or its search space."
        source.stop("", "this is no experiment of NNI.", cure)
    return _Importer(source, _as_version_2(source, given), beside, folder).draft()


def _as_version_2(source: SourceText, given: dict[str, Any]) -> dict[str, Any]:
    """The configuration with the names of version 2."""
    found = {VERSION_1.get(key, key): value for key, value in given.items() if key != "trial"}
    if isinstance(found.get("trainingService"), str):
        found["trainingService"] = {"platform": found["trainingService"]}
    trial = source.mapping("trial", given.get("trial"))
    names = {"command": "trialCommand", "codeDir": "trialCodeDirectory", "gpuNum": "trialGpuNumber"}
    for key, value in trial.items():
        found.setdefault(names.get(key, f"trial.{key}"), value)
    for part in ("tuner", "assessor", "advisor"):
        algorithm = found.get(part)
        if isinstance(algorithm, dict):
            name = f"builtin{part.capitalize()}Name"
            found[part] = {"name" if key == name else key: value for key, value in algorithm.items()}
    return found


class _Importer:
    def __init__(self, source: SourceText, config: dict[str, Any], beside: Beside | None, folder: str) -> None:
        self.source = source
        self.config = config
        self.beside = beside
        self.folder = folder
        self.result = Draft("an experiment of NNI")

    def draft(self, is_space: bool = False) -> Draft:
        draft, source = self.result, self.source
        if is_space:
            draft.source = "a search space of NNI"
        draft.name_study(source.text("experimentName", self.config.get("experimentName")), "experiment")
        space = self.config.get("searchSpace")
        if space is None:
            space = self.from_file()
        self.space(space, "searchSpace", "", {})
        self.command()
        direction = self.tuner()
        draft.study["objective"] = {"metric": METRIC}
        if direction is not None:
            draft.study["objective"]["direction"] = direction
        else:
            why = "optimize_mode is not given, and NNI's default differs from tuner to tuner."
            draft.need("objective.direction", why, "maximize")
        self.budget()
        self.resources()
        self.assessor()
        self.others()
        source.finish()
        source.note_ambiguous(draft, "NNI")
        return draft

    # ---- the space ---------------------------------------------------------------------------------------------
    def from_file(self) -> Any:
        name = self.source.text("searchSpaceFile", self.config.get("searchSpaceFile"))
        if name is None:
            cure = "Give searchSpace or searchSpaceFile."
            if self.config.get("useAnnotation"):
                cure = "Annotations stand in the program; write the space into searchSpace first."
            self.source.stop("searchSpace", "the configuration has no search space.", cure)
        if self.beside is None:
            self.source.stop("searchSpaceFile", f"{quoted(name)} cannot be read here.", "Give the space inside.")
        try:
            data = self.beside(name)
        except OSError as error:
            problem = f"{quoted(name)} cannot be read: {error.strerror or 'no such file'}."
            self.source.stop("searchSpaceFile", problem, "Paths start in the folder of the configuration.")
        try:
            return SourceText(data, name).value
        except ConfigError as error:
            raise ConfigError(f"{self.source.file}, {name}", error.faults) from None

    def space(self, given: Any, key: str, prefix: str, when: Mapping[str, Any]) -> None:
        entries = self.source.mapping(key, given)
        if not entries and not prefix:
            self.source.fault(key, "there are no parameters.", "Give at least one.")
        for name, entry in entries.items():
            if name != "_name":
                self.parameter(f"{key}.{name}", f"{prefix}{name}", entry, when)

    def parameter(self, key: str, name: str, given: Any, when: Mapping[str, Any]) -> None:
        if not isinstance(given, dict) or "_type" not in given or not isinstance(given.get("_value"), list):
            self.source.fault(key, f"{quoted(given)} is no parameter of NNI.", 'Give {"_type": ..., "_value": [...]}.')
            return
        kind, values = given["_type"], given["_value"]
        if kind == "choice":
            self.choice(key, name, values, when)
            return
        wanted = {**RANGES, **WITHOUT_COUNTERPART}.get(kind) if isinstance(kind, str) else None
        if wanted is None:
            cure = f"Known are choice, {', '.join((*RANGES, *WITHOUT_COUNTERPART))}."
            self.source.fault(f"{key}._type", f"{quoted(kind)} is no type of a parameter.", cure)
            return
        if len(values) != wanted or not all(is_number(value) for value in values):
            self.source.fault(f"{key}._value", f"{quoted(values)}: {kind} has {wanted} numbers.", "Give them.")
            return
        entry = self.range_of(key, kind, values)
        if self.source.faults:
            return
        allowed = self.result.parameter(key, name)
        if entry is not None:
            self.add(allowed, entry, when)
            return
        self.result.leave_out(
            key,
            f"{kind} {quoted(values)} has no counterpart: a study file knows ranges, even and logarithmic, and lists.",
            "Choose the range in which you would look, perhaps with a `prior:`, and write it into space:.",
        )
        bell = kind in WITHOUT_COUNTERPART
        example = suggested(values[0], values[1], log="log" in kind) if bell else float_range(values[0], values[1])
        self.result.need(f"space.{allowed}", f"{kind} has no counterpart.", flow(example))

    def add(self, name: str, entry: Any, when: Mapping[str, Any]) -> None:
        """Write a parameter, with its condition."""
        if when:
            entry = {**({"choices": entry} if isinstance(entry, list) else entry), "when": dict(when)}
        self.result.section("space")[name] = entry

    def range_of(self, key: str, kind: str, values: Sequence[Any]) -> Any:
        """What stands in `space:`; None where there is no counterpart."""
        if kind in WITHOUT_COUNTERPART:
            return None
        ends = self.source.pair(f"{key}._value", values[0], values[1])
        if ends is None:
            return None
        low, high = ends
        if kind == "randint":
            if low != int(low) or high != int(high) or high <= low:
                problem = f"{quoted(values)}: randint is from a whole number to below another."
                self.source.fault(f"{key}._value", problem, "Give two whole numbers, the second one larger.")
                return None
            return int_range(low, high - 1)
        if kind.endswith("loguniform") and low <= 0:
            self.source.fault(f"{key}._value", f"{low} has no logarithm.", "Give a number above 0.")
            return None
        if kind == "uniform":
            return float_range(low, high)
        if kind == "loguniform":
            return float_range(low, high, log=True)
        q = values[2]
        if q <= 0:
            self.source.fault(f"{key}._value", f"q: {q} is not above 0.", "Give the distance of two values.")
            return None
        if kind == "quniform":
            return rounded(low, high, q, clipped=True, whole=False)
        if q != 1 or low != int(low) or high != int(high):
            return None
        self.result.change(key, "whole numbers are written as 8 here, where NNI gives 8.0.")
        return int_range(low, high, log=True)

    def choice(self, key: str, name: str, values: Sequence[Any], when: Mapping[str, Any]) -> None:
        """A list; options that are mappings with `_name` open a space of their own."""
        if not values:
            self.source.fault(f"{key}._value", "there are no values.", "Give at least one.")
            return
        choices: list[Any] = []
        spaces: list[tuple[str, str, dict[str, Any]]] = []
        as_json = []
        for index, value in enumerate(values):
            if isinstance(value, dict) and isinstance(value.get("_name"), str):
                choices.append(value["_name"])
                spaces.append((f"{key}._value[{index}]", value["_name"], value))
            elif isinstance(value, (bool, str)) or is_number(value):
                choices.append(value)
            else:
                choices.append(json.dumps(value))
                as_json.append(choices[-1])
        kept = without_repetition(choices)
        if len(kept) < len(choices):
            if spaces:
                self.source.fault(f"{key}._value", "two options have the same _name.", "Give each a name of its own.")
                return
            said = "a value that was there twice is there once: choices are all different."
            self.result.change(f"{key}._value", said)
        if as_json:
            self.result.change(
                f"{key}._value", f"{listed(as_json, 3)}: texts here.", "Let the program read them with json.loads."
            )
        allowed = self.result.parameter(key, name)
        self.add(allowed, kept, when)
        for where, option, inner in spaces:
            # a parent that is inactive makes its children so; only the nearest one is named
            self.space(inner, where, f"{name}.{option}.", {allowed: option})
        if spaces:
            parts = [f"{name}.{option}.{part}" for _, option, inner in spaces for part in inner if part != "_name"]
            self.result.change(
                key, f"nested: {listed(parts)} exist where {name} has that name.", "Let the program read these names."
            )

    # ---- the trial ---------------------------------------------------------------------------------------------
    def command(self) -> None:
        draft, source = self.result, self.source
        command = source.text("trialCommand", self.config.get("trialCommand"))
        folder = source.text("trialCodeDirectory", self.config.get("trialCodeDirectory")) or "."
        draft.study["pass"] = ["file"]
        draft.change(
            "trialCommand",
            "nni.get_next_parameter() and nni.report_final_result() know nothing of this study.",
            'Let the program take its parameters from json.load(open(os.environ["HPO_PARAMS_FILE"])), and print '
            f'f"{METRIC}={{value}}" where it reported a value.',
        )
        if not command or not command.strip():
            draft.need("command", "The experiment names no command.", "python train.py")
            return
        place = posixpath.normpath(posixpath.join(self.folder, folder))
        draft.study["command"] = command.strip() if place == "." else f"cd {shlex.quote(place)} && {command.strip()}"

    def tuner(self) -> str | None:
        """The direction; the sampler is written."""
        draft, source = self.result, self.source
        part = "tuner" if self.config.get("tuner") is not None else "advisor"
        tuner = source.mapping(part, self.config.get(part))
        name = source.text(f"{part}.name", tuner.get("name"))
        arguments = dict(source.mapping(f"{part}.classArgs", tuner.get("classArgs")))
        mode = arguments.pop("optimize_mode", None)
        direction = source.word(f"{part}.classArgs.optimize_mode", mode, ("minimize", "maximize"))
        seed = arguments.pop("seed", None)
        if isinstance(seed, int) and not isinstance(seed, bool) and 0 <= seed < 2**32:
            draft.study["seed"] = seed
        sampler = SAMPLERS.get((name or "").lower())
        endless = [
            known
            for known, entry in draft.study.get("space", {}).items()
            if isinstance(entry, dict) and entry.get("type") == "float" and "step" not in entry
        ]
        if sampler == "grid" and endless:
            said = f"NNI divides {listed(endless)} finer and finer; a grid here is fixed."
            draft.leave_out(part, f"GridSearch: {said}", "For a grid, give them `points:` and write `sampler: grid`.")
        elif sampler is not None:
            draft.study["sampler"] = sampler
        elif tuner:
            what = name or tuner.get("className") or tuner.get("classFileName")
            cures = {
                "hyperband": "See `fidelity: {method: hyperband}`, where the program is told how far to train.",
                "bohb": "See `fidelity: {method: hyperband}`, with `sampler: tpe`.",
                "pbttuner": "See `fidelity: {method: pbt}`.",
                "batch": "List the configurations in `start:`.",
            }
            cure = cures.get(str(what).lower(), "`sampler: auto` is used; `{name: external}` asks a program of yours.")
            draft.leave_out(part, f"{quoted(what)} has no counterpart.", cure)
        if arguments:
            draft.leave_out(f"{part}.classArgs", f"{listed(arguments)}: options of NNI's own algorithm.")
        return direction

    def budget(self) -> None:
        draft, source = self.result, self.source
        budget: dict[str, Any] = {}
        trials = source.whole("maxTrialNumber", self.config.get("maxTrialNumber"))
        parallel = source.whole("trialConcurrency", self.config.get("trialConcurrency"))
        wall = self.duration("maxExperimentDuration")
        if trials is not None:
            budget["trials"] = trials
        elif draft.study.get("sampler") != "grid":
            draft.need("budget.trials", "The experiment has no maxTrialNumber.", "64")
        if parallel is not None:
            budget["parallel"] = min(parallel, trials or parallel)
        if wall is not None:
            budget["wall"] = wall
        if budget:
            draft.study["budget"] = budget

    def duration(self, key: str) -> str | None:
        """A time as NNI writes it: a number and one of s, m, h, d, or seconds."""
        value = self.config.get(key)
        if value is None:
            return None
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return f"{value}s"
        if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?[smhd]", value) and float(value[:-1]) > 0:
            return value
        self.source.fault(key, f"{quoted(value)} is no time.", "Give for example 30m or 12h.")
        return None

    def resources(self) -> None:
        resources: dict[str, Any] = {}
        gpus = self.source.whole("trialGpuNumber", self.config.get("trialGpuNumber"), 0)
        runtime = self.duration("maxTrialDuration")
        if gpus:
            resources["gpu"] = gpus
        if runtime is not None:
            resources["runtime"] = runtime
        if resources:
            self.result.study["resources"] = resources

    def assessor(self) -> None:
        rule = self.source.mapping("assessor", self.config.get("assessor"))
        if not rule:
            return
        name = rule.get("name") or rule.get("className")
        start = self.source.mapping("assessor.classArgs", rule.get("classArgs")).get("start_step", 0)
        cure = ""
        if str(name).lower() == "medianstop":
            warmup = start if is_number(start) and start >= 0 else 0
            cure = f"`pruner: {{name: median, startup: 1, warmup: {warmup}}}` is near to it."
        why = "NNI compares with running means of complete trials" if cure else "it has no counterpart"
        self.result.leave_out("assessor", f"{quoted(name)}: {why}.", cure or "See `pruner:`.")

    def others(self) -> None:
        service = self.source.mapping("trainingService", self.config.get("trainingService"))
        platform = service.get("platform", "local")
        if platform != "local":
            cure = "Where trials run is said by a profile: `hpo run --profile slurm`."
            self.result.leave_out("trainingService", f"{quoted(platform)} is a service of NNI.", cure)
        elif service:
            self.result.unneeded.append("trainingService")
        if service.get("maxTrialNumberPerGpu", 1) != 1:
            self.result.leave_out("trainingService.maxTrialNumberPerGpu", "a trial has its GPU to itself here.")
        if "sharedStorage" in self.config:
            self.result.leave_out("sharedStorage", "trials find files where they are.", "Use paths that all nodes see.")
        for key in self.config:
            if key in UNNEEDED or key.endswith("Config"):
                self.result.unneeded.append(key)
            elif key.startswith("trial."):
                self.result.leave_out(key, "this is of a service of NNI.", "See `resources:`, and profiles.")
            elif key not in KEYS:
                self.result.leave_out(key, "this key is not known here.")
