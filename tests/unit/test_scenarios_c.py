"""Part C of the scenarios: bad input to parsers and state machines, and which test shows it (16.1).

What tests elsewhere cover wholly stands in the table; what waits for later parts is in
spec/decisions/0043. Rows that need a whole device are in `test_scenarios_c_groups.py`.
"""

import random
from collections.abc import Iterator

import pytest

from groupcrypt.protocol import device
from groupcrypt.protocol.broadcast import TopicKind
from groupcrypt.protocol.sender_key import frame as frames
from groupcrypt.testing.hostile import Since, refused, talking, topic_of
from tests.scenario_table import complaints

IDS = (
    *(f"CW{number:02}" for number in range(1, 19)),
    "CW22",
    *(f"CK{number:02}" for number in (1, 2, 3, 4, 5, 6, 7, 8, 9, 11)),
    *(f"CD{number:02}" for number in (*range(1, 12), 16)),
    *(f"CG{number:02}" for number in (*range(1, 14), 18)),
    *(f"CM{number:02}" for number in (*range(1, 11), 13, 14)),
    *(f"CT{number:02}" for number in range(1, 10)),
    *(f"CN{number:02}" for number in (1, 2, 3, 4, 5, 8)),
)
FILES = ("unit/test_scenarios_c.py", "unit/test_scenarios_c_groups.py")
WIRE = ("unit/test_wire.py::test_cw01_to_cw18_malformed",)
OTHER = ("unit/test_wire.py::test_cw05_to_cw07_other_encodings_of_the_same_value",)
KEYS = ("unit/test_primitives.py::test_ck01_ck02_ck04_ck07_ck08_unacceptable_keys",)
SAID = "properties/test_promises_messages.py"
LETTERS = "unit/test_group_letters.py"
MESSAGES = "unit/test_group_messages.py"
MEMBERSHIP = "unit/test_membership.py"
RACES = "simulation/test_scenarios_members.py"
ORDER = "simulation/test_scenarios_order.py"
CRASHES = (
    "simulation/test_scenarios_lives.py::test_s62_s63_killed_at_every_step_nothing_is_used_twice_or_lost",
)
CONTINUES = (
    f"{MEMBERSHIP}::test_s03_s08_s46_s50_cm01_cm03_cm06_entries_that_do_not_continue",
    f"{ORDER}::test_s08_an_old_entry_is_not_taken_again",
)
COVERED = {
    **{f"CW{number:02}": WIRE for number in (1, 2, 3, 8, 9, 10, 11, 12, 13, 18)},
    **{f"CW{number:02}": OTHER for number in (5, 6, 7)},
    "CW04": ("unit/test_wire.py::test_cw04_every_proper_prefix_is_malformed",),
    "CW14": ("unit/test_wire.py::test_cw14_headers_that_promise_much_cost_nothing",),
    "CW15": ("unit/test_wire.py::test_cw15_depth_ends_in_an_error_on_a_small_stack_too",),
    "CW16": ("unit/test_wire.py::test_cw16_the_size_is_checked_before_anything_is_built",),
    "CW17": (
        "unit/test_wire.py::test_cw17_exactly_the_limit_is_accepted",
        "unit/test_framing.py::test_a_bad_length_is_refused_from_the_prefix",
    ),
    "CW22": (
        "unit/test_framing.py::test_one_byte_at_a_time_is_the_same_as_all_at_once",
        "unit/test_framing.py::test_every_cut_gives_the_same_payloads",
        "server/test_sessions.py::test_requests_cut_anywhere_are_answered_alike",
    ),
    "CK01": (
        *KEYS,
        "unit/test_handshake.py::test_ck01_low_order_points_are_bad_keys_wherever_they_stand",
        "unit/test_ratchet.py::test_ck01_ck02_a_low_order_or_non_canonical_ratchet_key_is_a_bad_key",
    ),
    "CK02": KEYS,
    "CK03": (
        "unit/test_primitives.py::test_ck03_keys_of_another_length",
        "unit/test_handshake.py::test_ck03_keys_of_another_length_are_malformed",
        "unit/test_ratchet.py::test_ck03_a_ratchet_key_of_another_length_is_malformed",
    ),
    "CK04": (
        "unit/test_primitives.py::test_ck04_all_fourteen_encodings_of_small_order_are_refused",
    ),
    "CK05": ("unit/test_primitives.py::test_ck05_ck06_unacceptable_signatures",),
    "CK06": ("unit/test_primitives.py::test_ck05_ck06_unacceptable_signatures",),
    "CK07": KEYS,
    "CK08": (*KEYS, "unit/test_handshake.py::test_ck08_an_unreduced_kem_key_is_a_bad_key"),
    "CK09": (
        "unit/test_primitives.py::test_ck09_a_flipped_ciphertext_gives_another_secret_and_no_error",
        "unit/test_handshake.py::test_cd07_ck09_a_first_message_that_does_not_open_consumes_nothing",
    ),
    "CK11": (
        "unit/test_handshake.py::test_ck11_a_base_key_equal_to_another_key_is_refused",
        "unit/test_handshake.py::test_ck11_a_one_time_key_equal_to_the_signed_one_is_refused_by_both",
    ),
    "CD01": (
        "unit/test_ratchet.py::test_cd01_every_flipped_bit_is_refused",
        "unit/test_pairwise.py::test_cd01_every_flipped_byte_of_an_envelope_is_refused",
    ),
    "CD02": (
        "unit/test_ratchet.py::test_cd02_a_replay_is_a_duplicate_for_as_long_as_the_channel_lives",
    ),
    "CD03": (
        "unit/test_ratchet.py::test_cd03_a_jump_at_the_limit_opens_and_one_beyond_derives_nothing",
        "unit/test_pairwise.py::test_cd03_a_session_that_lost_too_much_is_wedged",
    ),
    "CD04": ("unit/test_ratchet.py::test_cd04_the_oldest_keys_go_and_their_messages_are_expired",),
    "CD05": ("unit/test_ratchet.py::test_cd05_three_messages_of_two_steps_open_in_any_order",),
    "CD06": ("unit/test_ratchet.py::test_cd06_a_forged_step_changes_nothing",),
    "CD07": (
        "unit/test_handshake.py::test_cd07_ck09_a_first_message_that_does_not_open_consumes_nothing",
    ),
    "CD08": ("unit/test_handshake.py::test_cd08_a_start_is_accepted_once",),
    "CD09": (
        "unit/test_pairwise.py::test_a_certificate_other_than_the_sessions_is_refused",
        "unit/test_device.py::test_lists_only_grow_and_forks_pause",
    ),
    "CD10": ("unit/test_pairwise.py::test_cd10_crossing_starts_converge_whatever_is_lost",),
    "CD11": (
        "unit/test_handshake.py::test_cd11_a_device_does_not_start_with_itself",
        "unit/test_pairwise.py::test_cd11_an_envelope_from_the_device_itself_is_refused",
    ),
    "CD16": (
        "unit/test_ratchet.py::test_cd16_a_chain_or_a_channel_at_its_end_seals_nothing",
        "unit/test_pairwise.py::test_cd16_an_exhausted_channel_is_replaced",
    ),
    "CG01": (
        f"{MESSAGES}::test_held_frames_are_opened_in_the_topics_order",
        f"{MESSAGES}::test_held_frames_of_a_group_are_bounded",
    ),
    "CG02": (
        "simulation/test_scenarios_keys.py::test_s32_a_distribution_in_a_frame_makes_no_chain",
    ),
    "CG03": (
        "unit/test_sender_key.py::test_only_the_owner_distributes",
        f"{LETTERS}::test_a_chain_is_taken_from_its_owner_in_its_epoch_only",
    ),
    "CG04": (f"{LETTERS}::test_a_removed_or_foreign_device_gets_and_gives_nothing",),
    "CG05": ("unit/test_sender_key.py::test_a_held_chain_is_never_rewound_or_overwritten",),
    "CG06": ("unit/test_sender_key.py::test_a_held_chain_is_never_rewound_or_overwritten",),
    "CG07": (f"{MESSAGES}::test_frames_that_chapter_08_refuses_leave_nothing",),
    "CG08": (
        f"{SAID}::test_p6_a_fellow_member_cannot_speak_as_another",
        f"{SAID}::test_p6_a_frame_under_another_head_is_refused",
    ),
    "CG09": (f"{SAID}::test_p6_a_frame_of_another_epoch_or_group_is_refused",),
    "CG12": (f"{LETTERS}::test_chains_of_one_device_are_bounded",),
    "CM01": (
        f"{MEMBERSHIP}::test_s03_s08_s46_s50_cm01_cm03_cm06_entries_that_do_not_continue",
        "properties/test_promises_log.py::test_p4_a_server_adds_and_removes_nobody",
    ),
    "CM02": (f"{MEMBERSHIP}::test_s42_s72_cm02_what_only_admins_may",),
    "CM03": CONTINUES,
    "CM04": (
        f"{RACES}::test_s28_s46_two_admins_remove_each_other_and_the_first_wins",
        "unit/test_groups.py::test_who_lost_tries_again_with_another_secret",
    ),
    "CM05": (
        f"{ORDER}::test_s04_a_removal_withheld_from_one_member_comes_by_gossip",
        f"{ORDER}::test_s04_a_removal_withheld_from_the_removed_is_heard_when_it_asks",
    ),
    "CM06": CONTINUES,
    "CM08": (
        "simulation/test_scenarios_keys.py::test_s53_s54_a_joiner_reads_nothing_before_and_everything_after",
        "unit/test_sender_key.py::test_who_is_given_a_running_chain_reads_from_there_on",
    ),
    "CM10": (f"{MEMBERSHIP}::test_cm10_ops_and_data_that_are_none",),
    "CM13": (
        f"{MEMBERSHIP}::test_s43_cm13_one_admin_remains",
        f"{MEMBERSHIP}::test_cm13_leaves_that_must_be_refused",
    ),
    "CM14": CRASHES,
    "CT01": ("shell/test_store_crash.py::test_two_processes",),
    "CT02": (
        "shell/test_store_crash.py::test_a_killed_process_leaves_whole_commits_and_uses_no_number_twice",
        *CRASHES,
    ),
    "CT03": (
        "unit/test_store_opening.py::test_a_wrong_secret_is_told_from_damage",
        "unit/test_store_damage.py::test_one_flipped_byte_is_refused_or_harmless",
    ),
    "CT04": (
        "unit/test_store_opening.py::test_an_older_copy_shares_the_boot_and_not_the_nonce",
        "shell/test_node_store.py::test_an_older_copy_that_was_put_back_heals",
    ),
    "CT05": (
        "shell/test_store_crash.py::test_a_disk_that_takes_no_more",
        "unit/test_store_failures.py::test_a_full_disk_changes_nothing_and_the_store_goes_on",
    ),
    "CT06": ("shell/test_store_crash.py::test_a_forked_child_is_refused_and_harms_nothing",),
    "CT07": (
        "unit/test_store_erasure.py::test_a_purge_erases_replaced_and_deleted_rows",
        "unit/test_store_opening.py::test_no_key_and_no_value_is_ever_in_a_file",
    ),
    "CT08": ("unit/test_store_damage.py::test_a_newer_version_is_refused_unread",),
    "CT09": (
        "unit/test_store_damage.py::test_a_running_store_without_its_log_is_an_older_copy",
        "unit/test_store_damage.py::test_a_log_of_another_moment_is_damage",
    ),
    "CN01": ("server/test_network.py::test_a_reply_nobody_asked_for_ends_the_connection",),
    "CN02": (
        "server/test_sessions.py::test_who_greets_byte_by_byte_is_cut_off",
        "server/test_network.py::test_half_a_tls_handshake_is_cut_off_and_others_come_in",
    ),
    "CN03": (f"{MESSAGES}::test_held_frames_of_a_group_are_bounded",),
    "CN04": (
        "server/test_sessions.py::test_an_unknown_type_is_refused_and_the_connection_goes_on",
    ),
}


