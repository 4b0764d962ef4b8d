"""The tests. Their folders mirror the package's; what they want of a machine is in machine.py."""
