"""Files over a real node and server: breaks, lies of the server, disks, names (spec 14.5 to 14.7).

The clock is the machine's: threads read and write the files, and a mock clock does not wait for
threads.
"""

import errno
import os
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from groupcrypt.errors import (
    AuthenticationFailed,
    ContentTooLarge,
    FileChanged,
    FileGone,
    FileUnusable,
    GroupcryptError,
    MalformedFrame,
    NotAMember,
    ServerRefused,
)
from groupcrypt.node import Attachment, Message, Node
from groupcrypt.node.partial import PartialFile
from groupcrypt.protocol import device
from groupcrypt.protocol.attachment import SEALED_CHUNK_BYTES, AttachmentContent
from groupcrypt.protocol.broadcast import (
    BlobHeld,
    BlobPart,
    BlobPut,
    BlobRequest,
    BlobSeal,
    Code,
    Limits,
    Refused,
    Reply,
)
from groupcrypt.protocol.device import Offer
from groupcrypt.protocol.events import FileNotSent
from groupcrypt.protocol.identifiers import MessageId
from groupcrypt.protocol.limits import FILE_CHUNK_BYTES as CHUNK
from groupcrypt.server.engines.memory import MemoryEngine
from tests.shell.scene import World, group_of, seen, world

SIZES = (0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 10 * CHUNK + 17)
Then = Callable[[BlobRequest, Reply], Reply]


class Odd(MemoryEngine):
    """A server whose answers about blobs may be changed, or be slow."""

    def __init__(self, limits: Limits | None = None) -> None:
        super().__init__(limits)
        self.then: Then = lambda _, reply: reply
        self.asked: list[BlobRequest] = []
        self.pause = 0.0

    async def blobs(self, batch: Sequence[tuple[bytes, BlobRequest]], *, now: int) -> list[Reply]:
        replies: list[Reply] = []
        for name, request in batch:
            self.asked.append(request)
            if self.pause:
                await trio.sleep(self.pause)
            (reply,) = await super().blobs([(name, request)], now=now)
            replies.append(self.then(request, reply))
        return replies


@asynccontextmanager
async def pair(engine: MemoryEngine | None = None) -> AsyncGenerator[tuple[World, Node, Node]]:
    with trio.fail_after(60):
        async with world() as made:
            if engine is not None:
                made.engine = engine
                made.server.hub.engine = engine  # type: ignore[union-attr]  # it is on
            async with made.node("alice") as alice, made.node("bob") as bob:
                await alice.import_card(bob.card)
                yield made, alice, bob


async def until(look: Callable[[], bool]) -> None:
    with trio.fail_after(10):
        while not look():  # noqa: ASYNC110  # of what the server does there is no event
            await trio.sleep(0.005)


def file_of(folder: Path, size: int, name: str = "notes.txt") -> Path:
    path = folder / name
    path.write_bytes(os.urandom(size))
    return path


async def received(node: Node) -> Attachment:
    message = await anext(node.messages())
    assert message.attachment is not None
    return message.attachment


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def blob_of(made: World) -> Any:
    (blob,) = made.engine._model.blobs._blobs.values()  # type: ignore[attr-defined]
    return blob


# --- whole files --------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
async def test_a_file_arrives_as_it_was(tmp_path: Path, size: int) -> None:
    file, folder = file_of(tmp_path, size), tmp_path / "in"
    folder.mkdir()
    async with pair() as (made, alice, bob):
        up: list[tuple[int, int]] = []
        down: list[tuple[int, int]] = []
        await alice.contact(bob.account).send_file(file, progress=lambda *at: up.append(at))
        attachment = await received(bob)
        assert (attachment.name, attachment.media) == ("notes.txt", "text/plain")
        assert attachment.size == size
        path = await attachment.save(folder, progress=lambda *at: down.append(at))
        assert path == folder / "notes.txt"
        assert path.read_bytes() == file.read_bytes()
        assert path.stat().st_mode & 0o777 == 0o600
        assert names(folder) == ["notes.txt"]
        for told in (up, down):
            assert told == sorted(told)
            assert told[-1] == (size, size)
        assert file.read_bytes()[:64] not in bytes(blob_of(made).data) or size < 2
        assert alice.state.files == {}


