"""An Experiment of Kubeflow Katib (kubeflow.org/v1beta1).

Sources: kubeflow/katib, pkg/apis/controller/experiments/v1beta1 (keys and defaults), pkg/metricscollector/v1beta1 (how
metrics are read), pkg/suggestion/v1beta1 (names and settings of the algorithms).
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import Any

from hpo_workflow.importers.draft import Draft, listed, quoted
from hpo_workflow.importers.ranges import float_range, int_range, stepped, without_repetition
from hpo_workflow.importers.source_text import SourceText
from hpo_workflow.importers.study_text import flow
from hpo_workflow.importers.words import Part, Value, Word, as_command
from hpo_workflow.metrics.user_patterns import compiled
from hpo_workflow.multifidelity import get_method
from hpo_workflow.multifidelity.rungs import Ladder
from hpo_workflow.study_file.loader import SECRET

SAMPLERS = {
    "random": "random",
    "grid": "grid",
    "bayesianoptimization": "gp",
    "tpe": "tpe",
    "multivariate-tpe": "tpe",
    "cmaes": "cmaes",
    "sobol": "sobol",
}
OF_ARCHITECTURES = ("enas", "darts")
PARALLEL = 3
"""Katib's default of parallelTrialCount."""

_PLACEHOLDER = re.compile(r"\$\{trialParameters\.([^}]*)\}")
_TRIAL_FACTS = {"trialSpec.Name": "${study.name}-${trial.number}"}
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SHELLS = {"sh": "sh", "bash": "bash"}
_UNITS = {"": "B", "k": "kB", **{unit: f"{unit}B" for unit in ("M", "G", "T", "Ki", "Mi", "Gi", "Ti")}}
"""Units of Kubernetes, and the same here."""


def read_experiment(text: str | bytes, file: str) -> Draft:
    """An Experiment as a draft of a study file.

    Raises:
        ConfigError: It is no Experiment, with all its faults.
    """
    source = SourceText(text, file)
    experiment = source.value
    if not isinstance(experiment, dict) or experiment.get("kind") != "Experiment" or "spec" not in experiment:
        found = (
            quoted(experiment.get("kind")) if isinstance(experiment, dict) and "kind" in experiment else "no `kind:`"
        )
        source.stop("", f"this is no Experiment of Katib: {found}.", "Give the file with `kind: Experiment`.")
    return _Importer(source, experiment).draft()