def test_every_scenario_of_part_c_has_a_test() -> None:
    assert complaints(IDS, COVERED, FILES) == []


def hostile_bytes(frame: bytes, envelope: bytes) -> Iterator[tuple[str, bytes]]:
    """What a server may put in the place of a record: named, so that a failure says which."""
    source = random.Random(1)
    for name, honest in (("frame", frame), ("envelope", envelope)):
        yield f"{name} with a byte more", honest + b"\0"
        yield f"{name} twice", honest + honest
        yield f"{name} backwards", honest[::-1]
        for end in (*range(40), *range(40, len(honest), 37)):
            yield f"{name} cut at {end}", honest[:end]
        for at in source.sample(range(len(honest)), 40):
            yield f"{name} flipped at {at}", _flipped(honest, at, 1 << source.randrange(8))
    yield "the largest record", bytes(96 * 1024)
    yield "more than the largest", b"\1" * (96 * 1024 + 1)
    for size in (1, 32, 48, 64, 256, 500, frames.MIN_FRAME_BYTES, 4_096):
        yield f"{size} zeros", bytes(size)
        yield f"{size} random bytes", source.randbytes(size)
        yield f"{size} random bytes of our version", b"\1" + source.randbytes(size - 1)
    for bomb in ("c1", "dd ff ff ff ff", "df ff ff ff ff", "c6 ff ff ff ff", "c9 ff ff ff ff 05"):
        yield f"bare header {bomb}", bytes.fromhex(bomb)
    yield "a depth bomb", b"\x91" * 90_000
    yield "a map with a key twice", bytes.fromhex("82 01 01 01 02")
    yield "an extension", bytes.fromhex("d7 ff 00 00 00 00 00 00 00 00")