@pytest.mark.spec("14.5-6")
async def test_a_file_whose_message_is_deleted_is_gone_from_the_server(tmp_path: Path) -> None:
    """Broken by: dropping the write token when the upload is over."""
    file = file_of(tmp_path, 3 * CHUNK)
    async with pair() as (made, alice, bob):
        contact = alice.contact(bob.account)
        message = await contact.send_file(file)
        attachment = await received(bob)
        assert blob_of(made)
        await contact.delete(message)
        # Only the engine in memory is made here, and no request of the wire lists its blobs.
        await until(lambda: not made.engine._model.blobs._blobs)  # type: ignore[attr-defined]
        with pytest.raises(FileGone):
            await attachment.save(tmp_path)


async def test_a_file_goes_to_a_group_with_its_timer(tmp_path: Path) -> None:
    file = file_of(tmp_path, 3 * CHUNK)
    async with pair() as (made, alice, bob):
        group, _ = await group_of(alice, bob)
        await group.set_policy(timer=3600)
        sent = await group.send_file(file)
        await group.send_file(file, expires_after=60)
        messages = bob.messages()
        first, second = await anext(messages), await anext(messages)
        assert (first.id, first.expires_after, second.expires_after) == (sent, 3600, 60)
        assert first.text == f"[notes.txt, {3 * CHUNK} bytes]"
        paths = [await one.attachment.save(tmp_path) for one in (first, second) if one.attachment]
        assert [path.name for path in paths] == ["notes (2).txt", "notes (3).txt"]
        assert {path.read_bytes() for path in paths} == {file.read_bytes()}
        # The server cannot see that the two are the same.
        blobs = made.engine._model.blobs._blobs.values()  # type: ignore[attr-defined]
        assert len({bytes(blob.data[:32]) for blob in blobs}) == 2


@pytest.mark.spec("14.5-5")
async def test_messages_do_not_wait_for_files(tmp_path: Path) -> None:
    engine = Odd()
    engine.pause = 0.02
    file = file_of(tmp_path, 60 * CHUNK)
    async with pair(engine) as (_, alice, bob), trio.open_nursery() as nursery:
        contact = alice.contact(bob.account)
        nursery.start_soon(contact.send_file, file)
        await until(lambda: bool(puts_of(engine)))
        await contact.send("before the file")
        assert (await anext(bob.messages())).text == "before the file"
        assert not any(isinstance(each, BlobSeal) for each in engine.asked)
        nursery.cancel_scope.cancel()


# --- breaks -------------------------------------------------------------------------------------


@pytest.mark.spec("14.5-1")
@pytest.mark.spec("14.6-2")
async def test_broken_connections_are_gone_on_from(tmp_path: Path) -> None:
    engine = Odd()
    file, folder = file_of(tmp_path, 12 * CHUNK), tmp_path / "in"
    folder.mkdir()
    async with pair(engine) as (made, alice, bob):
        broken: set[int] = set()

        def cut(request: BlobRequest, reply: Reply) -> Reply:
            """At three places on the way out and in, the answer is the last of its connection."""
            place = getattr(request, "offset", 0) // SEALED_CHUNK_BYTES
            kind = place + 100 * isinstance(reply, BlobPart)
            if place in (0, 5, 11) and kind not in broken:
                broken.add(kind)
                made.nursery.start_soon(made.cut)
            return reply

        engine.then = cut
        await alice.contact(bob.account).send_file(file)
        path = await (await received(bob)).save(folder)
        assert path.read_bytes() == file.read_bytes()
        assert len(broken) == 6
        assert names(folder) == ["notes.txt"]
        puts = [each.offset for each in engine.asked if isinstance(each, BlobPut)]
        assert len(puts) < 12 + 3 * 12  # not from the beginning each time


