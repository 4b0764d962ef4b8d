"""Pruners: whether a running trial is hopeless, from what it and others have printed.

Pure, and standard library only, because the runner asks them on every node: `course` is what one trial has reported,
`curves` what others had reached by which step, `rules` and `pruner` decide. `registry` has the names and options of a
study file; it is not imported here, since the runner needs none of it.

Notation: losses (smaller is better) everywhere inside; a *curve* is the best loss so far by step. What is not a finite
number neither stops a trial nor counts as a report.
"""
