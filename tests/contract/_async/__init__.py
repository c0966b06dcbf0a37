# Source of the blocking twin: edit here, then run scripts/run_unasync.py.
"""One face of the contract suite."""