@pytest.mark.spec("14.5-1")
async def test_a_restarted_sender_goes_on(tmp_path: Path) -> None:
    """As after a kill: the row is there, its task is not, and no cancellation took it back."""
    engine = Odd()
    file = file_of(tmp_path, 12 * CHUNK)
    with trio.fail_after(60):
        async with world() as made:
            made.server.hub.engine = engine  # type: ignore[union-attr]  # it is on
            async with made.node("bob") as bob:
                async with made.node("alice") as alice:
                    await alice.import_card(bob.card)
                    message = MessageId(alice.entropy(16))
                    offer = offer_of(file)
                    engine.pause = 0.01
                    await alice.core.do(
                        partial(device.offer_file, message=message, to=bob.account, offer=offer)
                    )
                    await until(lambda: any(each.offset for each in puts_of(engine)))
                assert message in alice.state.files
                before = len(puts_of(engine))
                engine.pause = 0
                async with made.node("alice") as alice:
                    arrived = await anext(bob.messages())
                    assert arrived.id == message
                    assert arrived.attachment is not None
                    path = await arrived.attachment.save(tmp_path)
                    assert path.read_bytes() == file.read_bytes()
                    assert puts_of(engine)[before].offset > 0
                    assert alice.state.files == {}


def offer_of(file: Path) -> Offer:
    found = file.stat()
    return Offer(os.fsencode(file), found.st_size, found.st_mtime_ns, found.st_ino, "a", "")


def move_away(file: Path, *, put_back: bool) -> None:
    kept = file.with_name("kept")
    file.rename(kept)
    if put_back:
        file.write_bytes(kept.read_bytes())


def puts_of(engine: Odd) -> list[BlobPut]:
    return [each for each in engine.asked if isinstance(each, BlobPut)]


@pytest.mark.spec("14.5-1")
async def test_what_the_server_lost_is_put_again(tmp_path: Path) -> None:
    """A crash of the server took acknowledged bytes back, in the middle of a chunk even."""
    engine = Odd()
    file = file_of(tmp_path, 12 * CHUNK)
    async with pair(engine) as (made, alice, bob):
        lost: list[int] = []

        def crash(request: BlobRequest, reply: Reply) -> Reply:
            if isinstance(reply, BlobHeld) and reply.held > 6 * SEALED_CHUNK_BYTES and not lost:
                blob = blob_of(made)
                lost.append(len(blob.data))
                del blob.data[3 * SEALED_CHUNK_BYTES + 1000 :]
                made.nursery.start_soon(made.cut)
            return reply

        engine.then = crash
        await alice.contact(bob.account).send_file(file)
        path = await (await received(bob)).save(tmp_path)
        assert path.read_bytes() == file.read_bytes()
        assert any(each.offset == 3 * SEALED_CHUNK_BYTES + 1000 for each in puts_of(engine))


@pytest.mark.spec("14.5-1")
async def test_a_blob_that_went_while_it_was_written_is_begun_again(tmp_path: Path) -> None:
    engine = Odd()
    file = file_of(tmp_path, 8 * CHUNK)
    async with pair(engine) as (made, alice, bob):
        gone: list[bool] = []

        def forget(request: BlobRequest, reply: Reply) -> Reply:
            if isinstance(request, BlobPut) and request.offset > 3 * CHUNK and not gone:
                gone.append(True)
                made.engine._model.blobs._blobs.clear()  # type: ignore[attr-defined]
            return reply

        engine.then = forget
        await alice.contact(bob.account).send_file(file)
        path = await (await received(bob)).save(tmp_path)
        assert path.read_bytes() == file.read_bytes()
        assert gone


@pytest.mark.spec("14.5-4")
async def test_progress_is_what_the_server_acknowledged(tmp_path: Path) -> None:
    engine = Odd()
    file = file_of(tmp_path, 20 * CHUNK)
    held = [0]

    def count(_: BlobRequest, reply: Reply) -> Reply:
        if isinstance(reply, BlobHeld):
            held[0] = reply.held // SEALED_CHUNK_BYTES * CHUNK
        return reply

    engine.then = count
    async with pair(engine) as (_, alice, bob):
        told: list[int] = []

        def progress(done: int, size: int) -> None:
            assert done <= held[0] or done == size
            told.append(done)

        await alice.contact(bob.account).send_file(file, progress=progress)
        assert told == sorted(set(told))
        assert len(told) > 3


