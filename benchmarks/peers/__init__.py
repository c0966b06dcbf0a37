"""Adapters: a few lines that make a peer and say how it is called.

Each takes a capacity and a time to live in seconds (``None``: for ever), and gives a peer the same
features as ours wherever it can: bounded, thread-safe, expiring. What it lacks its contestant says.
"""
