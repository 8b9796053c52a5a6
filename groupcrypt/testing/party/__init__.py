"""A party: real clients and a real server in one process, in no time, with every fault at hand.

    async with party("alice bob carol", seed=7) as p:
        await p.group()
        p.cut("bob")
        await p.say("alice", "see you at six")
        p.heal("bob")
        await p.settled()
        assert p.texts("bob") == ["see you at six"]

Rules of this package:
- Nothing is played: clients, server and store are the real ones. Only the network, the disk, the
  clock and the dice are ours, and all of them follow from the seed.
- `gathering` holds the party and its faults, `opening` begins and ends it. `clients` says what may
  come, `life`, `disk`, `network` and `host` what happens to it, `transport` what it may speak over.
- `journal` and `witness` write down, `promises` judges.
- What a test planted ends a client quietly; whatever else comes out of one fails the test.
"""

from groupcrypt.testing.party.clients import Client, Make, NodeClient, Place
from groupcrypt.testing.party.gathering import Party, Stuck
from groupcrypt.testing.party.network import Way
from groupcrypt.testing.party.opening import party, play
from groupcrypt.testing.party.promises import complaints
from groupcrypt.testing.party.transport import Transport

__all__ = [
    "Client",
    "Make",
    "NodeClient",
    "Party",
    "Place",
    "Stuck",
    "Transport",
    "Way",
    "complaints",
    "party",
    "play",
]
