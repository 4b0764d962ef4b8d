# One study: propose -> trial -> parse -> study. Included by the Snakefile of a clone and run by `hpo run`.
# What is in flight is decided in hpo_workflow/workflow.py; here are rules and nothing else.
# `params` are functions of the output, so that none of them makes finished work run again. No rule has a `log:`:
# Snakemake would make an empty file for each job, and what a program prints is in its trial's directory.
from snakemake.exceptions import IncompleteCheckpointException

from hpo_workflow import workflow as hpo

STUDY = hpo.open_study(workflow, config)
OUT = STUDY.out
CATEGORY = "hyperparameter optimisation"


def has_ended(job, **wildcards):
    try:
        job.get(**wildcards)
    except IncompleteCheckpointException:
        return False
    return True


def batch_done(batch):
    return has_ended(checkpoints.propose, shard=hpo.shard(batch), batch=batch)


def parse_done(number, batch):
    return has_ended(checkpoints.parse, shard=hpo.shard(number), number=number, batch=batch)


def adopt_done(index):
    return has_ended(checkpoints.adopt, index=index)


def in_flight(wildcards):
    return STUDY.in_flight(batch_done, parse_done, adopt_done)


def changed(wildcards):
    return STUDY.changed()


def batch_of(wildcards):
    return ancient(STUDY.batch_of(int(wildcards.batch)))


def ended(wildcards):
    return STUDY.ended(int(wildcards.number), int(wildcards.batch))


def call(verb):
    return lambda wildcards, output: STUDY.call(verb)


def attempt(wildcards, attempt):
    return attempt


wildcard_constraints:
    shard=r"\d+",
    batch=r"\d+",
    number=r"\d+",
    index=r"\d+",


# The first rule, and so the default target where this file is the Snakefile; `default_target: True` would also take the
# place of the first rule of a workflow that has this one as a module.
rule study:
    input:
        in_flight,
        changed,
    output:
        best=report(f"{OUT}/best.json", category=CATEGORY, labels={"study": STUDY.spec.study, "what": "result"}),
        page=f"{OUT}/report.html",  # with its plots too large for a report of Snakemake, which gets report/page.html
        parts=report(
            directory(f"{OUT}/report"),
            patterns=["{part}.html", "{part}.svg", "{part}.csv"],
            category=CATEGORY,
            labels={"study": STUDY.spec.study, "what": "{part}"},
        ),
    localrule: True
    params:
        call=call("collect"),
        limits=STUDY.limits_digest,
    shell:
        "{params.call} --out {output.best:q} --page {output.page:q} --parts {output.parts:q}"


checkpoint propose:
    output:
        f"{OUT}/state/batches/{{shard}}/{{batch}}.json",
    priority: 100
    localrule: True
    params:
        call=call("propose"),
    shell:
        "{params.call} --batch {wildcards.batch} --out {output:q}"


rule trial:
    input:
        batch=batch_of,
        needs=[local(path) for path in STUDY.spec.needs],  # a module's prefix does not move them
    output:
        f"{OUT}/state/done/{{shard}}/{{number}}-{{batch}}.json",
    retries: hpo.ATTEMPTS - 1
    threads: STUDY.threads
    resources:
        **STUDY.resources,
        attempt=attempt,
    params:
        call=call("trial"),
    shell:
        "{params.call} --batch {input.batch:q} --number {wildcards.number} --out {output:q}"
        " --attempt {resources.attempt}"


# Waits for trials whose jobs an earlier run has submitted and that still run.
checkpoint adopt:
    output:
        f"{OUT}/state/adopted/{{index}}.json",
    localrule: True
    resources:
        _nodes=0,  # it is none of the jobs that --jobs counts
    params:
        call=call("adopt"),
    shell:
        "{params.call} --out {output:q}"


checkpoint parse:
    input:
        ended,
    output:
        f"{OUT}/state/metrics/{STUDY.metrics_digest}/{{shard}}/{{number}}-{{batch}}.json",
    priority: 200
    localrule: True
    params:
        call=call("parse"),
    shell:
        "{params.call} --number {wildcards.number} --batch {wildcards.batch} --out {output:q}"