class _Importer:
    def __init__(self, source: SourceText, experiment: dict[str, Any]) -> None:
        self.source = source
        self.experiment = experiment
        self.spec = source.mapping("spec", experiment["spec"])
        self.result = Draft("an Experiment of Katib")
        self.names: dict[str, str] = {}
        """What a parameter of the experiment is called here."""
        self.settings: dict[str, str] = {}
        self.resource: str | None = None
        """The parameter of the experiment that Hyperband gives its level to."""

    def draft(self) -> Draft:
        draft, source = self.result, self.source
        metadata = source.mapping("metadata", self.experiment.get("metadata"))
        draft.name_study(source.text("metadata.name", metadata.get("name")), "experiment")
        algorithm = self.algorithm()
        if "nasConfig" in self.spec or algorithm in OF_ARCHITECTURES:
            cure = "Only a search over parameters can be imported."
            source.stop("spec.nasConfig", "this experiment searches for an architecture.", cure)
        self.fidelity(algorithm)
        self.space()
        self.template()
        self.objective()
        self.metrics()
        self.budget()
        self.early_stopping()
        for key in ("apiVersion", "status"):
            if key in self.experiment:
                draft.unneeded.append(key)
        draft.unneeded += [f"metadata.{key}" for key in metadata if key != "name"]
        known = {"objective", "algorithm", "parallelTrialCount", "maxTrialCount", "maxFailedTrialCount", "parameters"}
        known |= {"trialTemplate", "earlyStopping", "metricsCollectorSpec", "nasConfig"}
        for key in self.spec:
            if key == "resumePolicy":
                draft.unneeded.append("spec.resumePolicy")
            elif key not in known:
                draft.leave_out(f"spec.{key}", "this key is not known here.")
        source.finish()
        source.note_ambiguous(draft, "Kubernetes")
        return draft

    # ---- algorithm ---------------------------------------------------------------------------------------------
    def algorithm(self) -> str | None:
        source, draft = self.source, self.result
        given = source.mapping("spec.algorithm", self.spec.get("algorithm"))
        name = source.text("spec.algorithm.algorithmName", given.get("algorithmName"))
        self.settings = self.read_settings("spec.algorithm.algorithmSettings", given.get("algorithmSettings"))
        if name is None:
            draft.leave_out("spec.algorithm", "the experiment names no algorithm.", "`sampler: auto` is used.")
        elif name in SAMPLERS:
            draft.study["sampler"] = SAMPLERS[name]
            if name == "multivariate-tpe":
                said = "`sampler: tpe` is used, which draws its parameters one by one."
                cure = "`sampler: {name: optuna, sampler: TPESampler, multivariate: true}` is what Katib calls."
                draft.change("spec.algorithm.algorithmName", f"multivariate-tpe: {said}", cure)
        elif name not in ("hyperband", *OF_ARCHITECTURES):
            cures = {"pbt": "See `fidelity: {method: pbt}`; the program has to take what it goes on from."}
            cure = cures.get(name, "`sampler: auto` is used.")
            draft.leave_out("spec.algorithm.algorithmName", f"{quoted(name)} has no counterpart.", cure)
        seed = self.settings.pop("random_state", self.settings.pop("seed", None))
        if seed is not None and re.fullmatch(r"[0-9]{1,9}", seed):
            draft.study["seed"] = int(seed)
        if name != "hyperband" and self.settings:
            draft.leave_out(
                "spec.algorithm.algorithmSettings", f"{listed(self.settings)}: settings of Katib's own algorithm."
            )
        return name

    def read_settings(self, key: str, given: Any) -> dict[str, str]:
        found = {}
        for index, entry in enumerate(self.source.items(key, given)):
            here = self.source.mapping(f"{key}[{index}]", entry)
            name = self.source.text(f"{key}[{index}].name", here.get("name"))
            if name is not None and here.get("value") is not None:
                found[name] = str(here["value"])
        return found

    def fidelity(self, algorithm: str | None) -> None:
        """Hyperband, which trains from the beginning at each level, as brackets of ours; exact for powers of eta."""
        if algorithm != "hyperband":
            return
        draft, key = self.result, "spec.algorithm.algorithmSettings"
        resource, highest, eta = (self.settings.get(name, default) for name, default in _OF_HYPERBAND.items())
        given = self.spec.get("parameters")
        names = [p.get("name") for p in given if isinstance(p, dict)] if isinstance(given, list) else []
        if resource not in names or not re.fullmatch(r"[1-9][0-9]{0,6}", highest) or not re.fullmatch("[2-9]", eta):
            cure = "Give resource_name, the parameter that says how far to train, and r_l, how far the last go."
            self.source.fault(key, f"Hyperband's {', '.join(_OF_HYPERBAND)} are not all given.", cure)
            return
        top, size = int(highest), int(eta)
        n = round(math.log(top) / math.log(size))
        if size**n != top or n == 0:
            draft.leave_out(
                key,
                f"r_l: {top} is no power of eta: {size}, and levels between are rounded otherwise here.",
                f"If that is right: `fidelity: {{name: {resource}, low: 1, high: {top}, eta: {size}, "
                f"method: hyperband}}` and ${{trial.fidelity}} in the command, without {resource} in space:.",
            )
            return
        self.resource = resource
        name = re.sub(r"[^A-Za-z0-9_]", "_", resource)
        draft.study["fidelity"] = {"name": name, "low": 1, "high": top, "eta": size, "method": "hyperband"}
        draft.change(
            f"spec.parameters.{resource}",
            "what Hyperband decides is no parameter here: the command gets ${trial.fidelity}.",
        )

    # ---- parameters --------------------------------------------------------------------------------------------
    def space(self) -> None:
        entries = self.source.items("spec.parameters", self.spec.get("parameters"))
        if not entries:
            self.source.fault("spec.parameters", "there are no parameters.", "Give at least one.")
        for index, given in enumerate(entries):
            key = f"spec.parameters[{index}]"
            parameter = self.source.mapping(key, given)
            name = self.source.text(f"{key}.name", parameter.get("name"))
            if not name:
                self.source.fault(key, "has no name.", "Give one.")
            elif name in self.names:
                self.source.fault(key, f"there is another parameter {quoted(name)}.", "Rename one of them.")
            elif name == self.resource:
                self.names[name] = ""
            else:
                before = len(self.source.faults)
                entry = self.entry(key, parameter)
                if len(self.source.faults) == before:
                    self.add(key, name, parameter, entry)

    def add(self, key: str, name: str, parameter: dict[str, Any], entry: Any) -> None:
        allowed = self.names[name] = self.result.parameter(key, name)
        if entry is not None:
            self.result.section("space")[allowed] = entry
            return
        kind = parameter["feasibleSpace"]["distribution"]
        self.result.leave_out(
            f"{key}.feasibleSpace.distribution",
            f"{quoted(kind)} has no counterpart: a study file knows even and logarithmic ranges.",
            f"Choose the range of {allowed} in which you would look, perhaps with a `prior:`.",
        )
        ends = {end: parameter["feasibleSpace"].get(end) for end in ("min", "max")}
        low, high = (self.source.number(key, ends[end], as_text=True) for end in ("min", "max"))
        example = float_range(low if low is not None else 0, high if high is not None else 1)
        self.result.need(f"space.{allowed}", f"The distribution {quoted(kind)} has no counterpart.", flow(example))

    def entry(self, key: str, parameter: dict[str, Any]) -> Any:
        source = self.source
        kinds = ("double", "int", "discrete", "categorical")
        kind = source.word(f"{key}.parameterType", parameter.get("parameterType"), kinds)
        feasible = source.mapping(f"{key}.feasibleSpace", parameter.get("feasibleSpace"))
        if kind is None or not feasible:
            source.fault(key, "has no parameterType or no feasibleSpace.", f"Types are {', '.join(kinds)}.")
            return None
        if kind in ("discrete", "categorical"):
            return self.choices(f"{key}.feasibleSpace.list", kind, feasible.get("list"))
        distribution = source.word(
            f"{key}.feasibleSpace.distribution",
            feasible.get("distribution", "uniform"),
            ("uniform", "logUniform", "normal", "logNormal"),
        )
        if distribution in ("normal", "logNormal"):
            return None
        ends = source.pair(f"{key}.feasibleSpace", feasible.get("min"), feasible.get("max"), as_text=True)
        step = source.number(f"{key}.feasibleSpace.step", feasible.get("step") or None, as_text=True)
        if ends is None:
            return None
        low, high = ends
        is_log = distribution == "logUniform"
        whole = [number for number in (low, high, step) if number is not None] if kind == "int" else []
        if any(number != int(number) for number in whole) or (step is not None and step <= 0):
            source.fault(f"{key}.feasibleSpace", "has numbers that do not fit its type.", "Give whole steps above 0.")
            return None
        if is_log and low <= 0:
            source.fault(f"{key}.feasibleSpace.min", f"{low} has no logarithm.", "Give a number above 0.")
            return None
        if step is None or (kind == "int" and step == 1):
            return int_range(low, high, log=is_log) if kind == "int" else float_range(low, high, log=is_log)
        entry, reaches = stepped(low, high, step, whole=kind == "int")
        if is_log:
            problem = f"step: {step} beside a logarithmic distribution has no counterpart."
            self.result.leave_out(f"{key}.feasibleSpace.step", problem, "List the values that you mean.")
            return int_range(low, high, log=True) if kind == "int" else float_range(low, high, log=True)
        if not reaches:
            said = f"steps of {step} from {low} do not meet {high}: the largest value is {entry['high']}."
            self.result.change(f"{key}.feasibleSpace", said)
        return entry

    def choices(self, key: str, kind: str, given: Any) -> Any:
        values = self.source.items(key, given)
        if not values:
            self.source.fault(key, "there are no values.", "Give at least one.")
            return None
        if kind == "discrete":
            numbers = [self.source.number(key, value, as_text=True) for value in values]
            return without_repetition([number for number in numbers if number is not None])
        texts = [value if isinstance(value, str) else flow(value) for value in values]
        entry = without_repetition(texts)
        if len(entry) < len(values):
            self.result.change(key, "a value that was there twice is there once: choices are all different.")
        return entry

    # ---- the trial ---------------------------------------------------------------------------------------------
    def template(self) -> None:
        draft, source = self.result, self.source
        template = source.mapping("spec.trialTemplate", self.spec.get("trialTemplate"))
        references = {}
        place = "spec.trialTemplate.trialParameters"
        for index, given in enumerate(source.items(place, template.get("trialParameters"))):
            key = f"{place}[{index}]"
            entry = source.mapping(key, given)
            name, reference = (source.text(f"{key}.{part}", entry.get(part)) for part in ("name", "reference"))
            if name is None or reference is None:
                source.fault(key, "has no name or no reference.", "Give both.")
            else:
                references[name] = reference
        if "trialSpec" not in template:
            where = "in a ConfigMap of its own" if "configMap" in template else "not given"
            shown = " ".join(f"--{name}=${{hpo.{self.names[name]}}}" for name in self.names if self.names[name])
            draft.need("command", f"The template of a trial is {where}.", f"python train.py {shown}")
            return
        spec = template["trialSpec"]
        containers = list(_containers(spec))
        primary = template.get("primaryContainerName")
        found = [(key, c) for key, c in containers if primary is None or c.get("name") == primary] or containers
        if not found:
            source.fault("spec.trialTemplate.trialSpec", "no container is in it.", "Give the containers of a trial.")
            return
        key, container = found[0]
        self.command(key, container, references)
        self.environment(f"{key}.env", container.get("env"), references)
        self.resources(key, container, spec)
        self.surroundings(key, container, spec, len(containers))

    def command(self, key: str, container: dict[str, Any], references: dict[str, str]) -> None:
        source, draft = self.source, self.result
        program, arguments = (
            [(f"{key}.{part}[{i}]", word) for i, word in enumerate(source.items(f"{key}.{part}", container.get(part)))]
            for part in ("command", "args")
        )
        texts = [str(word) for _, word in (*program, *arguments) if isinstance(word, (str, int, float))]
        if len(texts) < len(program) + len(arguments):
            source.fault(key, "a word of its command is no text.", "Put it in quotes.")
            return
        name = texts[0].rpartition("/")[2] if texts and program else ""
        if name in _SHELLS and len(texts) > 1:
            options = [text for text in texts[1:] if text.startswith("-")]
            code = [text for text in texts[1:] if not text.startswith("-")]
            if options and options[-1].endswith("c") and len(code) == 1:
                draft.study["command"] = "".join(
                    part.source if isinstance(part, Value) else str(part)
                    for part in self.parts(key, code[0], references)
                ).strip()
                if name == "sh":
                    draft.study["shell"] = "sh"
                draft.change(
                    f"{key}.command", "the script of the shell ends at its first error here, and at a variable not set."
                )
                return
        words: list[Word] = [tuple(self.parts(key, text, references)) or ("",) for text in texts]
        command = as_command(words)
        if not program:
            why = f"The program is the entry point of the image {one_word(container.get('image'))}, which is not named."
            shown = command if isinstance(command, str) else " ".join(command)
            draft.need("command", why, f"PROGRAM {shown}")
            return
        draft.study["command"] = command

    def parts(self, key: str, text: str, references: dict[str, str]) -> Iterator[Part]:
        """A word with our placeholders in place of Katib's."""
        position = 0
        for match in _PLACEHOLDER.finditer(text):
            yield text[position : match.start()]
            position = match.end()
            yield self.part(key, match[1], references)
        if text[position:]:
            yield text[position:]

    def part(self, key: str, name: str, references: dict[str, str]) -> Part:
        reference = references.get(name)
        if reference is None:
            known = f"Known are {listed(references)}." if references else "There is no trialParameters."
            self.source.fault(key, f"`${{trialParameters.{name}}}` is not one of trialParameters.", known)
            return ""
        fact = re.fullmatch(r"\$\{(trialSpec\.[^}]*)\}", reference)
        if fact:
            if fact[1] in _TRIAL_FACTS:
                return Value(_TRIAL_FACTS[fact[1]])
            self.result.leave_out(key, f"{reference} is a fact of Kubernetes.", "Replace the word in the command.")
            return reference
        if reference not in self.names:
            self.source.fault(key, f"{quoted(reference)} is no parameter.", f"Known are {listed(self.names)}.")
            return ""
        return Value("${trial.fidelity}" if reference == self.resource else f"${{hpo.{self.names[reference]}}}")

    def environment(self, key: str, given: Any, references: dict[str, str]) -> None:
        """Variables; what may be secret is taken from where the study is started, by its name alone."""
        env, passed = {}, []
        for index, entry in enumerate(self.source.items(key, given)):
            variable = self.source.mapping(f"{key}[{index}]", entry)
            name, value = variable.get("name"), variable.get("value")
            if not isinstance(name, str) or not _VARIABLE.fullmatch(name) or name.startswith("HPO_"):
                self.result.leave_out(f"{key}[{index}]", f"{quoted(name)} cannot be the name of a variable here.")
            elif "valueFrom" in variable or SECRET.search(name.upper()):
                passed.append(name)
            elif value is not None:
                pieces = self.parts(f"{key}[{index}]", str(value), references)
                env[name] = "".join(part.source if isinstance(part, Value) else str(part) for part in pieces)
        if env:
            self.result.study["env"] = env
        if passed:
            self.result.study["pass_env"] = passed
            problem = f"the value of {listed(passed)} is not copied."
            self.result.change(key, problem, "Set it where the study is started; it is never recorded.")

    def resources(self, key: str, container: dict[str, Any], spec: Any) -> None:
        source = self.source
        resources: dict[str, Any] = {}
        given = source.mapping(f"{key}.resources", container.get("resources"))
        asked = {
            **source.mapping(f"{key}.resources.requests", given.get("requests")),
            **source.mapping(f"{key}.resources.limits", given.get("limits")),
        }
        for name, value in asked.items():
            here = f"{key}.resources.{name}"
            cores = re.fullmatch(r"([0-9]{1,6}(?:\.[0-9]{1,9})?)(m?)", str(value))
            size = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,9})?)([KMGT]i|[kMGT]|)", str(value))
            if name == "cpu" and cores and float(cores[1]) > 0:
                resources["threads"] = math.ceil(float(cores[1]) / (1000 if cores[2] else 1))
            elif name == "memory" and size and float(size[1]) > 0:
                resources["mem"] = size[1] + _UNITS[size[2]]
            elif name.endswith("/gpu") and re.fullmatch("[0-9]{1,4}", str(value)):
                resources["gpu"] = int(value)
            else:
                self.result.leave_out(here, f"{quoted(value)} has no counterpart.", "See `resources:`.")
        deadline = spec.get("spec", {}).get("activeDeadlineSeconds") if isinstance(spec.get("spec"), dict) else None
        if isinstance(deadline, int) and not isinstance(deadline, bool) and deadline > 0:
            resources["runtime"] = f"{deadline}s"
        if resources:
            self.result.study["resources"] = {**self.result.study.get("resources", {}), **resources}

    def surroundings(self, key: str, container: dict[str, Any], spec: dict[str, Any], n_containers: int) -> None:
        draft = self.result
        if container.get("image"):
            image = one_word(container["image"])
            draft.leave_out(
                f"{key}.image",
                f"{image}: trials run without a container.",
                f"Install what it holds, or begin the command with `apptainer exec docker://{image}`.",
            )
        for name in ("volumeMounts", "envFrom", "workingDir", "lifecycle"):
            if name in container:
                cure = "Write `cd DIR &&` before the command." if name == "workingDir" else "Use paths of this machine."
                draft.leave_out(f"{key}.{name}", "this is of Kubernetes.", cure)
        if n_containers > 1:
            draft.leave_out(
                "spec.trialTemplate.trialSpec",
                f"a trial of {quoted(spec.get('kind'))} has {n_containers} containers, and here it is one program.",
                "Start what runs side by side in the command, with srun, mpirun or torchrun.",
            )

    # ---- what is better, and how it is read --------------------------------------------------------------------
    def objective(self) -> None:
        draft, source = self.result, self.source
        given = source.mapping("spec.objective", self.spec.get("objective"))
        kind = source.word("spec.objective.type", given.get("type"), ("minimize", "maximize"))
        name = source.text("spec.objective.objectiveMetricName", given.get("objectiveMetricName"))
        if kind is None or not name:
            source.fault("spec.objective", "has no type or no objectiveMetricName.", "Give both.")
            return
        objective = draft.section("objective")
        objective |= {"metric": name, "direction": kind}
        best = "min" if kind == "minimize" else "max"
        strategies = {}
        for index, entry in enumerate(source.items("spec.objective.metricStrategies", given.get("metricStrategies"))):
            here = source.mapping(f"spec.objective.metricStrategies[{index}]", entry)
            strategies[str(here.get("name"))] = here.get("value")
        strategy = strategies.get(name, best)
        if strategy == best:
            objective["reduce"] = "best"
        elif strategy == "latest":
            objective["reduce"] = "last"
        else:
            draft.leave_out(
                "spec.objective.metricStrategies",
                f"{quoted(strategy)} of what is to {kind} has no counterpart: `reduce:` is best or last.",
                "Let the program print the value that counts as its last one.",
            )
        goal = source.number("spec.objective.goal", given.get("goal"), as_text=True)
        if goal is not None:
            objective["target"] = goal
        if given.get("additionalMetricNames"):
            draft.unneeded.append("spec.objective.additionalMetricNames (all that is printed is kept)")

    def metrics(self) -> None:
        """Katib's default rule is one of ours; other filters are carried over where a rule here reads the same."""
        draft, source = self.result, self.source
        key = "spec.metricsCollectorSpec"
        given = source.mapping(key, self.spec.get("metricsCollectorSpec"))
        collector = source.mapping(f"{key}.collector", given.get("collector"))
        kind = collector.get("kind", "StdOut")
        where = source.mapping(f"{key}.source", given.get("source"))
        filters = source.mapping(f"{key}.source.filter", where.get("filter"))
        formats = source.items(f"{key}.source.filter.metricsFormat", filters.get("metricsFormat"))
        path = source.mapping(f"{key}.source.fileSystemPath", where.get("fileSystemPath"))
        name = draft.study.get("objective", {}).get("metric", "")
        if kind == "File" and path:
            draft.leave_out(
                f"{key}.source.fileSystemPath",
                f"{one_word(path.get('path'))}: metrics are read from what the program prints.",
                f"Let it print them too, or end the command with `&& cat {one_word(path.get('path'))}`.",
            )
            if path.get("format") == "JSON":
                draft.study["metrics"] = {"format": "json"}
                return
        elif kind not in ("StdOut", "File"):
            draft.leave_out(f"{key}.collector.kind", f"{quoted(kind)} has no counterpart.", "Let the program print it.")
        if not formats:
            draft.study["metrics"] = {"format": "katib"}
            return
        patterns = [self.pattern(text, name) for text in formats]
        if len(patterns) == 1 and patterns[0] is not None:
            draft.study["metrics"] = {"define": {name: {"regex": patterns[0]}}}
            return
        draft.leave_out(
            f"{key}.source.filter.metricsFormat",
            f"{quoted(formats)}: of such a filter it is not known which text is the name.",
            "Write the regular expression of the objective into metrics.define, its number as group (?P<value>...).",
        )

    def pattern(self, text: Any, name: str) -> str | None:
        """A filter of Katib, whose first group is any name and whose second is the number, for one name."""
        if not isinstance(text, str) or not name:
            return None
        spans = _groups(text)
        if len(spans) < 2 or spans[1][0] < spans[0][1]:
            return None
        (start, stop), (value, _) = spans[0], spans[1]
        inside = text[start + 1 : stop - 1]
        kind = re.fullmatch(r"(\\w|\\S|\[[^\]\[]+\])\+", inside)
        if kind:
            characters = kind[1][1:-1] if kind[1].startswith("[") and kind[1][1] != "^" else None
            before = f"(?<![{characters}])" if characters else f"(?<!{kind[1]})"
            after = f"(?![{characters}])" if characters else f"(?!{kind[1]})"
            wanted = f"{before}{re.escape(name)}{after}"
        elif inside == name and re.escape(name) == name:
            wanted = name
        else:
            return None
        found = f"(?a){text[:start]}{wanted}{text[stop:value]}(?P<value>{text[value + 1 :]}"
        try:
            pattern, original = compiled(found), compiled(f"(?a){text}")
        except (re.error, RecursionError, OverflowError):
            return None
        probe = original.search(f"{name}=0.5") or original.search(f"{name}: 0.5") or original.search(f"{name} 0.5")
        if probe is not None and (probe[1] != name or pattern.search(probe.string) is None):
            return None
        return found if kind is None or re.fullmatch(kind[0], name, re.ASCII) else None

    # ---- how much ----------------------------------------------------------------------------------------------
    def budget(self) -> None:
        draft, source = self.result, self.source
        budget = draft.section("budget")
        trials = source.whole("spec.maxTrialCount", self.spec.get("maxTrialCount"))
        parallel = source.whole("spec.parallelTrialCount", self.spec.get("parallelTrialCount", PARALLEL))
        failures = source.whole("spec.maxFailedTrialCount", self.spec.get("maxFailedTrialCount"), 0)
        fidelity = draft.study.get("fidelity")
        if trials is None:
            if draft.study.get("sampler") != "grid":
                draft.need("budget.trials", "The experiment has no maxTrialCount.", "64")
        elif fidelity is not None:
            budget["trials"] = self.configurations(trials, fidelity)
        else:
            budget["trials"] = trials
        if parallel is not None:
            budget["parallel"] = min(parallel, budget.get("trials", parallel))
        if failures is not None:
            budget["failures"] = max(1, failures)  # 0: the first failure ends the experiment

    def configurations(self, trials: int, fidelity: dict[str, Any]) -> int:
        """How many configurations Hyperband begins in so many trials, which Katib counts at each level again."""
        method = get_method("hyperband", Ladder.geometric(1, fidelity["high"], fidelity["eta"], True))
        n = bisect_right(range(1, trials + 1), trials, key=lambda count: sum(method.sizes(count)))
        self.result.change(
            "spec.maxTrialCount",
            f"{trials} counts each training; here configurations count, and {n} of them are {sum(method.sizes(n))}.",
        )
        return n

    def early_stopping(self) -> None:
        rule = self.source.mapping("spec.earlyStopping", self.spec.get("earlyStopping"))
        if not rule:
            return
        settings = self.read_settings("spec.earlyStopping.algorithmSettings", rule.get("algorithmSettings"))
        startup, warmup = settings.get("min_trials_required", "3"), settings.get("start_step", "4")
        numbers = [text if text.isdigit() else other for text, other in ((startup, "3"), (warmup, "4"))]
        self.result.leave_out(
            "spec.earlyStopping",
            f"{quoted(rule.get('algorithmName'))}: Katib compares with the mean of the first values of others, and the "
            "rule that is here with the median of what they had reached at the same step.",
            f"`pruner: {{name: median, startup: {numbers[0]}, warmup: {numbers[1]}}}` is near to it.",
        )


