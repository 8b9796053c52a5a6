"""A device, sans-IO: every input is one step (spec 12).

Rules of this file:
- `(state, input, now, entropy) -> Step(state, changes, events)`. Commit `changes` in one
  transaction, then adopt `state`, then send what `pending` holds. Nothing else feeds the wire.
- Input from peers and the server never raises; it ends as an event. A `LocalError` means the
  caller asked for something impossible and nothing changed.

Making, opening and ageing are in `life`, what the application asks in `calls`, what the server
brings in `arrivals`, own devices in `linking`, what can be read in `views`. Below them: `account`
(what we publish), `lists` (own ones), `people`, `strangers`, `sessions`, `post` (letters),
`receipts`, `directs` (conversations with one account), `rooms` (groups), `strays` (letters that
wait for a group), `records` (the store).
"""

from groupcrypt.protocol.device.account import card
from groupcrypt.protocol.device.arrivals import (
    PASSING,
    bundle_arrived,
    history_lost,
    passes,
    receive,
    record_arrived,
    replied,
    rewound,
    take_request,
    wanted,
    wanted_records,
)
from groupcrypt.protocol.device.calls import (
    accept_identity,
    add_contact,
    add_members,
    change,
    continue_in_new,
    create_group,
    group_state,
    keep_members,
    leave,
    policy_data,
    proceed,
    remove_data,
    role_data,
    safety_number,
    saw,
    send,
    send_direct,
    send_typing,
    set_direct_timer,
    set_receipts,
    set_verified,
    update,
    withdraw,
)
from groupcrypt.protocol.device.files import Offer, file_uploaded, give_up_file, offer_file
from groupcrypt.protocol.device.forgetting import Gone
from groupcrypt.protocol.device.leaving import forget, taken
from groupcrypt.protocol.device.life import create, load, next_tick, opened, restored, tick
from groupcrypt.protocol.device.linking import (
    NewDevice,
    link,
    load_new,
    new_device,
    offered,
    revoke,
)
from groupcrypt.protocol.device.records import Rows
from groupcrypt.protocol.device.upgrades import upgrade
from groupcrypt.protocol.device.views import (
    Subscription,
    describe,
    direct_timer,
    full,
    group_topic,
    mailbox_topic,
    mailboxes,
    pending,
    receipts_wanted,
    subscriptions,
    unread,
)

__all__ = [
    "PASSING",
    "Gone",
    "NewDevice",
    "Offer",
    "Rows",
    "Subscription",
    "accept_identity",
    "add_contact",
    "add_members",
    "bundle_arrived",
    "card",
    "change",
    "continue_in_new",
    "create",
    "create_group",
    "describe",
    "direct_timer",
    "file_uploaded",
    "forget",
    "full",
    "give_up_file",
    "group_state",
    "group_topic",
    "history_lost",
    "keep_members",
    "leave",
    "link",
    "load",
    "load_new",
    "mailbox_topic",
    "mailboxes",
    "new_device",
    "next_tick",
    "offer_file",
    "offered",
    "opened",
    "passes",
    "pending",
    "policy_data",
    "proceed",
    "receipts_wanted",
    "receive",
    "record_arrived",
    "remove_data",
    "replied",
    "restored",
    "revoke",
    "rewound",
    "role_data",
    "safety_number",
    "saw",
    "send",
    "send_direct",
    "send_typing",
    "set_direct_timer",
    "set_receipts",
    "set_verified",
    "subscriptions",
    "take_request",
    "taken",
    "tick",
    "unread",
    "update",
    "upgrade",
    "wanted",
    "wanted_records",
    "withdraw",
]
