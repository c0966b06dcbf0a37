"""Adapters: a few lines that make a peer and say how it is called.

Each takes a capacity and a time to live in seconds (``None``: for ever), and gives a peer the same
features as ours wherever it can: bounded, thread-safe, expiring. What it lacks its contestant says.

Those of caches on disk (`disk`, `sql`, `symphra_file`) come in pairs: ``fill_…`` puts entries into
an empty folder as fast as can be, untimed, and the other opens what it finds in a folder.
"""
