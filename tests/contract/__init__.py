"""The contract suite: what every backend and both faces promise, one test a promise.

``_async/`` is the source, ``_sync/`` is rendered from it by ``scripts/run_unasync.py``. What
differs between the backends stands in ``backends.py``, what differs between the faces in
``acompat.py``; beside them are the few promises that only one face makes.
"""