async def test_a_server_that_is_full_for_a_while_is_waited_for(tmp_path: Path) -> None:
    engine = Odd()
    refused: list[int] = []

    def full(request: BlobRequest, reply: Reply) -> Reply:
        if isinstance(request, BlobPut) and len(refused) < 2:
            refused.append(request.offset)
            made_blobs = engine._model.blobs._blobs
            for blob in made_blobs.values():
                blob.data.clear()
            return Refused(Code.UNAVAILABLE, 1000)
        return reply

    engine.then = full
    async with pair(engine) as (_, alice, bob):
        file = file_of(tmp_path, 2 * CHUNK)
        await alice.contact(bob.account).send_file(file)
        path = await (await received(bob)).save(tmp_path)
        assert path.read_bytes() == file.read_bytes()


@pytest.mark.parametrize(
    ("limits", "reason"),
    [(Limits(blob_bytes=1000), "too_big"), (Limits(blob_space=0), "quota")],
)
async def test_a_server_that_never_takes_it_ends_the_upload(
    tmp_path: Path, limits: Limits, reason: str
) -> None:
    async with pair(Odd(limits)) as (_, alice, bob):
        events = alice.events()
        with pytest.raises(ServerRefused, match=reason):
            await alice.contact(bob.account).send_file(file_of(tmp_path, 2000))
        assert alice.state.files == {}
        told = (await seen(events, FileNotSent))[-1]
        assert isinstance(told, FileNotSent)
        assert told.code == "server-refused"


async def test_a_server_that_forgets_what_it_said_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("groupcrypt.node.sending.ASK_AGAIN", 0.01)
    engine = Odd()

    def forget(request: BlobRequest, reply: Reply) -> Reply:
        if not isinstance(request, BlobPut):
            return reply
        for blob in engine._model.blobs._blobs.values():
            blob.data.clear()
        return Refused(Code.CONFLICT, 0)

    engine.then = forget
    async with pair(engine) as (_, alice, bob):
        with pytest.raises(ServerRefused, match="conflict"):
            await alice.contact(bob.account).send_file(file_of(tmp_path, 2000))


# --- the sender's file --------------------------------------------------------------------------


@pytest.mark.spec("14.5-3")
@pytest.mark.parametrize("change", ["grows", "shrinks", "other bytes", "replaced", "gone"])
async def test_a_file_that_changes_is_not_sent(tmp_path: Path, change: str) -> None:
    engine = Odd()
    file = file_of(tmp_path, 12 * CHUNK)
    async with pair(engine) as (_, alice, bob):
        done: list[bool] = []

        def touch(request: BlobRequest, reply: Reply) -> Reply:
            if isinstance(request, BlobPut) and not done:
                done.append(True)
                match change:
                    case "grows":
                        with file.open("ab") as opened:
                            opened.write(b"more")
                    case "shrinks":
                        os.truncate(file, CHUNK)
                    case "other bytes":
                        with file.open("r+b") as opened:
                            opened.write(b"other")
                    case _:
                        pass
            return reply

        engine.then = touch
        if change in ("replaced", "gone"):
            await replaced(alice, bob, file, put_back=change == "replaced")
        else:
            with pytest.raises(FileChanged):
                await alice.contact(bob.account).send_file(file)
        assert alice.state.files == {}
        await alice.contact(bob.account).send("nothing before this")
        assert (await anext(bob.messages())).text == "nothing before this"


async def replaced(alice: Node, bob: Node, file: Path, *, put_back: bool) -> None:
    """The path is another file, or none, when an upload is gone on with."""
    offer = offer_of(file)
    move_away(file, put_back=put_back)
    events = alice.events()
    message = MessageId(bytes(16))
    await alice.core.do(partial(device.offer_file, message=message, to=bob.account, offer=offer))
    told = (await seen(events, FileNotSent))[-1]
    assert isinstance(told, FileNotSent)
    assert told.code == ("file-changed" if put_back else "file-unusable")


