"""The public test harness: for this library, and for clients of any protocol.

- `party`: real clients and a real server under faults, with `checkpoints` and `pytest_plugin`;
  begin with spec/testing-your-client.md.
- `simulation`: whole groups on the pure core, with `checkers`; `trace` and `picture` show a run.
- `vectors`: what another implementation is held to.

Rules of this package:
- For tests, of this library and of what is built on it. Nothing here is safe for real messages.
- Everything is a function of a seed: the same seed gives the same bytes on every machine.

The library itself never imports from here.
"""
