"""Sender, receiver and server killed in the middle of a file: each goes on (spec 14.5, 14.6)."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio

from groupcrypt.node import open_node
from groupcrypt.server import Address
from tests.server.process import server_process

ROOT = Path(__file__).parents[2]
MIB = 1024 * 1024
SIZE = 40 * MIB
PATIENCE = 60.0  # seconds; what hangs says so


def role(*arguments: str) -> "subprocess.Popen[str]":
    """A process of `groupcrypt bench files`: a sender or a receiver."""
    return subprocess.Popen(
        [sys.executable, "-m", "groupcrypt.cli.bench.transfer", *arguments],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
    )


def until(look: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not look():
        assert time.monotonic() < deadline, "it did not come so far"
        time.sleep(0.002)


def grown(folder: Path, pattern: str, size: int) -> Callable[[], bool]:
    """Whether a file of the folder has more than so many bytes."""
    return lambda: any(path.stat().st_size > size for path in folder.glob(pattern))


def killed(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


@dataclass(frozen=True)
class Scene:
    """Where everything lies."""

    base: Path

    @property
    def file(self) -> Path:
        return self.base / "file"

    @property
    def data(self) -> Path:
        return self.base / "server"

    @property
    def folder(self) -> Path:
        return self.base / "in"

    def home(self, name: str, to: Address) -> tuple[str, ...]:
        return (str(self.base / name), str(to), to.server_key.hex())

    def uploaded(self, size: int) -> Callable[[], bool]:
        return grown(self.data / "blobs", "?" * 64, size)


@pytest.mark.spec("14.5-1")
@pytest.mark.spec("14.6-2")
@pytest.mark.spec("13.12-5")
def test_a_file_survives_the_death_of_everybody_on_its_way(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.file.write_bytes(os.urandom(SIZE))
    scene.folder.mkdir()
    everybody_dies(scene)
    the_server_dies_while_the_sender_goes_on(scene)
    the_receiver_dies_and_goes_on(scene)
    assert [path.name for path in scene.folder.iterdir()] == ["file"]
    assert (scene.folder / "file").read_bytes() == scene.file.read_bytes()


def everybody_dies(scene: Scene) -> None:
    with server_process(scene.data) as (server, to):
        bob = role("receive", *scene.home("bob", to), str(scene.folder))
        assert bob.stdout is not None
        card = json.loads(bob.stdout.readline())["card"]
        alice = role("send", *scene.home("alice", to), card, str(scene.file))
        until(scene.uploaded(8 * MIB))
        for process in (alice, bob, server):
            killed(process)
    (blob,) = (scene.data / "blobs").glob("?" * 64)
    assert 8 * MIB < blob.stat().st_size < SIZE


def the_server_dies_while_the_sender_goes_on(scene: Scene) -> None:
    over = trio.Event()

    async def go_on(to: Address) -> None:
        async with open_node(scene.base / "alice", str(to)) as node:
            assert len(node.state.files) == 1
            await node.core.until(lambda: None if node.state.files else True)
            await node.core.until(lambda: None if node.state.posted else True)
        over.set()

    async def both(first: "subprocess.Popen[str]", to: Address) -> None:
        with trio.fail_after(PATIENCE):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(go_on, to)
                await trio.to_thread.run_sync(until, scene.uploaded(24 * MIB))
                await trio.to_thread.run_sync(killed, first)
                with server_process(scene.data, to.port) as (_, again):
                    assert again == to
                    await over.wait()

    with server_process(scene.data) as (first, to):
        trio.run(both, first, to)


def the_receiver_dies_and_goes_on(scene: Scene) -> None:
    async def fetch() -> None:
        told: list[int] = []
        with trio.fail_after(PATIENCE):
            async with open_node(scene.base / "bob", str(to)) as node:
                message = await anext(node.messages())
                assert message.attachment is not None
                await message.attachment.save(
                    scene.folder, progress=lambda done, _: told.append(done)
                )
        assert told[0] >= 7 * MIB  # what was there counts

    with server_process(scene.data) as (_, to):
        bob = role("receive", *scene.home("bob", to), str(scene.folder))
        until(grown(scene.folder, ".*.part", 8 * MIB))
        killed(bob)
        (left,) = scene.folder.iterdir()
        assert 8 * MIB <= left.stat().st_size < SIZE
        trio.run(fetch)