async def test_what_cannot_be_sent_is_refused_at_once(tmp_path: Path) -> None:
    async with pair() as (_, alice, bob):
        contact = alice.contact(bob.account)
        for path in (tmp_path / "nothing", tmp_path):
            with pytest.raises(FileUnusable):
                await contact.send_file(path)
        huge = tmp_path / "huge"
        with huge.open("wb") as file:
            file.truncate(2**31 + 1)
        with pytest.raises(ContentTooLarge):
            await contact.send_file(huge)
        group, _ = await group_of(alice, bob)
        theirs = bob.group(group.id)
        await group.remove(alice.contact(bob.account))
        await bob.core.until(lambda: None if theirs.member else True)
        with pytest.raises(NotAMember):
            await theirs.send_file(file_of(tmp_path, 10))
        assert alice.state.files == bob.state.files == {}


@pytest.mark.spec("14.5-2")
async def test_who_is_removed_while_uploading_sends_no_message(tmp_path: Path) -> None:
    engine = Odd()
    async with pair(engine) as (_, alice, bob):
        group, theirs = await group_of(alice, bob)
        engine.pause = 0.05
        failed: list[GroupcryptError] = []

        async def send() -> None:
            try:
                await theirs.send_file(file_of(tmp_path, 12 * CHUNK))
            except GroupcryptError as error:
                failed.append(error)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            await bob.core.until(lambda: True if bob.state.files else None)
            await group.remove(alice.contact(bob.account))
            await bob.core.until(lambda: None if theirs.member else True)
            engine.pause = 0
        assert [type(error) for error in failed] == [NotAMember]
        assert bob.state.files == {}


async def test_a_cancelled_upload_is_taken_back(tmp_path: Path) -> None:
    engine = Odd()
    engine.pause = 0.02
    async with pair(engine) as (made, alice, bob):
        contact = alice.contact(bob.account)
        with trio.move_on_after(0.3) as scope:
            await contact.send_file(file_of(tmp_path, 60 * CHUNK))
        assert scope.cancelled_caught
        assert alice.state.files == {}
        engine.pause = 0
        await contact.send("instead")
        assert (await anext(bob.messages())).text == "instead"
        # Only the engine in memory is made here, and no request of the wire lists its blobs.
        await until(lambda: not made.engine._model.blobs._blobs)  # type: ignore[attr-defined]


async def test_a_progress_that_raises_ends_the_upload_and_nothing_else(tmp_path: Path) -> None:
    async with pair() as (_, alice, bob):
        contact = alice.contact(bob.account)

        def stop(done: int, _: int) -> None:
            if done:
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await contact.send_file(file_of(tmp_path, 30 * CHUNK), progress=stop)
        assert alice.state.files == {}
        await contact.send("alive")
        assert (await anext(bob.messages())).text == "alive"


# --- a server that lies -------------------------------------------------------------------------

LIES: dict[str, Callable[[BlobPart], BlobPart]] = {
    "another bit": lambda part: replace(part, data=bytes((part.data[0] ^ 1,)) + part.data[1:]),
    "a part cut short": lambda part: replace(part, data=part.data[:-1]),
    "nothing": lambda part: replace(part, data=b""),
    "a shorter file": lambda part: replace(part, length=part.length - 1),
    "a longer file": lambda part: replace(part, length=part.length + SEALED_CHUNK_BYTES),
}


@pytest.mark.spec("14.6-1")
@pytest.mark.parametrize("lie", LIES)
async def test_what_a_server_alters_is_refused_and_leaves_nothing(tmp_path: Path, lie: str) -> None:
    engine = Odd()
    folder = tmp_path / "in"
    folder.mkdir()
    async with pair(engine) as (_, alice, bob):
        await alice.contact(bob.account).send_file(file_of(tmp_path, 8 * CHUNK))
        attachment = await received(bob)
        engine.then = lambda request, reply: (
            LIES[lie](reply)
            if isinstance(reply, BlobPart) and getattr(request, "offset", 0) > 4 * CHUNK
            else reply
        )
        with pytest.raises((AuthenticationFailed, MalformedFrame, FileGone)):
            await attachment.save(folder)
        assert names(folder) == []