_OF_HYPERBAND = {"resource_name": "", "r_l": "", "eta": "3"}


def one_word(value: Any) -> str:
    """A text of the source as a word that can stand in a sentence."""
    return re.sub(r"[^\w@%+=:,./-]", "?", str(value))[:80]


def _containers(spec: Any, depth: int = 0) -> Iterator[tuple[str, dict[str, Any]]]:
    """The containers anywhere in a template: of a Job, or of the replicas of a training operator."""
    if not isinstance(spec, dict) or depth > 8:
        return
    for name, value in spec.items():
        if name == "containers" and isinstance(value, list):
            yield from ((f"containers[{i}]", c) for i, c in enumerate(value) if isinstance(c, dict))
        else:
            yield from _containers(value, depth + 1)


def _groups(pattern: str) -> list[tuple[int, int]]:
    """Where the capturing groups of a regular expression begin and end, by their order."""
    spans: list[list[int]] = []
    opened: list[int | None] = []
    position, in_class = 0, False
    while position < len(pattern):
        character = pattern[position]
        if character == "\\":
            position += 1
        elif in_class:
            in_class = character != "]"
        elif character == "[":
            in_class = True
            position += pattern[position + 1 : position + 2] == "]"
        elif character == "(":
            captures = pattern[position + 1 : position + 2] != "?"
            opened.append(len(spans) if captures else None)
            if captures:
                spans.append([position, -1])
        elif character == ")":
            if not opened:
                return []
            index = opened.pop()
            if index is not None:
                spans[index][1] = position + 1
        position += 1
    return [] if opened else [(start, stop) for start, stop in spans]
