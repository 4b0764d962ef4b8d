"""A study in the formats of other programs: one module for each, `registry` lists them.

A module defines `export(study, options)`, which writes and gives a `Written`. It imports what it needs when it is
called, and raises a MissingExtra where that is not installed.
"""
