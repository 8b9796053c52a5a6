"""What earlier versions left on disk: a server and three people, and how that was written.

Rules of this folder:
- An archive is never written again once its version was published, and none is ever deleted.
- `python -m tests.versions` writes the one of today's version, if there is none yet.
- Everybody's clock is the archive's: what it holds does not grow old.
"""
