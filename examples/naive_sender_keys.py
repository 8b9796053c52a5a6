"""A throwaway chat with sender keys that forgets one thing, and the harness that sees it.

Everybody has a sender key, gives it to every member, and seals what is said under it: one upload,
however large the group. Whoever is removed is told so, and that is all: no key changes.
"""

import json
import sys
from collections.abc import Set as AbstractSet
from hashlib import sha256
from pathlib import Path

import trio
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from groupcrypt.testing.party import Party, Place, Transport, play
from groupcrypt.testing.picture import svg


class Naive:
    """A client for a party, see `groupcrypt.testing.party.Client`; and for nothing else."""

    def __init__(self, place: Place) -> None:
        self.place, self.me = place, place.name
        self.private = X25519PrivateKey.from_private_bytes(place.entropy(32))
        self.keys = {self.me: place.entropy(32)}  # the sender keys, by name
        self.roster: AbstractSet[str] = set()
        self.transport: Transport | None = None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        self.place.publish(self.private.public_key().public_bytes_raw().hex())
        async with self.place.broadcast() as self.transport:
            task_status.started()
            async for heard in self.transport:
                await self.take(*json.loads(heard.body))

    async def take(self, kind: str, sender: str, to: str, sealed: str) -> None:
        if kind == "text" and sender in self.keys and sender != self.me:
            self.place.show(sender, self.unseal(self.keys[sender], sealed).decode())
        if kind == "key" and to == self.me:
            self.keys[sender] = self.unseal(self.shared(sender), sealed)
        if kind == "roster":
            roster = set(to.split())
            for name in sorted(roster - self.roster - {self.me}) if self.me in roster else ():
                await self.tell("key", name, self.seal(self.shared(name), self.keys[self.me]))
            self.roster = roster  # and here the keys should change

    async def tell(self, kind: str, to: str, sealed: str = "") -> None:
        assert self.transport is not None, "it does not run"
        await self.transport.send(json.dumps([kind, self.me, to, sealed]).encode())

    def shared(self, name: str) -> bytes:
        public = X25519PublicKey.from_public_bytes(bytes.fromhex(self.place.cards[name]))
        return sha256(self.private.exchange(public)).digest()

    def seal(self, key: bytes, plaintext: bytes) -> str:
        nonce = self.place.entropy(12)
        return (nonce + ChaCha20Poly1305(key).encrypt(nonce, plaintext, None)).hex()

    def unseal(self, key: bytes, sealed: str) -> bytes:
        raw = bytes.fromhex(sealed)
        return ChaCha20Poly1305(key).decrypt(raw[:12], raw[12:], None)

    async def agree(self, roster: AbstractSet[str]) -> None:
        await self.tell("roster", " ".join(sorted(roster)))
        await self.place.until(lambda: self.roster == roster)

    async def found(self) -> None:
        await self.agree({self.me})

    async def add(self, *names: str) -> None:
        await self.agree(self.roster | {*names})

    async def remove(self, *names: str) -> None:
        await self.agree(self.roster - {*names})

    async def send(self, text: str) -> None:
        await self.tell("text", "", self.seal(self.keys[self.me], text.encode()))

    def members(self) -> AbstractSet[str]:
        return self.roster if self.me in self.roster else set()


async def story(p: Party[Naive]) -> tuple[list[str], str]:
    """One is removed, and the others go on talking; what was wrong, and a picture of it."""
    await p.group()
    await p.say("alice", "see you at six")
    await p.settled()
    await p.remove("alice", "carol")
    await p.settled()
    await p.say("alice", "and not a word to carol")
    await p.settled()
    wrong = p.complaints()
    return wrong, svg(p.trace, title="One is removed", caption=tuple(wrong))[0]


if __name__ == "__main__":
    wrong, picture = play("alice bob carol", story, client=Naive)
    print(*wrong, sep="\n")
    for place in sys.argv[1:]:
        Path(place).write_text(picture, "utf-8")
