"""Multi-fidelity methods, ours and others, on tables of real learning curves."""
