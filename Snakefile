# snakemake --profile slurm --configfile config/digits.yaml
# The rules are the package's own, so that a clone and an installed package run the same ones.
import sys

sys.path.insert(0, str(workflow.current_basedir))

from hpo_workflow import SNAKEFILE


include: SNAKEFILE


rule all:
    input:
        rules.study.output,
    localrule: True
