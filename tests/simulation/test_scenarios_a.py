"""Part A of the scenarios: which test shows what has to happen (spec 16.1).

The other files beside this one carry ids in the names of their tests. What tests elsewhere cover
wholly stands in the table; what waits for later parts is in spec/decisions/0043.
"""

from pathlib import Path

from tests.scenario_table import complaints, later, named

IDS = (
    *("S01", "S02", "S03", "S04", "S07", "S08", "S09", "S10", "S11", "S12", "S14", "S15", "S17"),
    *("S18", "S19", "S20", "S21", "S22", "S23", "S25", "S27", "S28", "S29", "S32", "S34", "S36"),
    *("S37", "S38", "S39", "S41", "S42", "S43", "S46", "S47", "S48", "S49", "S50", "S51", "S53"),
    *("S54", "S55", "S56", "S57", "S59", "S60", "S62", "S63", "S64", "S65", "S68", "S69", "S70"),
    *("S71", "S72", "S73", "S74", "S76", "S77", "S78", "S79", "S81", "S82", "S83", "S84"),
)
FILES = tuple(
    f"simulation/{path.name}" for path in sorted(Path(__file__).parent.glob("test_scenarios_*.py"))
)
LOG = "properties/test_promises_log.py"
SAID = "properties/test_promises_messages.py"
KEPT = "properties/test_promises_secrets.py"
OUT = "properties/test_promises.py"
MEMBERSHIP = "unit/test_membership.py"
IDENTITY = "unit/test_identity.py"
GROUPS = "unit/test_groups.py"
LETTERS = "unit/test_group_letters.py"
MESSAGES = "unit/test_group_messages.py"
COVERED = {
    "S01": (
        f"{LOG}::test_p4_a_server_adds_and_removes_nobody",
        f"{MEMBERSHIP}::test_s01_entries_that_are_none",
    ),
    "S02": (
        f"{MEMBERSHIP}::test_s02_every_bit_of_an_entry_counts",
        f"{GROUPS}::test_every_bit_of_a_record_counts",
    ),
    "S07": (
        f"{GROUPS}::test_a_joiner_checks_everything",
        f"{MEMBERSHIP}::test_s07_another_result_than_it_has",
    ),
    "S11": (
        f"{SAID}::test_p6_a_frame_under_another_head_is_refused",
        f"{GROUPS}::test_every_bit_of_a_record_counts",
    ),
    "S12": (f"{SAID}::test_p6_a_frame_of_another_epoch_or_group_is_refused",),
    "S17": (
        f"{IDENTITY}::test_s17_an_older_list_never_replaces_a_newer_one",
        "unit/test_device.py::test_lists_only_grow_and_forks_pause",
    ),
    "S20": (
        "unit/test_handshake.py::test_s20_a_full_memory_refuses_last_resort_starts_only",
        "unit/test_handshake.py::test_cd08_a_start_is_accepted_once",
        "unit/test_pairwise.py::test_an_empty_pool_stops_nobody",
        "server/test_sessions.py::test_takes_from_one_pool_are_slowed",
    ),
    "S23": (
        f"{OUT}::test_p2_removed_members_and_later_joiners_open_nothing_of_other_epochs",
        f"{OUT}::test_p2_chains_alone_exclude_too",
    ),
    "S27": (f"{LETTERS}::test_a_removed_or_foreign_device_gets_and_gives_nothing",),
    "S29": (f"{SAID}::test_p6_a_fellow_member_cannot_speak_as_another",),
    "S34": (
        f"{SAID}::test_p7_a_ciphertext_has_one_meaning",
        "unit/test_sender_key_evidence.py::test_a_fork_is_two_messages_at_one_place",
        "unit/test_group_heads.py::test_s34_two_messages_of_one_iteration_are_noticed_among_receivers",
    ),
    "S36": (
        "unit/test_sender_key_frames.py::test_the_last_iteration_is_refused_even_within_the_window",
        "unit/test_sender_key_frames.py::test_cheap_checks_come_before_dear_ones",
    ),
    "S38": (
        "unit/test_sender_key.py::test_a_held_chain_is_never_rewound_or_overwritten",
        f"{LETTERS}::test_a_chain_is_taken_from_its_owner_in_its_epoch_only",
    ),
    "S39": (f"{LETTERS}::test_chains_of_one_device_are_bounded",),
    "S41": (
        "unit/test_wire.py::test_cw01_to_cw18_malformed",
        "unit/test_wire.py::test_cw05_to_cw07_other_encodings_of_the_same_value",
        "unit/test_wire.py::test_cw15_depth_ends_in_an_error_on_a_small_stack_too",
        "unit/test_scenarios_c.py::test_cw_hostile_bytes_on_every_topic_are_an_event",
    ),
    "S42": (
        f"{MEMBERSHIP}::test_s42_s72_cm02_what_only_admins_may",
        f"{GROUPS}::test_an_entry_has_to_follow_the_head_and_be_valid",
    ),
    "S43": (
        f"{MEMBERSHIP}::test_s43_cm13_one_admin_remains",
        f"{MEMBERSHIP}::test_s43_the_last_admin_hands_over_before_leaving",
    ),
    "S50": (f"{GROUPS}::test_a_joiner_checks_everything",),
    "S51": (f"{GROUPS}::test_a_change_outrun_too_often_is_given_up",),
    "S56": (
        f"{MESSAGES}::test_held_frames_are_opened_in_the_topics_order",
        f"{MESSAGES}::test_held_frames_of_one_sender_are_bounded",
    ),
    "S57": (f"{MESSAGES}::test_key_requests_are_bounded_and_answered",),
    "S59": (
        "unit/test_pairwise.py::test_a_message_of_another_device_than_the_sessions_is_refused",
        "unit/test_pairwise.py::test_a_start_with_another_devices_certificate_is_refused",
        f"{LETTERS}::test_a_removed_or_foreign_device_gets_and_gives_nothing",
    ),
    "S64": (
        "shell/test_node_cancel.py::test_cancelled_at_every_checkpoint",
        "shell/test_node_store.py::test_a_call_that_was_cancelled_has_happened_or_not",
    ),
    "S65": (
        f"{KEPT}::test_p5_what_was_consumed_cannot_be_opened_with_the_rows_of_later",
        f"{KEPT}::test_p5_an_update_shuts_out_who_stole_everything_and_listens",
    ),
    "S68": (f"{MEMBERSHIP}::test_s68_a_lost_device_is_removed_by_anybody_and_the_others_stay",),
    "S69": (
        f"{MEMBERSHIP}::test_s69_a_new_account_key_is_another_member",
        f"{IDENTITY}::test_s69_a_changed_list_or_account_changes_the_number",
        "unit/test_device.py::test_lists_only_grow_and_forks_pause",
    ),
    "S72": (
        f"{MEMBERSHIP}::test_s42_s72_cm02_what_only_admins_may",
        "shell/test_node_history.py::test_s72_a_changed_timer_is_for_later_messages_only",
    ),
    "S73": (f"{SAID}::test_p7_a_report_shows_one_content_and_cannot_be_altered",),
    "S76": (
        "unit/test_wire.py::test_s76_another_version_is_refused_wherever_one_stands",
        "unit/test_handshake.py::test_another_version_is_refused",
        "unit/test_pairwise.py::test_s76_another_version_is_refused",
        "unit/test_sender_key_frames.py::test_size_and_version_come_first",
    ),
    "S79": (
        f"{MEMBERSHIP}::test_s79_an_epoch_counter_at_its_end_takes_no_entry",
        "unit/test_sender_key_frames.py::test_the_last_iteration_is_not_used_and_bundles_have_limits",
        "unit/test_ratchet.py::test_cd16_a_chain_or_a_channel_at_its_end_seals_nothing",
    ),
    "S84": (f"{MEMBERSHIP}::test_s84_updates_keep_their_distance_and_admins_are_free",),
}


def test_every_scenario_of_part_a_has_a_test() -> None:
    assert complaints(IDS, COVERED, FILES) == []


def test_what_waits_is_not_also_claimed_whole() -> None:
    whole = {each for each in IDS if each in named(FILES, IDS) or each in COVERED}
    assert later() & set(IDS) <= {"S74"}
    assert {"S74"}.isdisjoint(whole)