@pytest.mark.spec("14.6-1")
async def test_chunks_that_a_server_moves_or_repeats_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    async with pair() as (made, alice, bob):
        await alice.contact(bob.account).send_file(file_of(tmp_path, 4 * CHUNK))
        attachment = await received(bob)
        data, size = blob_of(made).data, SEALED_CHUNK_BYTES
        good = bytes(data)
        for first, second in ((0, 1), (2, 1)):
            data[:] = good
            data[first * size :][:size], data[second * size :][:size] = b"", b""
            data[first * size : first * size + size] = good[second * size : second * size + size]
            with pytest.raises(AuthenticationFailed):
                await attachment.save(folder)
            assert names(folder) == []
        data[:] = good
        await attachment.save(folder)


@pytest.mark.spec("14.6-1")
async def test_a_file_that_a_fellow_member_forged_is_never_shown(tmp_path: Path) -> None:
    """Who has the key can seal other chunks and put them in the place of the sender's."""
    folder = tmp_path / "in"
    folder.mkdir()
    async with pair() as (made, alice, bob):
        file = file_of(tmp_path, 4 * CHUNK)
        await alice.contact(bob.account).send_file(file)
        attachment = await received(bob)
        forged = forge(attachment.content, os.urandom(4 * CHUNK))
        good = bytes(blob_of(made).data)
        blob_of(made).data[:] = forged
        with pytest.raises(AuthenticationFailed):
            await attachment.save(folder)
        assert names(folder) == []
        blob_of(made).data[:] = good
        assert (await attachment.save(folder)).read_bytes() == file.read_bytes()


def forge(content: AttachmentContent, data: bytes) -> bytes:
    from groupcrypt.protocol.attachment import seal_chunk  # noqa: PLC0415  # the attacker's

    file = content.file
    return b"".join(
        seal_chunk(file, n, data[n * CHUNK :][: file.layout.data(n)])
        for n in range(file.layout.chunks)
    )


