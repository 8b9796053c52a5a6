"""The demonstration's actors: a server and nodes, each a process of its own (spec 13, 12).

Rules of this file:
- An `Actor` speaks JSON lines with `groupcrypt node --json`; it knows what that process knows.
- A `Tap` stands between nodes and server and keeps every byte that passes.
- Every wait has a deadline: what does not happen is an error that says what was waited for.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import trio

WAIT_SECONDS = 20.0
Line = dict[str, Any]


class NotSeen(Exception):
    """Something that had to happen did not, in time."""


class Actor:
    """One node process: requests in, events out."""

    def __init__(self, name: str, home: Path, server: tuple[str, str], shown: str) -> None:
        """`server`: address and key."""
        self.name = name
        self.home = home
        self.shown = shown  # the name others see
        self.seen: list[Line] = []  # every line it ever printed, over restarts
        self.ready: Line = {}
        self.moves: Callable[[int, int], object] = lambda _, __: None  # told of files on their way
        self._arguments = [
            *(sys.executable, "-m", "groupcrypt", "node", "--json", "--home", str(home)),
            *("--server", server[0], "--server-key", server[1], "--name", shown),
        ]
        self._process: trio.Process | None = None
        self._news = trio.Event()
        self._next = 0

    async def start(self, nursery: trio.Nursery) -> None:
        """Start the process, or start it again on the same home."""
        begin = len(self.seen)
        self._process = await trio.lowlevel.open_process(
            self._arguments, stdin=-1, stdout=-1, stderr=None
        )
        nursery.start_soon(self._listen, self._process)
        self.ready = await self.wait("be ready", lambda line: line["type"] == "ready", begin)
        await self.wait("connect", lambda line: line["type"] == "connected", begin)
        await self.published()

    async def _listen(self, process: trio.Process) -> None:
        assert process.stdout is not None  # asked for
        rest = b""
        async for chunk in process.stdout:
            *lines, rest = (rest + bytes(chunk)).split(b"\n")
            told = [json.loads(line) for line in lines if line]
            for line in told:
                if line["type"] == "progress":
                    self.moves(line["bytes"], line["of"])
            self.seen += told
            self._news.set()
            self._news = trio.Event()

    async def wait(self, what: str, fits: Callable[[Line], bool], begin: int = 0) -> Line:
        """The first line from number `begin` on that fits; raises `NotSeen`."""
        with trio.move_on_after(WAIT_SECONDS):
            while True:
                news = self._news
                for line in self.seen[begin:]:
                    if fits(line):
                        return line
                await news.wait()
        raise NotSeen(f"{self.name} did not {what} within {WAIT_SECONDS:.0f} seconds")

    async def ask(self, do: str, **fields: object) -> Line:
        """One request and its answer; an answer of type error is returned like any other."""
        self._next += 1
        mark, begin = f"{self.name}-{self._next}", len(self.seen)
        assert self._process is not None and self._process.stdin is not None  # it was started
        line = json.dumps({"do": do, "id": mark, **fields}) + "\n"
        await self._process.stdin.send_all(line.encode())
        return await self.wait(
            do, lambda found: found.get("id") == mark and found["type"] in ("done", "error"), begin
        )

    async def do(self, do: str, **fields: object) -> Line:
        """One request that has to succeed."""
        answer = await self.ask(do, **fields)
        if answer["type"] == "error":
            raise NotSeen(f"{self.name} could not {do}: {answer['text']}")
        return answer

    def texts(self) -> list[str]:
        """The texts this node's application was shown, in order."""
        return [line["text"] for line in self.seen if line["type"] == "message"]

    async def reads(self, text: str) -> Line:
        """Wait until it was shown a text."""
        return await self.wait(
            f"read {text!r}", lambda line: line["type"] == "message" and line["text"] == text
        )

    async def published(self) -> None:
        """Wait until the server has everything of it, such as what its card names."""
        await self._emptied("outbox")

    async def taken(self) -> None:
        """Wait until its application has acknowledged everything it was shown."""
        await self._emptied("inbox")

    async def _emptied(self, box: str) -> None:
        with trio.move_on_after(WAIT_SECONDS):
            while (await self.do("describe"))["node"][box]:  # noqa: ASYNC110  # see below
                await trio.sleep(
                    0.01
                )  # a process elsewhere is asked: there is no event to wait for
            return
        raise NotSeen(f"{self.name}'s {box} does not get empty")

    async def kill(self) -> None:
        """SIGKILL: the process gets no chance to say goodbye."""
        assert self._process is not None  # it was started
        self._process.kill()
        await self._process.wait()

    async def stop(self) -> None:
        """Let the process end by itself, or end it."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        with trio.move_on_after(5):
            await process.wait()
        if process.returncode is None:
            process.kill()
            await process.wait()


class Broadcaster:
    """The server's process."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.address = ""
        self.key = ""
        self._process: trio.Process | None = None

    async def start(self) -> None:
        """Start it on a free port of the loopback."""
        self._process = await trio.lowlevel.open_process(
            [
                *(sys.executable, "-m", "groupcrypt", "serve", "--json"),
                *("--listen", "127.0.0.1:0", "--data", str(self.data)),
            ],
            stdout=-1,
        )
        assert self._process.stdout is not None  # asked for
        text = b""
        with trio.move_on_after(WAIT_SECONDS):
            while b"\n" not in text:
                text += await self._process.stdout.receive_some() or b"\n"
        if not text.strip():
            raise NotSeen("the server did not start")
        line = json.loads(text)
        self.address, self.key = line["address"], line["server_key"]

    async def stop(self) -> None:
        """Drain and end."""
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            with trio.move_on_after(5):
                await self._process.wait()
            if self._process.returncode is None:
                self._process.kill()
                await self._process.wait()


class Tap:
    """A wire that remembers: passes bytes on and keeps them."""

    def __init__(self, server: str) -> None:
        host, _, port = server.rpartition(":")
        self._server = (host, int(port))
        self.address = ""
        self.kept = bytearray()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Listen on a free port until cancelled."""
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.address = f"127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        task_status.started()
        await trio.serve_listeners(self._pass, listeners)

    async def _pass(self, client: trio.SocketStream) -> None:
        try:
            server = await trio.open_tcp_stream(*self._server)
        except OSError:
            await client.aclose()
            return
        async with server, client, trio.open_nursery() as nursery:
            nursery.start_soon(self._copy, client, server, nursery.cancel_scope)
            nursery.start_soon(self._copy, server, client, nursery.cancel_scope)

    async def _copy(
        self, source: trio.SocketStream, sink: trio.SocketStream, scope: trio.CancelScope
    ) -> None:
        try:
            async for chunk in source:
                self.kept += chunk
                await sink.send_all(chunk)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        scope.cancel()
