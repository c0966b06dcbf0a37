"""The parts of ``run_unasync.py``: trees, names, scopes, checks, rendering, twins."""
