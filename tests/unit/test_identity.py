"""Chapter 02: certificates, device lists, slots, cards, safety numbers."""

import unicodedata
from dataclasses import replace

import pytest

from groupcrypt.errors import (
    AuthenticationFailed,
    Duplicate,
    InvalidCard,
    MalformedFrame,
    NotAllowed,
    NotPermitted,
    RosterFork,
    StaleEpoch,
    TooFarAhead,
)
from groupcrypt.protocol import identity, limits
from groupcrypt.protocol.identifiers import short
from groupcrypt.protocol.identity import AccountRecord, Card, DeviceEntry, LocalIdentity
from groupcrypt.protocol.identity.device_lists import DeviceListBody, SignedDeviceList
from groupcrypt.protocol.primitives import ZERO32, digest
from groupcrypt.protocol.wire import decode, encode
from groupcrypt.testing.entropy import SeededEntropy
from groupcrypt.testing.person import make_device, make_person, with_devices
from groupcrypt.testing.vectors import ch02_identity

BAD = {one["name"]: one for one in ch02_identity.generate()[1]}
ENTROPY = SeededEntropy(b"test identity")
ALICE = make_person(ENTROPY, devices=2)
BOB = make_person(ENTROPY)
CARD = Card(ALICE.account, "localhost:7000", bytes(32), b"n" * 32, b"k" * 32)


def bad(section: str, *, expect: str | None = None) -> list[str]:
    found = [
        n for n, one in BAD.items() if one["spec"] == section and expect in (None, one["expect"])
    ]
    assert found
    return found


# --- certificates ---------------------------------------------------------------------------


@pytest.mark.spec("02.2-1", "02.2-2", "02.2-3", "02.2-4")
@pytest.mark.parametrize("name", bad("02.2"))
def test_s18_certificates_that_must_be_refused(name: str) -> None:
    ch02_identity.check(BAD[name])


@pytest.mark.spec("02.2-2")
def test_s19_every_part_of_a_certificate_is_signed() -> None:
    mine, other = ALICE.phone.certificate, BOB.phone.certificate
    for field in ("account", "signing", "dh", "account_signature", "device_signature"):
        mixed = replace(mine, **{field: getattr(other, field)})
        with pytest.raises(AuthenticationFailed):
            identity.check_certificate(mixed)


def test_a_local_identity_comes_back_and_shows_nothing() -> None:
    phone = ALICE.phone
    assert decode(LocalIdentity, encode(phone)) == phone
    assert phone.device == phone.certificate.device
    assert phone.account == ALICE.account
    assert phone.signing.to_bytes().hex() not in repr(phone)
    assert short(phone.device) == phone.device.hex()[:8]


def test_the_device_id_is_the_hash_of_its_keys() -> None:
    certificate = ALICE.phone.certificate
    keys = (certificate.account, certificate.signing, certificate.dh)
    assert certificate.device == digest("device id", *keys)[:16]


# --- device lists ---------------------------------------------------------------------------


@pytest.mark.spec("02.3-1", "02.3-2", "02.3-3", "02.3-4", "02.3-5")
@pytest.mark.parametrize("name", bad("02.3"))
def test_s17_s18_lists_that_must_be_refused(name: str) -> None:
    ch02_identity.check(BAD[name])


@pytest.mark.spec("02.3-3")
def test_an_account_has_at_most_eight_devices() -> None:
    devices = [make_device(ALICE.key, ENTROPY) for _ in range(9)]
    eight = identity.make_device_list(ALICE.key, None, [each.certificate for each in devices[:8]])
    assert len(eight.raw) < limits.MAX_DEVICE_LIST_BYTES
    with pytest.raises(MalformedFrame):
        identity.make_device_list(ALICE.key, None, [each.certificate for each in devices])


@pytest.mark.spec("02.3-5")
def test_s17_an_older_list_never_replaces_a_newer_one() -> None:
    versions = [ALICE]
    for _ in range(40):
        versions.append(with_devices(versions[-1], *ALICE.devices))
    lists = [each.listed for each in versions]
    for held in (0, 1, 20, 40):
        for shown in range(41):
            if held < shown <= held + limits.MAX_LIST_ANCESTORS:
                identity.check_succession(lists[held], lists[shown])
                continue
            with pytest.raises((Duplicate, StaleEpoch) if shown <= held else TooFarAhead):
                identity.check_succession(lists[held], lists[shown])
    assert len(lists[-1].raw) < limits.MAX_DEVICE_LIST_BYTES


