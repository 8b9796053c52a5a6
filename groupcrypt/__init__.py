"""Encrypted group messaging over a server that knows nothing, on Trio.

Rules of this file:
- The public names and nothing else; README.md lists them, and a house test compares the two.
"""

__version__ = "0.1.0"
__all__: tuple[str, ...] = ()
