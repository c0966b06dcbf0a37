# Source of the blocking twin: edit here, then run scripts/run_unasync.py.
"""The faces of the cache that do I/O, one module a subject."""