@pytest.mark.spec("02.3-5")
def test_a_fork_is_seen_wherever_the_histories_differ() -> None:
    left = with_devices(ALICE, ALICE.devices[0])
    right = with_devices(ALICE, ALICE.devices[1])
    later = with_devices(right, ALICE.devices[1])
    for held, shown in ((left, right), (left, later), (later, left)):
        with pytest.raises(RosterFork):
            identity.check_succession(held.listed, shown.listed)


def test_two_first_lists_of_one_account_are_a_fork() -> None:
    other = identity.make_device_list(
        ALICE.key, None, [make_device(ALICE.key, ENTROPY).certificate]
    )
    assert other.version == ALICE.listed.version == 1
    with pytest.raises(RosterFork):
        identity.check_succession(ALICE.listed, other)


def test_a_fork_hidden_behind_the_held_list_is_seen_too() -> None:
    """The account signs a list whose direct predecessor is right and whose older history is not."""
    second = with_devices(ALICE, *ALICE.devices)
    third = with_devices(second, *ALICE.devices)
    body = decode(DeviceListBody, decode(SignedDeviceList, third.listed.raw).body)
    forged = encode(replace(body, ancestors=(body.ancestors[0], ZERO32)))
    raw = encode(SignedDeviceList(forged, ALICE.key.sign("device list", forged)))
    with pytest.raises(RosterFork):
        identity.check_succession(second.listed, identity.read_device_list(raw))


def test_a_list_answers_for_its_own_history() -> None:
    second = with_devices(ALICE, *ALICE.devices).listed
    assert second.hash_at(2) == second.hash
    assert second.hash_at(1) == ALICE.listed.hash == second.previous
    assert second.hash_at(0) is None
    assert second.hash_at(3) is None
    assert ALICE.listed.previous == ZERO32


def test_a_list_that_adds_and_drops_is_not_made() -> None:
    with pytest.raises(NotPermitted):
        with_devices(ALICE, ALICE.phone, make_device(ALICE.key, ENTROPY))


def test_a_stored_list_is_read_without_its_signatures() -> None:
    raw = ALICE.listed.raw[:-1] + bytes((ALICE.listed.raw[-1] ^ 1,))
    with pytest.raises(AuthenticationFailed):
        identity.read_device_list(raw)
    assert identity.stored_device_list(raw).hash == ALICE.listed.hash


# --- slots ----------------------------------------------------------------------------------


@pytest.mark.spec("02.4-1", "02.4-2")
@pytest.mark.parametrize("name", bad("02.4"))
def test_slots_that_must_be_refused(name: str) -> None:
    ch02_identity.check(BAD[name])


@pytest.mark.spec("02.4-2")
def test_every_bit_of_a_sealed_slot_counts() -> None:
    sealed = identity.seal_slot(CARD.slot_key, b"value", ENTROPY)
    assert identity.open_slot(CARD.slot_key, sealed) == b"value"
    for bit in range(8, 8 * len(sealed)):
        changed = bytearray(sealed)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(AuthenticationFailed):
            identity.open_slot(CARD.slot_key, bytes(changed))


@pytest.mark.spec("02.4-2")
def test_a_slot_value_has_its_salt_and_fits_a_record() -> None:
    raw = b"\1" + ENTROPY(limits.MAX_RECORD_BYTES)
    for size, error in (
        (32, MalformedFrame),
        (33, AuthenticationFailed),
        (limits.MAX_RECORD_BYTES, AuthenticationFailed),
        (limits.MAX_RECORD_BYTES + 1, MalformedFrame),
    ):
        with pytest.raises(error):
            identity.open_slot(CARD.slot_key, raw[:size])


@pytest.mark.spec("02.4-1")
def test_a_record_may_lack_the_slot_of_a_device() -> None:
    entry = DeviceEntry(ALICE.phone.device, bytes(32), bytes(32))
    raw = encode(AccountRecord(ALICE.listed.raw, (entry,), "Alice"))
    record, listed = identity.read_account_record(raw)
    assert (record.devices, listed) == ((entry,), ALICE.listed)


# --- cards ----------------------------------------------------------------------------------


@pytest.mark.spec("02.5-2")
@pytest.mark.parametrize("name", bad("02.5"))
def test_cards_that_must_be_refused(name: str) -> None:
    ch02_identity.check(BAD[name])


@pytest.mark.spec("02.5-2")
@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("hello", "begins with"),
        ("groupcrypt:2:AAAA", "another version"),
        ("groupcrypt:1:AA*A", "characters"),
        (str(CARD)[:-4], "checksum"),
        (str(replace(CARD, server="host")), "host:port"),
        (str(replace(CARD, server="host:x")), "port"),
        (str(replace(CARD, server="host:07000")), "port"),
        (str(replace(CARD, server="host:0")), "port"),
        (str(replace(CARD, server="[::1:443")), "host:port"),
        (str(replace(CARD, server="::1]:443")), "host:port"),
    ],
)
def test_a_bad_card_says_what_is_wrong(text: str, says: str) -> None:
    with pytest.raises(InvalidCard, match=says):
        Card.parse(text)


