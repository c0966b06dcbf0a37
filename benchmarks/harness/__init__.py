"""The benchmark harness: it knows how to measure and to report, not what is measured.

`peers` holds the adapters, `families` what is measured. A measuring program is run once per family
(``bench_<family>.py``), and needs the packages of the group ``bench``; what reads stored results
(`results`, `ratios`, `tables`) needs nothing but the standard library.
"""
