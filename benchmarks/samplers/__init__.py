"""How good the proposals are: our samplers and those of others on the same problems, scored in the same way.

Problems are `problems.py` and the families that it names; samplers are `peers/`, one file for each package; `runs.py`
plays a sampler on a problem; `scoring.py` compares; `command.py` is `python -m benchmarks samplers`. Nothing but our
own sampler needs `hpo_workflow`, so a package that wants an environment of its own is measured from there.
"""