@pytest.mark.spec("02.5-1")
def test_white_space_in_a_card_does_not_matter() -> None:
    text = str(CARD)
    for broken in (f"\n {text}\t", "\r\n> ".join((text[:60], text[60:])).replace("> ", "  ")):
        assert Card.parse(broken) == CARD
    assert Card.parse(" ".join(text)) == CARD


@pytest.mark.spec("02.5-2")
def test_no_single_changed_character_goes_unnoticed() -> None:
    text = str(CARD)
    for at in range(len(text)):
        for mark in "A9_:":
            if text[at] != mark:
                with pytest.raises(InvalidCard):
                    Card.parse(text[:at] + mark + text[at + 1 :])


@pytest.mark.spec("02.5-3")
def test_s19_a_list_of_another_account_is_seen_by_its_account() -> None:
    entry = DeviceEntry(BOB.phone.device, bytes(32), bytes(32))
    _, listed = identity.read_account_record(encode(AccountRecord(BOB.listed.raw, (entry,), "")))
    assert listed.account != CARD.account


@pytest.mark.parametrize("server", ["localhost:1", "10.0.0.1:65535", "[::1]:443", "X:7000"])
def test_servers_a_card_may_name(server: str) -> None:
    card = replace(CARD, server=server)
    assert Card.parse(str(card)) == card


# --- verification and display ---------------------------------------------------------------


@pytest.mark.spec("02.6-1")
def test_a_safety_number_is_the_same_on_both_sides() -> None:
    a, b = ALICE.listed, BOB.listed
    number = identity.safety_number(a, b)
    assert number == identity.safety_number(b, a)
    assert identity.verification_code(a, b) == identity.verification_code(b, a)
    groups = number.split(" ")
    assert [len(group) for group in groups] == [5] * 12
    assert number.replace(" ", "").isdigit()


@pytest.mark.spec("02.6-2")
def test_s69_a_changed_list_or_account_changes_the_number() -> None:
    changed = [with_devices(ALICE, *ALICE.devices), with_devices(ALICE, ALICE.phone)]
    changed.append(make_person(ENTROPY))
    lists = [ALICE.listed, *(person.listed for person in changed)]
    assert len({identity.safety_number(each, BOB.listed) for each in lists}) == 4
    assert len({identity.verification_code(each, BOB.listed) for each in lists}) == 4


@pytest.mark.spec("02.7-1")
def test_cleaning_is_for_display_and_leaves_the_value() -> None:
    name = "A\u202elice"
    record = AccountRecord(ALICE.listed.raw, (), name)
    read, _ = identity.read_account_record(encode(record))
    assert read.name == name
    assert identity.clean_text(read.name) == "Alice"


def test_cleaning_drops_what_could_forge_a_screen() -> None:
    assert identity.clean_text("a\x1b[31mb\x00\x7f\x9bc") == "a[31mbc"
    assert identity.clean_text("one\ntwo\tthree\r") == "one two three "
    assert identity.clean_text("\u202a\u2066\u200e\u061c\ufeffx\u2028\u2029") == "x"
    assert identity.clean_text("\U0001f468\u200d\U0001f469 \u0645\u06cc\u200c\u062e") == (
        "\U0001f468\u200d\U0001f469 \u0645\u06cc\u200c\u062e"
    )
    for point in range(0x110000):
        cleaned = identity.clean_text(chr(point))
        assert cleaned == "" or unicodedata.category(cleaned) not in ("Cc", "Cs", "Zl", "Zp")


@pytest.mark.spec("02.7-2")
@pytest.mark.parametrize("name", ["a\nb", "\x00", "a\x1b", "\x7f", "\x9b"])
def test_cw18_a_name_with_control_characters_is_refused(name: str) -> None:
    with pytest.raises(MalformedFrame):
        identity.check_name(name)
    assert identity.check_name("Zoë \u202e") == "Zoë \u202e"


@pytest.mark.parametrize("name", ["x" * 257, "é" * 129, "a\udcff"])
def test_a_name_that_could_not_be_read_again_is_refused(name: str) -> None:
    with pytest.raises(MalformedFrame):
        identity.check_name(name)
    assert identity.check_name("é" * 128)


def test_not_allowed_names_the_reason_only() -> None:
    with pytest.raises(NotAllowed) as raised:
        identity.check_succession(ALICE.listed, BOB.listed)
    assert ALICE.account.hex() not in str(raised.value)
