"""Writes down what a node of this library does at a party, as `Scribe` does for worlds (spec 12.1).

Rules of this file:
- A step is written down when it is durable, a request when it leaves; what the process took with it
  into its death never was.
- A text has the label that the party gave it, whoever tells of it. That it was shown is the place's
  to say, who sees it happen.
"""

from collections import deque
from dataclasses import replace

from groupcrypt.node import Node
from groupcrypt.node.core import Act
from groupcrypt.protocol.broadcast import Append, Request
from groupcrypt.protocol.content import TextContent
from groupcrypt.protocol.device.state import Step, TopicRecord
from groupcrypt.protocol.events import DirectReceived, MessageReceived
from groupcrypt.testing.party.journal import Journal


class Recorder:
    """One person's node, over all of its lives."""

    def __init__(self, name: str, journal: Journal) -> None:
        self._name, self._journal = name, journal
        self._entered: deque[tuple[Step, bytes]] = deque()  # and not durable yet

    def follow(self, node: Node) -> None:
        """A life begins."""
        self._entered.clear()
        self._journal.scribe.met(self._name, node.state)
        core, enter = node.core, node.core.enter

        def entered(act: Act) -> Step:
            step, given = enter(act), getattr(act, "keywords", {})
            record, content = given.get("record"), given.get("content")
            if isinstance(content, TextContent):
                self._journal.name(given["message"], self._name, content.text)
            mid = record.mid if isinstance(record, TopicRecord) else b""
            self._entered.append((step, mid))
            return step

        core.enter = entered  # type: ignore[method-assign]  # of this one node

    def durable(self) -> None:
        """All steps that were entered are committed."""
        scribe = self._journal.now()
        while self._entered:
            step, mid = self._entered.popleft()
            for event in step.events:
                if isinstance(event, MessageReceived | DirectReceived):
                    content, sender = event.said.content, scribe.labels.of("a", event.sender)
                    if isinstance(content, TextContent):
                        self._journal.name(event.message, sender, content.text)
            shown = (MessageReceived, DirectReceived)
            told = tuple(event for event in step.events if not isinstance(event, shown))
            scribe.stepped(self._name, replace(step, events=told), mid=mid)

    def left(self, request: Request) -> None:
        """A request is on its way to the server."""
        if isinstance(request, Append):
            self._journal.now().uploaded(self._name, request.mid)


__all__ = ["Recorder"]
