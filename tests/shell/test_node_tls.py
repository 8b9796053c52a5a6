"""Nodes in their folders, over TLS on loopback: real files, real sockets (spec 12, 13.2, 16.3)."""

import stat
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from groupcrypt.connection import trusted_pin
from groupcrypt.errors import (
    CertificateMismatch,
    LocalError,
    ServerUnreachable,
    StoreError,
    StoreForeign,
    StoreLocked,
    TransportError,
    WrongPassphrase,
)
from groupcrypt.node import KEY_FILE, STORE_FILE, open_node
from groupcrypt.server import Address, serve
from tests.shell.scene import group_of, texts

PATIENCE = 60.0  # seconds; a test that hangs says so


@asynccontextmanager
async def served(data: Path | None = None) -> AsyncGenerator[Address]:
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            yield await nursery.start(serve, "127.0.0.1", 0, data)
            nursery.cancel_scope.cancel()


async def test_two_folders_talk_and_come_back(tmp_path: Path) -> None:
    async with served() as at:
        place = {"server": str(at), "server_key": at.server_key.hex()}
        async with (
            open_node(tmp_path / "alice", **place) as alice,
            open_node(tmp_path / "b", **place, name="bob", passphrase="correct horse") as bob,
        ):
            ours, theirs = await group_of(alice, bob)
            await ours.send("one")
            assert await texts(bob, 1) == ["one"]
            await theirs.send("two")
            await bob.wait_sent()
        async with (
            open_node(tmp_path / "alice") as alice,
            open_node(tmp_path / "b", passphrase="correct horse") as bob,
        ):
            assert (alice.name, bob.name) == ("alice", "bob")
            assert await texts(alice, 1) == ["two"]
            await alice.groups[0].send("three")
            assert await texts(bob, 1) == ["three"]
        assert sorted(path.name for path in (tmp_path / "b").glob("*.key")) == []
        for path in (tmp_path / "alice", *(tmp_path / "alice").iterdir()):
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0


async def test_the_first_server_is_trusted_and_no_other(tmp_path: Path) -> None:
    async with served(tmp_path / "server") as at:
        assert await trusted_pin(str(at)) == at.server_key
        async with open_node(tmp_path / "alice", str(at)) as alice:
            await alice.wait_connected()
            assert alice.state.core.server_key == at.server_key
    async with served() as other:  # with a key of its own
        with pytest.raises(CertificateMismatch):
            async with open_node(tmp_path / "alice", str(other)) as alice:
                await alice.wait_connected()
        with pytest.raises(StoreForeign, match="another key"):
            async with open_node(tmp_path / "alice", server_key=other.server_key):
                pass
    async with (
        served(tmp_path / "server") as moved,  # the same at another port
        open_node(tmp_path / "alice", str(moved)) as alice,
    ):
        await alice.wait_connected()


async def test_what_a_user_gets_wrong_is_one_line(tmp_path: Path) -> None:
    at = "127.0.0.1:1"
    with pytest.raises(StoreForeign, match="give a server"):
        async with open_node(tmp_path / "alice"):
            pass
    assert not (tmp_path / "alice").exists()
    with pytest.raises(ServerUnreachable, match="nobody answers"):
        async with open_node(tmp_path / "alice", at):
            pass
    with pytest.raises(LocalError, match="64 hex digits"):
        async with open_node(tmp_path / "alice", at, server_key="no key"):
            pass
    async with open_node(tmp_path / "alice", at, server_key=bytes(32)):  # made offline
        with pytest.raises(StoreLocked):
            async with open_node(tmp_path / "alice"):
                pass
    with pytest.raises(WrongPassphrase):
        async with open_node(tmp_path / "alice", passphrase="guess"):
            pass
    with pytest.raises(StoreError, match="no key file"):
        async with open_node(tmp_path / "alice", key_file=tmp_path / "other.key"):
            pass
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises((StoreError, OSError)):
        async with open_node(tmp_path / "file", at, server_key=bytes(32)):
            pass


async def test_a_key_file_may_lie_elsewhere(tmp_path: Path) -> None:
    key = tmp_path / "usb" / "my.key"
    key.parent.mkdir()
    for _ in range(2):
        async with open_node(
            tmp_path / "alice", "127.0.0.1:1", server_key=bytes(32), key_file=key
        ) as alice:
            assert alice.name == "alice"
    names = {path.name for path in (tmp_path / "alice").iterdir()}
    assert STORE_FILE in names and KEY_FILE not in names


async def test_no_server_of_ours_is_told_from_one(tmp_path: Path) -> None:
    async def silent(stream: trio.SocketStream) -> None:
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, silent, listeners)
        port = listeners[0].socket.getsockname()[1]
        with pytest.raises(TransportError):
            await trusted_pin(f"127.0.0.1:{port}")
        nursery.cancel_scope.cancel()
