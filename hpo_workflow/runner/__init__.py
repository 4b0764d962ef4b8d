"""Runs one trial: starts its program, watches it, reads its metrics and records how it ended.

Standard library only, Python 3.8 or newer: a trial must not wait for numpy, and it must run on any node.
"""