@pytest.mark.spec("14.6-3")
async def test_a_file_that_the_server_has_no_more_is_gone(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    async with pair() as (made, alice, bob):
        await alice.contact(bob.account).send_file(file_of(tmp_path, CHUNK))
        attachment = await received(bob)
        made.engine._model.blobs._blobs.clear()  # type: ignore[attr-defined]
        with pytest.raises(FileGone):
            await attachment.save(folder)
        assert names(folder) == []


# --- the receiver's folder ----------------------------------------------------------------------


@pytest.mark.spec("14.7-3")
async def test_a_cancelled_fetch_leaves_nothing(tmp_path: Path) -> None:
    engine = Odd()
    folder = tmp_path / "in"
    folder.mkdir()
    async with pair(engine) as (_, alice, bob):
        await alice.contact(bob.account).send_file(file_of(tmp_path, 30 * CHUNK))
        attachment = await received(bob)
        engine.pause = 0.05
        with trio.CancelScope() as scope:

            def look(done: int, _: int) -> None:
                (there,) = folder.iterdir()
                assert there.name.endswith(".part")  # nothing has its name yet
                assert there.stat().st_mode & 0o777 == 0o600
                if done > 2 * CHUNK:
                    scope.cancel()

            await attachment.save(folder, progress=look)
        assert scope.cancelled_caught
        assert names(folder) == []


@pytest.mark.spec("14.6-2")
@pytest.mark.parametrize("damaged", [False, True])
async def test_what_a_killed_process_left_is_taken_up(tmp_path: Path, *, damaged: bool) -> None:
    engine = Odd()
    folder = tmp_path / "in"
    folder.mkdir()
    async with pair(engine) as (_, alice, bob):
        file = file_of(tmp_path, 10 * CHUNK)
        await alice.contact(bob.account).send_file(file)
        attachment = await received(bob)
        kept: list[bytes] = []

        def keep(done: int, _: int) -> None:
            if done >= 4 * CHUNK and not kept:
                (there,) = folder.iterdir()
                kept.append(there.name.encode() + b"/" + there.read_bytes()[: 4 * CHUNK + 99])

        await attachment.save(folder, progress=keep)
        (folder / "notes.txt").unlink()
        name, _, left = kept[0].partition(b"/")
        if damaged:
            left = b"\0" + left[1:]
        (folder / name.decode()).write_bytes(left)
        engine.asked.clear()
        path = await attachment.save(folder)
        assert path.read_bytes() == file.read_bytes()
        assert names(folder) == ["notes.txt"]
        places = [each.offset for each in engine.asked]  # type: ignore[union-attr]  # only such were asked
        assert min(places) == (0 if damaged else 4 * SEALED_CHUNK_BYTES)


async def test_two_fetch_one_file_into_one_folder(tmp_path: Path) -> None:
    engine = Odd()
    folder = tmp_path / "in"
    folder.mkdir()
    async with pair(engine) as (_, alice, bob):
        file = file_of(tmp_path, 5 * CHUNK)
        await alice.contact(bob.account).send_file(file)
        attachment = await received(bob)
        engine.pause = 0.02
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(attachment.save, folder)
        assert names(folder) == ["notes (2).txt", "notes (3).txt", "notes.txt"]
        assert {path.read_bytes() for path in folder.iterdir()} == {file.read_bytes()}


@pytest.mark.spec("14.7-3")
async def test_a_disk_that_refuses_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    async with pair() as (_, alice, bob):
        await alice.contact(bob.account).send_file(file_of(tmp_path, 8 * CHUNK))
        attachment = await received(bob)
        write = os.pwrite

        def full(descriptor: int, data: bytes, place: int) -> int:
            if place > 3 * CHUNK:
                raise OSError(errno.ENOSPC, "No space left on device")
            return write(descriptor, data, place)

        with monkeypatch.context() as patch:
            patch.setattr(os, "pwrite", full)
            with pytest.raises(FileUnusable, match="No space left"):
                await attachment.save(folder)
        assert names(folder) == []
        with pytest.raises(FileUnusable):
            await attachment.save(tmp_path / "no such folder")
        await attachment.save(folder)


@pytest.mark.spec("14.7-2")
def test_a_name_that_is_taken_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("mine")
    (tmp_path / "a (2).txt").symlink_to(tmp_path / "elsewhere")
    into = PartialFile.open(tmp_path, "mark")
    into.write(0, b"theirs")
    assert into.finish("../a.txt") == tmp_path / "a (3).txt"
    into.close()
    assert (tmp_path / "a.txt").read_text() == "mine"
    assert names(tmp_path) == ["a (2).txt", "a (3).txt", "a.txt"]


@pytest.mark.spec("14.7-2")
def test_a_disk_without_second_names_is_written_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    (tmp_path / "a.txt").write_text("mine")
    into = PartialFile.open(tmp_path, "mark")
    into.write(0, b"theirs")
    path = into.finish("a.txt")
    into.close()
    assert path.name == "a (2).txt"
    assert path.read_bytes() == b"theirs"
    assert names(tmp_path) == ["a (2).txt", "a.txt"]


@pytest.mark.spec("14.7-3")
@pytest.mark.parametrize("kind", ["link", "folder", "hard link"])
def test_a_trap_at_the_temporary_name_is_stepped_around(tmp_path: Path, kind: str) -> None:
    trap, victim = tmp_path / ".mark.part", tmp_path / "victim"
    victim.write_text("mine")
    match kind:
        case "link":
            trap.symlink_to(victim)
        case "folder":
            trap.mkdir()
        case _:
            trap.hardlink_to(victim)
    into = PartialFile.open(tmp_path, "mark")
    into.write(0, b"theirs")
    into.finish("a.txt")
    into.close()
    assert victim.read_text() == "mine"
    assert (tmp_path / "a.txt").read_bytes() == b"theirs"
    assert os.path.lexists(trap)


async def test_an_attachment_tells_nothing_of_itself(tmp_path: Path) -> None:
    async with pair() as (_, alice, bob):
        await alice.contact(bob.account).send_file(file_of(tmp_path, 10, "secret plan.txt"))
        message = await anext(bob.messages())
        assert isinstance(message, Message)
        shown = repr((message, message.attachment, message.content, alice.describe()))
        assert "secret" not in shown
        assert message.attachment is not None
        assert message.attachment.content.key.hex() not in shown
