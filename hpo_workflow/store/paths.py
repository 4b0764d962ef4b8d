"""Every file of a study's folder, each name once.

Standard library only, Python 3.8 or newer: the runner imports it on every node. `docs/files.md` explains the files.

Paths hold numbers and digests, never values: a hostile or over-long parameter value cannot reach the file system.
Folders are sharded by thousand, so that no directory grows without bound.
"""

from __future__ import annotations

import os

SHARD = 1000
"""Entries in one folder of batches or trials."""


def shard(number: int) -> str:
    """The name of the folder that holds entry `number`: `000`, `001`, ..."""
    return f"{number // SHARD:03d}"


class StudyPaths:
    """The files below `root` (`outdir/study`), as strings; nothing is created or read here."""

    def __init__(self, root: str) -> None:
        self.root = root

    def _join(self, *parts: str) -> str:
        return os.path.join(self.root, *parts)

    # ---- the truth: write-once records ---------------------------------------------------------
    def plan(self, digest: str) -> str:
        """A compiled study file; all that jobs need to know."""
        return self._join("ledger", "plans", f"{digest}.json")

    def identity(self, digest: str) -> str:
        """What trials ran: the command template, environment, templates and content of inputs."""
        return self._join("ledger", "identities", f"{digest}.json")

    def history(self, digest: str) -> str:
        """Results of earlier searches, as they were when the study first read them."""
        return self._join("ledger", "history", f"{digest}.json")

    def decision(self, index: int) -> str:
        """What the user decided about earlier trials (`--keep`, `--fresh`, `--retry-failed`), in order."""
        return self._join("ledger", "decisions", f"{index}.json")

    def batch_record(self, batch: int) -> str:
        """What one call of propose decided."""
        return self._join("ledger", "batches", shard(batch), f"{batch}.json")

    def result_record(self, number: int) -> str:
        """How trial `number` ended. Published once, never changed."""
        return self._join("ledger", "results", shard(number), f"{number}.json")

    def claim(self, number: int, attempt: int) -> str:
        """Who runs attempt `attempt` of a trial; removed after the trial's result is published."""
        return self._join("ledger", "claims", shard(number), f"{number}.{attempt}.json")

    # ---- sealed (`hpo compact`) ------------------------------------------------------------------
    def sealed(self, folder: str, part: int) -> str:
        """What was sealed of a folder of a thousand entries; later calls make further parts, from 1 on."""
        return f"{folder}.{part}.zip"

    def place_in_seal(self, path: str) -> tuple[str, str]:
        """The folder with which a file is sealed, and the file's name in there: `12.json`, `12/log`."""
        folder, name = os.path.split(path)
        if path.startswith(self._join("trials", "")):
            folder, number = os.path.split(folder)
            name = f"{number}/{name}"
        return folder, name

    # ---- a trial's own place ---------------------------------------------------------------------
    def trial_dir(self, number: int) -> str:
        """`${trial.dir}`: belongs to the user's program; survives attempts."""
        return self._join("trials", shard(number), str(number))

    def log(self, number: int, attempt: int) -> str:
        """Standard output and error of one attempt; the first is `log`, later ones `log.2`, ..."""
        return os.path.join(self.trial_dir(number), "log" if attempt <= 1 else f"log.{attempt}")

    def params_file(self, number: int) -> str:
        """`${trial.params_file}`: the trial's parameters as JSON, for programs that read a file."""
        return os.path.join(self.trial_dir(number), "params.json")

    def metrics_file(self, number: int) -> str:
        """`$HPO_METRICS_FILE`: metrics as JSON lines, for programs that rather write a file than print."""
        return os.path.join(self.trial_dir(number), "metrics.jsonl")

    def metrics_file_of(self, number: int, attempt: int) -> str:
        """Where the metrics file of an attempt is kept that was followed by another one."""
        return f"{self.metrics_file(number)}.{attempt}"

    def earlier_output(self, number: int, attempt: int) -> list[tuple[str, str]]:
        """Log and metrics file of each attempt before `attempt`, whether they are there or not."""
        return [(self.log(number, k), self.metrics_file_of(number, k)) for k in range(1, attempt)]

    def files_deleted(self, number: int) -> str:
        """Says that the files of the trial's program were deleted, as `keep:` of the study file wants it."""
        return os.path.join(self.trial_dir(number), "files_deleted.json")

    # ---- derived: Snakemake's declared outputs, caches, pointers -----------------------------------
    @property
    def state(self) -> str:
        return self._join("state")

    def batch(self, batch: int) -> str:
        """Declared output of propose."""
        return self._join("state", "batches", shard(batch), f"{batch}.json")

    def done(self, number: int, batch: int) -> str:
        """Declared output of the trial rule: trial `number`, emitted by `batch`, has ended."""
        return self._join("state", "done", shard(number), f"{number}-{batch}.json")

    def metric(self, metrics_digest: str, number: int, batch: int) -> str:
        """Declared output of parse: state, value and metrics of one trial under one set of metric settings."""
        return self._join("state", "metrics", metrics_digest, shard(number), f"{number}-{batch}.json")

    def metric_index(self, metrics_digest: str) -> str:
        """A cache of the metric files, one JSON line each; can be deleted at any time."""
        return self._join("state", "index", f"{metrics_digest}.jsonl")

    def curve_index(self, metrics_digest: str) -> str:
        """A cache of how complete trials went, one JSON line each, for pruners; can be deleted at any time."""
        return self._join("state", "index", f"{metrics_digest}.curves.jsonl")

    @property
    def batch_index(self) -> str:
        """A cache of the batch records, one JSON line each; can be deleted at any time."""
        return self._join("state", "index", "batches.jsonl")

    @property
    def emptied(self) -> str:
        """Which trials' directories were emptied under `keep:`; a cache that can be deleted at any time."""
        return self._join("state", "index", "emptied.json")

    @property
    def changed(self) -> str:
        """Gets new content at each parse, so that the collecting job runs again."""
        return self._join("state", "changed")

    @property
    def stop(self) -> str:
        """While it exists, running trials end as cancelled; its JSON says why."""
        return self._join("state", "stop.json")

    @property
    def stop_request(self) -> str:
        """Somebody has asked that the study be ended (`hpo stop`); its head reads it. The next run removes it."""
        return self._join("state", "stop_request.json")

    @property
    def adopted(self) -> str:
        """Trials that are in jobs of an earlier head, and the job of each, while the present one waits for them."""
        return self._join("state", "adopted.json")

    def adoption(self, index: int) -> str:
        """Declared output of adopt: one of those trials is settled."""
        return self._join("state", "adopted", f"{index}.json")

    @property
    def head(self) -> str:
        """The head as a Slurm job of its own (`hpo submit`): its settings, its job, what became of it."""
        return self._join("state", "head.json")

    @property
    def head_script(self) -> str:
        """What Slurm was given to run the head."""
        return self._join("state", "head.sh")

    @property
    def head_log(self) -> str:
        """What the heads in Slurm jobs have printed, one after the other."""
        return self._join("state", "head.log")

    @property
    def tracking(self) -> str:
        """How far what `track:` names has got: what is wrong, if anything is, and how many trials wait."""
        return self._join("state", "tracking.json")

    @property
    def tracking_log(self) -> str:
        """What whoever follows the study for a tracker has said."""
        return self._join("state", "tracking.log")

    @property
    def tracking_lock(self) -> str:
        """Exports of the study to MLflow wait for each other here."""
        return self._join("state", "tracking.lock")

    @property
    def session(self) -> str:
        """Who runs the study now: host, pid, since when."""
        return self._join("state", "session.json")

    @property
    def current_plan(self) -> str:
        """The plan that was used last: `{"plan": DIGEST}`."""
        return self._join("state", "plan.json")

    @property
    def snakemake_log(self) -> str:
        """What Snakemake printed under `hpo run`."""
        return self._join("state", "snakemake.log")

    @property
    def study_file(self) -> str:
        """A copy of the study file as it was last run."""
        return self._join("study.yaml")

    @property
    def best(self) -> str:
        """The result: best value, parameters and command; written when the study has ended."""
        return self._join("best.json")

    @property
    def report(self) -> str:
        """The study as a page; written when the study has ended, and by `hpo report`."""
        return self._join("report.html")

    @property
    def report_parts(self) -> str:
        """The drawings of the report and its table as files of their own; written when the study has ended."""
        return self._join("report")
