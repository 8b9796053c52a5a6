"""The broadcast server: keeps and shows what it cannot read (spec 13).

Rules of this package:
- `engines` keep, `hub` commits and fans out, `session` speaks with one client, `listener` accepts.
- The public names are these; `serve` is all most people need.
"""

from groupcrypt.server.listener import Address, Server, open_server, serve, serve_stream
from groupcrypt.server.signals import serve_until_terminated

__all__ = ["Address", "Server", "open_server", "serve", "serve_stream", "serve_until_terminated"]
