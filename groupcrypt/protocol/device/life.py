"""A device is made, opened, restored, and grows older (spec 12.2, 12.4, 12.6).

Rules of this file:
- After a tick the next one is later: what cannot be done now waits.
- A store that is an older copy of itself replaces every sending key.
"""

from groupcrypt.protocol import group as groups
from groupcrypt.protocol.device import (
    account,
    linking,
    post,
    receipts,
    records,
    rooms,
    sessions,
    strangers,
)
from groupcrypt.protocol.device.state import DeviceState, Step, Work
from groupcrypt.protocol.device.step import step
from groupcrypt.protocol.events import RolledBack
from groupcrypt.protocol.identity import check_name
from groupcrypt.protocol.primitives import Entropy

load = records.load
PREKEYS_MS = 7 * 24 * 3_600_000
POOL_MS = 24 * 3_600_000


def create(name: str, server: str, server_key: bytes, *, now: float, entropy: Entropy) -> Step:
    """A new account on its first device; its slots and prekeys are in the outbox (spec 12.2)."""
    state = account.found(
        check_name(name), check_name(server), server_key, now=now, entropy=entropy
    )
    work = Work(state, now, entropy)
    account.publish_account(work)
    account.publish_device(work)
    account.top_up_pool(work, account.needs_pool(0))
    return Step(work.state, records.diff(None, work.state), ())


def opened(state: DeviceState, *, now: float, entropy: Entropy) -> Step:
    """The store was opened again: publish the bundle under a higher version (spec 12.6).

    The server refuses it if this store is an older copy of itself, which `replied` then heals.
    """

    def act(work: Work) -> None:
        account.publish_device(work)
        linking.follow_all(work)

    return step(state, now, entropy, act)


def restored(state: DeviceState, *, now: float, entropy: Entropy) -> Step:
    """This store is known to be an older copy: replace every sending key (spec 12.6)."""
    return step(state, now, entropy, heal)


def heal(work: Work) -> None:
    """Begin anew everything a lost life of this store may have used (spec 12.6)."""
    work.events.append(RolledBack())
    account.skip_versions(work)
    sessions.forget_sessions(work)
    pool = work.state.core.put_token
    for group in list(work.state.groups):
        if work.state.groups[group].member:
            rooms.run(work, group, groups.restored)
    if work.state.core.put_token == pool:  # no `update` did it: what the lost life published goes
        account.replace_prekeys(work)


def tick(state: DeviceState, *, now: float, entropy: Entropy) -> Step:
    """Do what time brings: confirms, retries, renewals, erasures (spec 12.4)."""
    return step(state, now, entropy, _tick)


def _tick(work: Work) -> None:
    core = work.state.core
    if work.ms - core.prekeys_at >= PREKEYS_MS:
        account.renew_prekeys(work)
    if work.ms - core.pool_asked >= POOL_MS:
        account.ask_pool(work)
        sessions.prune(work)
        strangers.forget(work)
        strangers.forget_talks(work)
        linking.follow_all(work)
    for group in work.state.groups.due(work.ms):
        rooms.run(work, group, groups.tick)
    receipts.pay(work)
    for device, peer in work.state.peers.items():
        if peer.waiting:
            work.touched.add(device)


def next_tick(state: DeviceState) -> float:
    """When `tick` has something to do next, in seconds since 1970."""
    times = [
        state.core.prekeys_at + PREKEYS_MS,
        state.core.pool_asked + POOL_MS,
        state.groups.first_due,
        post.gate_due(state),
        receipts.due(state),
    ]
    return min(time for time in times if time is not None) / 1000
