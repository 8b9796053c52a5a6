"""The public test harness: deterministic randomness, vectors, simulation.

Rules of this package:
- For tests, of this library and of what is built on it. Nothing here is safe for real messages.
- Everything is a function of a seed: the same seed gives the same bytes on every machine.

The library itself never imports from here.
"""
