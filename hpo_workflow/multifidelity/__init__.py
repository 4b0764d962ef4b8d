"""Multi-fidelity methods: which trial is trained further, and when a new one begins.

`actions` has the words that all share, `rungs` the ladder of fidelities. A method is one file.
"""
