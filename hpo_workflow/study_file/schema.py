"""Every key of the study file: its type, meaning, default and examples. The one source of all of them.

It is a JSON Schema (draft 2020-12). The loader validates with it and fills defaults from it; `schema.json` beside this
file (for editors) and `config/README.md` are written from it by `python -m hpo_workflow.study_file.reference`.

Two words are our own. `not-in-this-version: true` marks a key that a later version will read. `instead: KEY` names the
key that a person meant. Both kinds are refused through `not: {}`, which any validator understands. Formats: `duration`,
`size`, `regex-of-ours`, checked by `quantities` and the loader.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from hpo_workflow.multifidelity.methods import METHODS
from hpo_workflow.multifidelity.perturbation import KINDS as EXPLORE
from hpo_workflow.pruners.registry import PRUNERS
from hpo_workflow.samplers.registry import SAMPLERS
from hpo_workflow.space.parameters import STRENGTHS
from hpo_workflow.template.file_formats import FORMATS
from hpo_workflow.template.placeholders import NAME

STUDY_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"
RESOURCE = r"^(?!(?:attempt|self)$)[A-Za-z][A-Za-z0-9_]*$"
"""The rule of a trial gives `attempt` itself; `self` and names such as `_cores` are those of Snakemake's own code."""
SCALAR = ["string", "number", "boolean"]
TRACK_EVERY = "10s"


def _later(description: str) -> dict[str, Any]:
    return {"description": f"{description} Not in this version.", "not": {}, "not-in-this-version": True}


def _instead(key: str, description: str) -> dict[str, Any]:
    return {"description": description, "not": {}, "instead": key}


def _sampler_options() -> dict[str, Any]:
    """The options of all samplers; who takes which, and what each may be, is checked where a sampler is made."""
    described: dict[str, list[str]] = {}
    for name, entry in SAMPLERS.items():
        for key, option in entry.options.items():
            described.setdefault(key, []).append(f"`{name}`: {option.description}")
    return {key: {"description": " ".join(sentences)} for key, sentences in described.items()}


def _pruner_options() -> dict[str, Any]:
    """The options of all pruners; who takes which is checked by `pruners.registry`."""
    options = {key: option for entry in PRUNERS.values() for key, option in entry.options.items()}
    return {key: {"type": "number", "description": option.description} for key, option in options.items()}


_DURATION = {"type": ["string", "number"], "format": "duration"}
_SIZE = {"type": ["string", "number"], "format": "size"}

_PARAMETER: dict[str, Any] = {
    "description": "A parameter: a mapping, a list of choices, or a scalar that is a constant.",
    "type": ["object", "array", "string", "number", "boolean"],
    "items": {"type": SCALAR},
    "properties": {
        "type": {"enum": ["float", "int"], "description": "Numbers between `low` and `high`, both included."},
        "low": {"type": "number", "description": "The smallest value."},
        "high": {"type": "number", "description": "The largest value."},
        "log": {
            "type": "boolean",
            "default": False,
            "description": "Search on a logarithmic scale: as much between 0.001 and 0.01 as between 0.01 and 0.1.",
        },
        "step": {
            "type": "number",
            "exclusiveMinimum": 0,
            "description": "Only `low`, `low + step`, `low + 2 step`, ... Not with `log` on a float.",
        },
        "points": {
            "type": "integer",
            "minimum": 1,
            "description": "How many values a grid takes from the range; evenly spaced, on the logarithmic scale "
            "with `log`.",
        },
        "choices": {"type": "array", "minItems": 1, "items": {"type": SCALAR}, "description": "The possible values."},
        "ordered": {
            "type": "boolean",
            "description": "Neighbouring choices are alike. By default true where all choices are numbers.",
        },
        "when": {
            "type": "object",
            "description": "The parameter exists only where this holds: for each parent a value, a list (any of "
            "them) or "
            "bounds `{ge, gt, le, lt}`; all parents must agree, and an inactive parent means inactive.",
        },
        "fallback": {
            "type": SCALAR,
            "description": "What placeholders get where the parameter is inactive. The sampler never sees it.",
        },
        "expr": {
            "type": "string",
            "description": "A derived value: arithmetic on other parameters (`lr * batch / 64`), computed and "
            "never sampled.",
        },
        "prior": {
            "type": "object",
            "required": ["center"],
            "additionalProperties": False,
            "examples": [{"center": 0.001, "strength": "strong"}],
            "description": "Where you expect good values: trials begin near `center`, a possible value of the "
            "parameter, and results outweigh the prior as they come in.",
            "properties": {
                "center": {"type": SCALAR, "description": "The value that you expect to be good."},
                "strength": {
                    "enum": list(STRENGTHS),
                    "default": "medium",
                    "description": "How sure you are: a standard deviation of 0.4, 0.2 or 0.1 of the range (on the "
                    "logarithmic scale with `log`); of choices without order, `center` gets a quarter, a half or 0.8 "
                    "of the draws to itself.",
                },
            },
        },
        "dist": _later("Another distribution than the uniform one."),
        "repeat": _later("One parameter for each layer."),
    },
}

SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Study file of hpo_workflow",
    "type": "object",
    "required": ["study", "command", "space", "objective"],
    "additionalProperties": False,
    "patternProperties": {"^x-": {"description": "Ignored: for anchors and for your own notes."}},
    "properties": {
        "version": {
            "const": 1,
            "default": 1,
            "description": "Version of the study file's format.",
        },
        "study": {
            "type": "string",
            "pattern": STUDY_NAME,
            "examples": ["digits"],
            "description": "Name of the study: letters, digits and `.`, `_`, `-`, at most 64, the first a letter "
            "or digit.",
        },
        "description": {"type": "string", "default": "", "description": "What the study is about, for people."},
        "seed": {
            "type": "integer",
            "minimum": 0,
            "maximum": 2**32 - 1,
            "default": 0,
            "description": "Seed of the sampler, and of `${trial.seed}`.",
        },
        "outdir": {
            "type": "string",
            "minLength": 1,
            "default": "results",
            "description": "The study lives in the folder `outdir/study`, below the directory where the run is "
            "started.",
        },
        "cache": {
            "type": ["string", "null"],
            "minLength": 1,
            "default": None,
            "description": "A folder of results that studies share: a trial that another study has run already "
            "costs nothing.",
        },
        "command": {
            "type": ["string", "array"],
            "minLength": 1,
            "minItems": 1,
            "items": {"type": SCALAR},
            "examples": ["python train.py --lr=${hpo.lr}"],
            "description": "What a trial runs: text for the shell, or a block list of arguments that no shell reads.",
        },
        "shell": {
            "enum": ["bash", "sh"],
            "default": "bash",
            "description": "Who reads the text of `command`: `bash -euo pipefail -c`, or `sh -eu -c`.",
        },
        "workdir": {
            "enum": ["launch", "trial"],
            "default": "launch",
            "description": "Where the command runs: where the run was started, or in the trial's own directory.",
        },
        "setup": {
            "type": "string",
            "default": "",
            "examples": ["module load cuda/12.4"],
            "description": "Shell text that runs first, in the same shell. It is recorded and is not part of the "
            "identity: "
            "changing it runs nothing again.",
        },
        "env": {
            "type": "object",
            "default": {},
            "propertyNames": {"pattern": VARIABLE},
            "additionalProperties": {"type": SCALAR},
            "examples": [{"OMP_NUM_THREADS": 4}],
            "description": "Environment variables. The shell does not expand them; placeholders are replaced.",
        },
        "pass_env": {
            "type": "array",
            "default": [],
            "items": {"type": "string", "pattern": VARIABLE},
            "examples": [["WANDB_API_KEY"]],
            "description": "Names of variables that trials get from the environment of the run. Their values are never "
            "recorded, so this is the place for secrets.",
        },
        "pass": {
            "type": "array",
            "default": [],
            "items": {"enum": ["env", "file"]},
            "description": "How else the program reads its parameters, so that they count as used: from "
            "`HPO_PARAM_*` (`env`) "
            "or from the JSON file `HPO_PARAMS_FILE` (`file`).",
        },
        "templates": {
            "type": "object",
            "default": {},
            "propertyNames": {"pattern": VARIABLE},
            "additionalProperties": {
                "type": ["string", "object"],
                "minLength": 1,
                "required": ["from"],
                "additionalProperties": False,
                "properties": {
                    "from": {"type": "string", "minLength": 1, "description": "The file with placeholders."},
                    "to": {
                        "type": "string",
                        "minLength": 1,
                        "description": "Its name in the trial's directory; by default that of the source without "
                        "`.in`.",
                    },
                    "format": {
                        "enum": list(FORMATS),
                        "description": "How values are spelled in it; by default the suffix decides, else `raw`.",
                    },
                },
            },
            "examples": [{"cfg": "conf/base.yaml.in"}],
            "description": "Files that are rendered once for each trial. `${trial.file.NAME}` is the path of the "
            "result.",
        },
        "inputs": {
            "type": "array",
            "items": {"type": "string", "minLength": 1},
            "examples": [["train.py", "src/**/*.py"]],
            "description": "Files whose content is part of the identity, as paths or patterns (`*`, `**`). By "
            "default the files "
            "that are named as words in the command.",
        },
        "needs": {
            "type": "array",
            "default": [],
            "items": {"type": "string", "minLength": 1},
            "examples": [["data/digits.npz"]],
            "description": "Files that must exist before a trial starts. Snakemake can make them; their content "
            "is not compared.",
        },
        "space": {
            "type": "object",
            "minProperties": 1,
            "propertyNames": {"pattern": f"^{NAME}$"},
            "additionalProperties": _PARAMETER,
            "examples": [{"lr": {"type": "float", "low": 0.0001, "high": 0.1, "log": True}}],
            "description": "The parameters: what may vary.",
        },
        "objective": {
            "type": "object",
            "required": ["metric", "direction"],
            "additionalProperties": False,
            "examples": [{"metric": "accuracy", "direction": "maximize"}],
            "description": "The metric that is optimised.",
            "properties": {
                "metric": {
                    "type": "string",
                    "pattern": r"^[^\s=]+$",
                    "examples": ["accuracy"],
                    "description": "A metric that the program prints, or `trial.seconds` or `trial.max_rss_mb`.",
                },
                "direction": {
                    "enum": ["maximize", "minimize"],
                    "examples": ["maximize"],
                    "description": "Which values are better. There is no default.",
                },
                "reduce": {
                    "enum": ["last", "best"],
                    "default": "last",
                    "description": "Which of the values that a trial prints counts.",
                },
                "target": {
                    "type": "number",
                    "description": "The study ends when a complete trial reaches it; with `reduce: best` also a "
                    "running one.",
                },
                "on_target": {
                    "enum": ["cancel", "finish"],
                    "default": "cancel",
                    "description": "What happens then to trials that are running.",
                },
            },
        },
        "metrics": {
            "type": "object",
            "default": {},
            "additionalProperties": False,
            "description": "How numbers are read from the output of a trial.",
            "properties": {
                "format": {
                    "enum": ["equals", "katib", "json"],
                    "default": "equals",
                    "description": "`name=value` read strictly, Katib's exact rule, or JSON lines.",
                },
                "lines": {
                    "type": "string",
                    "format": "regex-of-ours",
                    "examples": ["^Test set"],
                    "description": "A regular expression: only lines in which it is found are read, also for `define` "
                    "where that has no `lines` of its own.",
                },
                "step": {
                    "type": "string",
                    "pattern": r"^[^\s=]+$",
                    "examples": ["epoch"],
                    "description": "The printed name that counts steps. Without it values are counted.",
                },
                "define": {
                    "type": "object",
                    "default": {},
                    "propertyNames": {"pattern": r"^[^\s=]+$"},
                    "additionalProperties": {
                        "type": "object",
                        "additionalProperties": False,
                        "properties": {
                            "after": {
                                "type": "string",
                                "minLength": 1,
                                "description": "The number that follows this text.",
                            },
                            "regex": {
                                "type": "string",
                                "minLength": 1,
                                "format": "regex-of-ours",
                                "description": "The number in the group `value` of this regular expression, or "
                                "in its only group.",
                            },
                            "lines": {
                                "type": "string",
                                "format": "regex-of-ours",
                                "description": "Only lines in which it is found are read for this metric, whatever "
                                "`metrics.lines` says.",
                            },
                        },
                    },
                    "examples": [{"auc": {"after": "valid_1's auc:"}}],
                    "description": "Metrics that are printed in another form: for each name either `after` or `regex`.",
                },
            },
        },
        "sampler": {
            "type": ["string", "object"],
            "required": ["name"],
            "default": {"name": "auto"},
            "properties": {
                "name": {
                    "type": "string",
                    "examples": list(SAMPLERS),
                    "description": "One of the names below.",
                },
                **_sampler_options(),
            },
            "examples": ["tpe"],
            "description": "Who proposes the trials: a name, or a mapping of `name` and the sampler's options.",
        },
        "refill": {
            "enum": ["rolling", "rounds"],
            "default": "rolling",
            "description": "`rolling`: the next trial starts when a slot frees. `rounds`: all start when all "
            "have ended; slots stay empty meanwhile, but the same seed proposes the same again, byte for byte, "
            "whatever the order in which trials end (as `rolling` does with `parallel: 1`).",
        },
        "budget": {
            "type": "object",
            "additionalProperties": False,
            "examples": [{"trials": 64, "parallel": 8}],
            "description": "How much may be spent.",
            "properties": {
                "trials": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": 10**6,
                    "examples": [64],
                    "description": "How many configurations are tried. Required, except where a grid is finite.",
                },
                "parallel": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": 10**4,
                    "description": "How many trials are under way at once. By default 8, or `trials` where that "
                    "is less.",
                },
                "ahead": {
                    "type": "integer",
                    "minimum": 0,
                    "maximum": 10**4,
                    "default": 0,
                    "description": "So many trials more than `parallel` are proposed, so that the next one is ready "
                    "when a slot frees. On one machine they wait for it; on a cluster they wait in its queue, and "
                    "start at once where it has room. Each is chosen without the results of those that still run. "
                    "A quarter of `parallel` pays where trials take less than 5 minutes.",
                },
                "failures": {
                    "type": "integer",
                    "minimum": 1,
                    "description": "The study stops after this many failed trials. By default when the first 5 "
                    "all fail, or more "
                    "than half of the last 20.",
                },
                "wall": {
                    **_DURATION,
                    "examples": ["48h"],
                    "description": "No new trials are proposed after this time.",
                },
                "gpu_hours": {
                    "type": "number",
                    "exclusiveMinimum": 0,
                    "examples": [500],
                    "description": "No new trials are proposed once trials have used so many hours of GPUs, all "
                    "attempts counted, lost ones too. Trials that run then still end. Needs `resources.gpu`.",
                },
            },
        },
        "resources": {
            "type": "object",
            "default": {},
            "propertyNames": {"pattern": RESOURCE},
            "additionalProperties": {"type": ["string", "number", "boolean"]},
            "examples": [{"gpu": 1, "threads": 4, "mem": "8GB", "runtime": "12h"}],
            "description": "What one trial needs, by Snakemake's names and passed on to it.",
            "properties": {
                "threads": {"type": "integer", "minimum": 1, "description": "CPU cores."},
                "gpu": {"type": "integer", "minimum": 0, "description": "GPUs."},
                "mem": {**_SIZE, "examples": ["8GB"], "description": "Memory."},
                "mem_mb": {"type": "integer", "minimum": 1, "description": "Memory in MB."},
                "runtime": {
                    **_DURATION,
                    "format": "duration-or-minutes",
                    "examples": ["12h"],
                    "description": "The longest time that one attempt may take; a plain number counts minutes, "
                    "as in Snakemake, which gets it in minutes, rounded up.",
                },
                "gpus": _instead("gpu", "Write `gpu`."),
                "nvidia_gpu": _instead("gpu", "Write `gpu`."),
            },
        },
        "limits": {
            "type": "object",
            "default": {},
            "additionalProperties": False,
            "description": "Bounds on one trial.",
            "properties": {
                "silence": {
                    **_DURATION,
                    "examples": ["30m"],
                    "description": "A trial that prints nothing for so long is ended. By default never.",
                },
                "grace": {
                    **_DURATION,
                    "default": "60s",
                    "description": "Time between the request to end (TERM) and the end by force (KILL).",
                },
                "log": {**_SIZE, "default": "1GB", "description": "Largest log; beyond it the middle is dropped."},
            },
        },
        "start": {
            "type": "array",
            "default": [],
            "maxItems": 10_000,
            "items": {"type": "object", "additionalProperties": {"type": SCALAR}},
            "examples": [[{"lr": 0.001, "optimizer": "adam"}]],
            "description": "Configurations that run first, in this order, before the sampler's ideas; they count in "
            "the budget. What an entry leaves out is drawn. Entries that are added later run next.",
        },
        "history": {
            "type": "array",
            "default": [],
            "maxItems": 100,
            "items": {
                "type": "object",
                "additionalProperties": False,
                "patternProperties": {"^x-": {"description": "Ignored."}},
                "properties": {
                    "study": {
                        "type": "string",
                        "minLength": 1,
                        "examples": ["results/old"],
                        "description": "A study of ours: its file, or the folder of its results.",
                    },
                    "csv": {
                        "type": "string",
                        "minLength": 1,
                        "examples": ["old.csv"],
                        "description": "A CSV file: commas, UTF-8, the first line with the names of parameters and of "
                        "the metric. An empty cell is a parameter that was inactive, or no result.",
                    },
                    "optuna": {
                        "type": "string",
                        "minLength": 1,
                        "examples": ["sqlite:///old.db"],
                        "description": "A study of Optuna, by the URL of its database or `journal:FILE`; needs "
                        "the extra `optuna`.",
                    },
                    "study_name": {
                        "type": "string",
                        "minLength": 1,
                        "examples": ["digits"],
                        "description": "Beside `optuna`: which study, where there are several.",
                    },
                    "metric": {
                        "type": "string",
                        "minLength": 1,
                        "examples": ["val_acc"],
                        "description": "Beside `study` or `csv`: what the objective is called there, if not as here.",
                    },
                },
            },
            "examples": [[{"study": "results/old"}, {"csv": "old.csv"}]],
            "description": "Results of earlier searches, which the sampler knows from the beginning. They are mapped "
            "by name, read once when the study first runs, do not count in the budget and are not run again.",
        },
        "fidelity": {
            "type": "object",
            "required": ["name", "high"],
            "additionalProperties": False,
            "patternProperties": {"^x-": {"description": "Ignored."}},
            "examples": [{"name": "epochs", "type": "int", "low": 1, "high": 27, "method": "asha"}],
            "description": "How far a trial is trained: many configurations a little, few of them to the end. "
            "`${trial.fidelity}` is what the program trains up to, `${trial.resume_from}` the directory of the trial "
            "that it goes on from, empty the first time.",
            "properties": {
                "name": {
                    "type": "string",
                    "pattern": f"^{NAME}$",
                    "examples": ["epochs"],
                    "description": "What is counted, for people: `epochs`, `rounds`, `data`.",
                },
                "type": {
                    "enum": ["int", "float"],
                    "default": "int",
                    "description": "Whole numbers (epochs), or not (a part of the data).",
                },
                "low": {
                    "type": "number",
                    "exclusiveMinimum": 0,
                    "default": 1,
                    "description": "The lowest level: where losses begin to say something. With `pbt` the same as "
                    "`interval`, unless given.",
                },
                "high": {
                    "type": "number",
                    "exclusiveMinimum": 0,
                    "examples": [27],
                    "description": "The highest level: a whole training.",
                },
                "eta": {
                    "type": "integer",
                    "minimum": 2,
                    "maximum": 100,
                    "default": 3,
                    "description": "One of so many gets from a level to the next, which is about so many times as far.",
                },
                "method": {
                    "enum": list(METHODS),
                    "default": "asha",
                    "description": "Who decides what is trained further: "
                    + "; ".join(f"`{name}`: {entry.description}" for name, entry in METHODS.items())
                    + ".",
                },
                "interval": {
                    "type": "number",
                    "exclusiveMinimum": 0,
                    "examples": [4],
                    "description": "`pbt`: how far a member is trained before it is judged again. Required there.",
                },
                "exploit": {
                    "enum": ["truncation", "tournament"],
                    "default": "truncation",
                    "description": "`pbt`: who is replaced. `truncation`: the worst `quantile` of a level, by one of "
                    "its best `quantile`; `tournament`: who is worse than another one, drawn from the same level.",
                },
                "quantile": {
                    "type": "number",
                    "exclusiveMinimum": 0,
                    "maximum": 0.5,
                    "default": 0.25,
                    "description": "`pbt`: the part of a level that counts as its best, and as its worst.",
                },
                "explore": {
                    "enum": list(EXPLORE),
                    "default": "factor",
                    "description": "`pbt`: how the parameters of who is replaced differ from the winner's. `factor`: "
                    "numbers times 0.8 or 1.2, ordered choices to a neighbour, other choices drawn with probability "
                    "`resample`; `resample`: each parameter drawn with that probability.",
                },
                "resample": {
                    "type": "number",
                    "minimum": 0,
                    "maximum": 1,
                    "default": 0.25,
                    "description": "`pbt`: the probability with which a parameter is drawn anew.",
                },
                "fixed": {
                    "type": "array",
                    "items": {"type": "string"},
                    "uniqueItems": True,
                    "default": [],
                    "examples": [["layers", "units"]],
                    "description": "`pbt`: parameters that cannot change while a model is trained, such as its "
                    "architecture. Who is replaced takes the winner's.",
                },
            },
        },
        "pruner": {
            "type": ["string", "object"],
            "required": ["name"],
            "properties": {
                "name": {"type": "string", "examples": list(PRUNERS), "description": "One of the names below."},
                **_pruner_options(),
            },
            "examples": ["median"],
            "description": "Ends trials that do badly while they run, by the objective that they print: a name, or a "
            "mapping of `name` and the pruner's options. A trial that is better than all complete ones always goes on. "
            "Steps are those of `metrics.step`, else values printed.",
        },
        "keep": {
            "enum": ["best", "all", "none"],
            "default": "all",
            "description": "Whose files stay in the trials' directories. `best`: of a trial that has ended and that no "
            "other one can go on from any more, what its program wrote there is deleted, except of the best trial; "
            "logs, parameters and metrics stay. `none`: at the end of the study that of the best one, too.",
        },
        "retry": {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": False,
            "patternProperties": {"^x-": {"description": "Ignored."}},
            "examples": [{"timeout": {"resume": True, "times": 3}, "oom": {"times": 2, "mem": 2.0}}],
            "description": "Trials that are started again before they count as failed: same number, same directory, "
            "and `${trial.attempt}` is one more. It costs no budget, and no sampler is told.",
            "properties": {
                "timeout": {
                    "type": "object",
                    "required": ["resume"],
                    "additionalProperties": False,
                    "patternProperties": {"^x-": {"description": "Ignored."}},
                    "examples": [{"resume": True, "times": 3}],
                    "description": "When `resources.runtime` is over, the trial goes on in a new job: a training of 30 "
                    "hours on jobs of 12. Shortly before, with `limits.grace` to go, the program gets TERM and saves "
                    "its state into `${trial.dir}`. What all its attempts print counts as one output.",
                    "properties": {
                        "resume": {
                            "type": "boolean",
                            "examples": [True],
                            "description": "Required, `true`: the program finds what it has saved and goes on from "
                            "there. One that starts anew would run into the same limit again.",
                        },
                        "times": {
                            "type": "integer",
                            "minimum": 1,
                            "maximum": 1000,
                            "default": 3,
                            "examples": [3],
                            "description": "So many times; then the trial is failed (`timeout`).",
                        },
                    },
                },
                "oom": {
                    "type": "object",
                    "additionalProperties": False,
                    "patternProperties": {"^x-": {"description": "Ignored."}},
                    "examples": [{"times": 2, "mem": 2.0}],
                    "description": "A trial that ran out of memory is started with more.",
                    "properties": {
                        "times": {
                            "type": "integer",
                            "minimum": 1,
                            "maximum": 20,
                            "default": 2,
                            "examples": [2],
                            "description": "So many times; then the trial is failed (`oom`).",
                        },
                        "mem": {
                            "type": "number",
                            "exclusiveMinimum": 1,
                            "maximum": 100,
                            "default": 2.0,
                            "examples": [2.0],
                            "description": "Each time with so many times as much: 8GB, then 16GB, 32GB.",
                        },
                    },
                },
            },
        },
        "track": {
            "type": "array",
            "default": [],
            "items": {
                "type": ["string", "object"],
                "minProperties": 1,
                "maxProperties": 1,
                "properties": {
                    "mlflow": {
                        "type": ["object", "null"],
                        "additionalProperties": False,
                        "examples": [{"uri": "http://127.0.0.1:5000"}],
                        "description": "MLflow, with settings.",
                        "properties": {
                            "uri": {
                                "type": "string",
                                "minLength": 1,
                                "examples": ["http://127.0.0.1:5000"],
                                "description": "The server. By default `MLFLOW_TRACKING_URI` of the environment of the "
                                "run, else `mlflow.db` where it was started. No passwords: those belong into "
                                "`MLFLOW_TRACKING_USERNAME` and `MLFLOW_TRACKING_PASSWORD`.",
                            },
                            "experiment": {
                                "type": "string",
                                "minLength": 1,
                                "examples": ["digits"],
                                "description": "The experiment that holds the runs. By default "
                                "`MLFLOW_EXPERIMENT_NAME`, else the study's name.",
                            },
                            "every": {
                                **_DURATION,
                                "default": TRACK_EVERY,
                                "examples": ["30s"],
                                "description": "How often it is told what is new.",
                            },
                        },
                    },
                },
            },
            "examples": [["mlflow"]],
            "description": "Who is told of trials while the study runs: `mlflow`, or `{mlflow: {uri: ...}}`. The "
            "machine that runs the study tells it, never a trial's job; what it cannot take holds nothing up and is "
            "made up for. Changing it runs nothing again.",
        },
        "replicates": _later("Repetitions with other seeds."),
        "constraints": _later("Bounds on other metrics."),
        "stages": _later("From coarse to fine."),
        "prepare": _later("A command that runs once, before the trials."),
        "score": _later("A command that computes the metric."),
        "final": _later("A command that runs with the best parameters."),
        "packing": _later("Several trials in one job."),
        "software": _later("Container, conda or modules."),
        "notify": _later("A command that tells the end."),
    },
}


def study_schema() -> dict[str, Any]:
    """The JSON Schema of the study file; a copy, free to change."""
    return copy.deepcopy(SCHEMA)


def default_of(*keys: str) -> Any:
    """The default of a key, by its path: `default_of("objective", "reduce")`."""
    node: Mapping[str, Any] = SCHEMA
    for key in keys:
        node = node["properties"][key]
    return copy.deepcopy(node["default"])


def is_later(node: Mapping[str, Any]) -> bool:
    """Whether a key of the schema is refused in this version."""
    return bool(node.get("not-in-this-version")) or "instead" in node
