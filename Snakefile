# snakemake --profile slurm --configfile config/digits.yaml
# The rules are the package's own, so that a clone and an installed package run the same ones.
import sys

sys.path.insert(0, str(workflow.current_basedir))


include: "hpo_workflow/rules/study.smk"


rule all:
    default_target: True
    input:
        rules.study.output,
    localrule: True
