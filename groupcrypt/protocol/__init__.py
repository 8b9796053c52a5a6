"""The protocol, sans-IO: `(state, input, now, entropy) -> Step(state, changes, events)`.

One module per chapter of `spec/`, under the same number and name. Nothing here does I/O, reads a
clock, draws randomness of its own, logs or is `async`.
"""
