"""Files on their way, as the device keeps them (spec 14.5)."""

import pytest

from groupcrypt.errors import (
    ContentTooLarge,
    LocalError,
    NotPermitted,
    UnknownDevice,
)
from groupcrypt.protocol import device, limits
from groupcrypt.protocol.attachment import AttachmentContent, FileKey, check_attachment, seal_chunk
from groupcrypt.protocol.broadcast import BlobDrop, read_request, token_hash
from groupcrypt.protocol.content import DeleteContent, read_content
from groupcrypt.protocol.device import Offer
from groupcrypt.protocol.device.files import BLOB_SECONDS
from groupcrypt.protocol.device.records import diff
from groupcrypt.protocol.device.state import DeviceState, Step
from groupcrypt.protocol.events import FileNotSent
from groupcrypt.protocol.identifiers import AccountId, GroupId, MessageId
from groupcrypt.testing.entropy import SeededEntropy

NOW = 1_800_000_000.0
ENTROPY = SeededEntropy(14)
MESSAGE = MessageId(b"m" * 16)
OFFER = Offer(b"/somewhere/file", 5, 77, 3, "file", "text/plain", b"tiny", 60)


def fresh() -> tuple[DeviceState, GroupId]:
    state = device.create("alice", "memory:1", bytes(32), now=NOW, entropy=ENTROPY).state
    step = device.create_group(state, "climbers", now=NOW, entropy=ENTROPY)
    (group,) = step.state.groups
    return step.state, group


def offered(
    state: DeviceState, to: GroupId | AccountId, message: MessageId = MESSAGE, offer: Offer = OFFER
) -> Step:
    return device.offer_file(state, message, to, offer, now=NOW, entropy=ENTROPY)


@pytest.mark.spec("14.5-2")
def test_the_message_is_taken_in_the_step_that_ends_the_upload() -> None:
    state, group = fresh()
    before = offered(state, group)
    row = before.state.files[MESSAGE]
    assert MESSAGE not in before.state.groups[group].unsettled
    assert device.load({k: v for k, v in diff(None, before.state).items() if v is not None}) == (
        before.state
    )
    file = FileKey(row.key, 5)
    tags = [seal_chunk(file, 0, b"bytes")[:32]]
    step = device.file_uploaded(before.state, MESSAGE, tags, now=NOW, entropy=ENTROPY)
    assert step.state.files == {}
    assert MESSAGE in step.state.groups[group].unsettled
    # One commit has both: the row that goes, and the message that comes.
    assert step.changes[b"f/" + MESSAGE] is None
    assert step.changes.items() >= diff(before.state, step.state).items()
    sent = step.state.groups[group].unsettled[MESSAGE]
    said = device_content(sent.content)
    assert (said.name, said.media, said.size, said.preview) == ("file", "text/plain", 5, b"tiny")
    assert said.write_hash == token_hash(row.write_token)
    assert row.write_token not in sent.content
    check_attachment(said, tags)


def device_content(raw: bytes) -> AttachmentContent:
    said = read_content(raw)
    assert said.expires == 60
    assert isinstance(said.content, AttachmentContent)
    return said.content


def test_a_file_given_up_is_told_once_and_leaves_no_key() -> None:
    state, group = fresh()
    state = offered(state, group).state
    step = device.give_up_file(state, MESSAGE, "file-changed", now=NOW, entropy=ENTROPY)
    assert step.changes == {b"f/" + MESSAGE: None}
    (event,) = step.events
    assert isinstance(event, FileNotSent)
    assert (event.message, event.code) == (MESSAGE, "file-changed")
    again = device.give_up_file(step.state, MESSAGE, "file-changed", now=NOW, entropy=ENTROPY)
    assert (again.changes, again.events) == ({}, ())
    with pytest.raises(LocalError):
        device.file_uploaded(step.state, MESSAGE, [bytes(32)], now=NOW, entropy=ENTROPY)


def test_every_file_has_a_key_and_a_token_of_its_own() -> None:
    state, group = fresh()
    state = offered(state, group).state
    state = offered(state, group, MessageId(b"n" * 16)).state
    secrets = [secret for row in state.files.values() for secret in (row.key, row.write_token)]
    assert len(set(secrets)) == 4


def test_what_no_message_could_be_sent_to_takes_no_file() -> None:
    state, group = fresh()
    for to, error in (
        (state.account, NotPermitted),
        (AccountId(bytes(32)), UnknownDevice),
    ):
        with pytest.raises(error):
            offered(state, to)
    with pytest.raises(ContentTooLarge):
        offered(state, group, offer=Offer(b"/f", limits.MAX_FILE_BYTES + 1, 0, 0, "f", ""))


def test_files_on_their_way_have_a_bound() -> None:
    state, group = fresh()
    for number in range(limits.MAX_OUTGOING_FILES):
        state = offered(state, group, MessageId(number.to_bytes(16, "big"))).state
    with pytest.raises(LocalError, match="wait"):
        offered(state, group)


@pytest.mark.spec("14.5-6")
def test_who_deletes_an_own_file_asks_the_server_to_drop_it() -> None:
    """Broken by: forgetting the write token with the upload; dropping the files of others."""
    state, group = fresh()
    state = offered(state, group).state
    row = state.files[MESSAGE]
    tags = [seal_chunk(FileKey(row.key, 5), 0, b"bytes")[:32]]
    state = device.file_uploaded(state, MESSAGE, tags, now=NOW, entropy=ENTROPY).state
    assert device.load({k: v for k, v in diff(None, state).items() if v is not None}) == state
    for message, dropped in ((MessageId(b"x" * 16), 0), (MESSAGE, 1), (MESSAGE, 1)):
        deletion, name = DeleteContent(message), MessageId(ENTROPY(16))
        state = device.send(state, group, name, deletion, now=NOW, entropy=ENTROPY).state
        requests = [read_request(row.request)[1] for row in state.outbox.values()]
        drops = [one for one in requests if isinstance(one, BlobDrop)]
        read_hash = token_hash(FileKey(row.key, 5).read_token)
        assert drops == [BlobDrop(row.write_token, read_hash)] * dropped
    assert state.sent_files == {}


@pytest.mark.spec("14.5-6")
def test_what_takes_a_file_back_is_kept_as_long_as_the_server_keeps_it() -> None:
    state, group = fresh()
    for number in range(2):
        message, later = MessageId(bytes([number]) * 16), NOW + number * (BLOB_SECONDS + 1)
        state = offered(state, group, message).state
        tags = [seal_chunk(FileKey(state.files[message].key, 5), 0, b"bytes")[:32]]
        state = device.file_uploaded(state, message, tags, now=later, entropy=ENTROPY).state
    assert list(state.sent_files) == [MessageId(bytes([1]) * 16)]
