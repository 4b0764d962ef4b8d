"""What the orchestration costs, measured: `python -m benchmarks`. See README.md in this folder."""
