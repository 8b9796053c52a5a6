"""Two devices without Trio: your own loop around the pure core, the server a plain object."""

import time
from typing import Any

from groupcrypt.entropy import SystemEntropy
from groupcrypt.protocol import device
from groupcrypt.protocol.broadcast import Broadcast, Read, Request, SlotGet, read_request
from groupcrypt.protocol.content import TextContent
from groupcrypt.protocol.device.state import Step, TopicRecord
from groupcrypt.protocol.events import MessageReceived
from groupcrypt.protocol.identifiers import MessageId

server, entropy = Broadcast(), SystemEntropy()


def ask(request: Request) -> Any:
    """Your connection to the server; here it is a call."""
    return server.answer(request, now=int(time.time()))


class Shell:
    """Your store and your loop around one device."""

    def __init__(self, name: str) -> None:
        self.name, self.rows = name, dict[bytes, bytes | None]()
        self.do(device.create, name, "here:1", bytes(32))

    def do(self, act: Any, *arguments: Any) -> None:
        """Take a step: first its rows are durable, then its state counts, then people see it."""
        step: Step = act(*arguments, now=time.time(), entropy=entropy)
        self.rows.update(step.changes)
        self.state = step.state
        for event in step.events:
            if isinstance(event, MessageReceived) and isinstance(event.said.content, TextContent):
                print(f"{self.name} reads: {event.said.content.text}")

    def turn(self) -> bool:
        """Send what is due, or fetch what is wanted, or read on; False if there is nothing."""
        for row in device.pending(self.state):
            self.do(device.replied, self.state, row.number, ask(read_request(row.request)[1]))
            return True
        for name, place in device.wanted(self.state, now=time.time()).items():
            slot = ask(SlotGet(place.slot_name))
            prekey = ask(device.take_request(name, place, slot)).item
            self.do(device.bundle_arrived, self.state, name, slot, prekey)
            return True
        for account, card in device.wanted_records(self.state, now=time.time()).items():
            self.do(device.record_arrived, self.state, account, ask(SlotGet(card.slot_name)))
            return True
        for at in device.subscriptions(self.state):
            for found in ask(Read(at.read_token, at.write_hash, at.after, 1, at.kind)).entries:
                entry = TopicRecord(at.topic, found.seq, found.prev, found.mid, found.body)
                self.do(device.receive, self.state, entry)
                return True
        return False


alice, bob = Shell("alice"), Shell("bob")
while alice.turn() or bob.turn():  # a real loop then waits for the server, or until `next_tick`
    pass
card = device.card(bob.state)
alice.do(device.add_contact, alice.state, card, ask(SlotGet(card.slot_name)))
alice.do(device.create_group, alice.state, "climbers")
(group,) = alice.state.groups
alice.do(device.add_members, alice.state, group, (bob.state.account,))
for shell, text in ((alice, "see you at six"), (bob, "i bring the rope")):
    while alice.turn() or bob.turn():
        pass
    shell.do(device.send, shell.state, group, MessageId(entropy(16)), TextContent(text))
while alice.turn() or bob.turn():
    pass
