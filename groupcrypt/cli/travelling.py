"""The demonstration's file: from one node to another, through a server that cannot read it (14).

Rules of this file:
- The bytes are random, as those of a photo: a piece of them is nowhere by chance.
- That a search finds nothing says something only beside one that finds: the reader's copy.
"""

import os
from pathlib import Path
from typing import Final

from groupcrypt.cli import proof
from groupcrypt.cli.show import MIB, Show
from groupcrypt.cli.stage import Actor

NAME: Final = "north face.jpg"
SIZE: Final = 4 << 20
STEP: Final = 1 << 16  # bytes from one piece that is searched for to the next
PIECE: Final = 32


async def play(show: Show, people: dict[str, Actor], group: str, data: Path) -> None:
    """Send a file to the group, fetch it, compare, and search the server's files for it."""
    show.scene("carol sends a photo to the group, and erin fetches it")
    carol, erin = people["carol"], people["erin"]
    content = os.urandom(SIZE)
    before = proof.size_of(data)
    photo, folder = carol.home / NAME, erin.home / "photos"
    photo.write_bytes(content)
    folder.mkdir()
    carol.moves = lambda done, size: show.progress("sent", done, size)
    erin.moves = lambda done, size: show.progress("received", done, size)
    sent = await carol.do("send-file", group=group, path=str(photo))
    told = await erin.wait("hear of the file", lambda line: line.get("message") == sent["message"])
    named = {"group": group, "account": told["account"], "message": told["message"]}
    saved = await erin.do("save-file", **named, folder=str(folder))
    same = saved["path"] == str(folder / NAME) and (folder / NAME).read_bytes() == content
    show.claim(f"erin's {NAME!r} is carol's, byte for byte", holds=same)
    pieces = [content[at : at + PIECE] for at in range(0, SIZE, STEP)]
    grown = (proof.size_of(data) - before) / MIB
    found, there = proof.found_in(data, pieces), proof.found_in(folder, pieces)
    show.claim(
        f"the server's files grew by {grown:.1f} MiB, and hold {len(found)} of {len(pieces)} pieces"
        f" of it; erin's folder holds {len(there)}",
        holds=not found and len(there) == len(pieces) and grown * MIB >= SIZE,
    )