def _flipped(honest: bytes, at: int, bit: int) -> bytes:
    return honest[:at] + bytes((honest[at] ^ bit,)) + honest[at + 1 :]


@pytest.mark.parametrize("where", ["group", "first mailbox", "second mailbox"])
def test_cw_hostile_bytes_on_every_topic_are_an_event(where: str) -> None:
    """Each is refused with a code and leaves every row as it was, between two good messages."""
    world, group = talking(80, "alice", "bob")
    since = Since(world)
    world.send("alice", group, "before")
    world.send_direct("alice", "bob", "by letter")
    world.push("alice")
    made = {request.kind: request.body for _, request in since.appends()}
    bob = world.devices["bob"].state
    topic = {
        "group": topic_of(world, "bob", group),
        "first mailbox": device.mailbox_topic(bob.core.first),
        "second mailbox": device.mailbox_topic(bob.core.second),
    }[where]
    wrong = "envelope" if where == "group" else "frame"
    for name, body in hostile_bytes(made[TopicKind.GROUP], made[TopicKind.MAILBOX]):
        codes = refused(world, "bob", topic, body)
        assert len(codes) == 1, name
        allowed = {"malformed", "authentication-failed", "bad-key", "unsupported-version"}
        assert codes[0] in allowed | {"non-canonical"}, name
    assert refused(world, "bob", topic, made[TopicKind(wrong == "envelope")])
    world.send("alice", group, "after")
    world.settle()
    assert world.texts("bob", group)[-2:] == ["before", "after"]
