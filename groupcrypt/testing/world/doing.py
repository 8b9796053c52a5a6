"""What each action does to a world.

Rules of this file:
- One function for each kind of action; what cannot be done raises a `LocalError` and does nothing.
- What people say is in `saying`, what somebody dishonest does in `members`.
"""

from collections.abc import Callable
from typing import Any, Final

from groupcrypt.errors import LocalError, UnknownGroup
from groupcrypt.protocol import device
from groupcrypt.protocol.broadcast import TopicKind
from groupcrypt.protocol.events import GroupJoined
from groupcrypt.protocol.identifiers import GroupId, TopicId
from groupcrypt.protocol.identity import LinkText
from groupcrypt.protocol.membership import Op, Settings
from groupcrypt.testing.checkers import Thief
from groupcrypt.testing.trace import SERVER, Kind
from groupcrypt.testing.world import actions as a
from groupcrypt.testing.world import saying
from groupcrypt.testing.world.host import Host
from groupcrypt.testing.world.members import Liar, post_letter
from groupcrypt.testing.world.stage import Stage


def do(world: Stage, action: a.Action) -> None:
    """Do it; raises a `LocalError` if it cannot be done now."""
    DOING[type(action)](world, action)


def group_of(world: Stage, label: str) -> GroupId:
    """The group a script calls so."""
    if label not in world.groups:
        raise UnknownGroup("nobody made this group")
    return world.groups[label]


def topic_of(world: Stage, name: str, label: str) -> TopicId:
    """The topic of a group that a device reads."""
    held = world.host(name).state.groups.get(group_of(world, label))
    topic = None if held is None else device.group_topic(held)
    if topic is None:
        raise UnknownGroup("the device reads no topic of this group")
    return topic


# --- people -------------------------------------------------------------------------------------


def found(world: Stage, action: a.Found) -> None:
    """Make a group."""
    if action.group in world.groups:
        raise LocalError("this group was made already")
    told = world.act(
        action.who,
        lambda h, now, entropy: device.create_group(
            h.state, action.group, now=now, entropy=entropy
        ),
    )
    for event in told:
        if isinstance(event, GroupJoined):
            world.groups[action.group] = event.group


def add(world: Stage, action: a.Add) -> None:
    """Want another added."""
    group = group_of(world, action.group)
    world.introduce(world.host(action.who), world.host(action.other))
    accounts = (world.host(action.other).account,)
    world.act(
        action.who,
        lambda h, now, entropy: device.add_members(
            h.state, group, accounts, now=now, entropy=entropy
        ),
    )


def _change(world: Stage, action: a.Remove | a.Role | a.Policy, op: Op, data: bytes) -> None:
    group = group_of(world, action.group)
    world.act(
        action.who,
        lambda h, now, entropy: device.change(h.state, group, op, data, now=now, entropy=entropy),
    )


def remove(world: Stage, action: a.Remove) -> None:
    """Want another removed."""
    data = device.remove_data((world.host(action.other).account,))
    _change(world, action, Op.REMOVE, data)


def role(world: Stage, action: a.Role) -> None:
    """Want another's role changed."""
    data = device.role_data(world.host(action.other).account, admin=action.admin)
    _change(world, action, Op.ROLE, data)


def policy(world: Stage, action: a.Policy) -> None:
    """Want other settings."""
    data = device.policy_data(Settings(action.text, timer=action.timer))
    _change(world, action, Op.POLICY, data)


def leave(world: Stage, action: a.Leave) -> None:
    """Ask to be let go."""
    group = group_of(world, action.group)
    world.act(
        action.who,
        lambda h, now, entropy: device.leave(h.state, group, now=now, entropy=entropy),
    )


def update(world: Stage, action: a.Update) -> None:
    """Heal."""
    group = group_of(world, action.group)
    world.act(
        action.who,
        lambda h, now, entropy: device.update(h.state, group, now=now, entropy=entropy),
    )


def link(world: Stage, action: a.Link) -> None:
    """Read the text of a new device, or the same once more."""
    host = _running(world, action.who)
    if action.other in world.devices:
        text = _text_of(host, world.host(action.other))
    else:
        newcomer = world.newcomer(action.other, action.who)
        newcomer.doom = None if action.after is None else a.Point(action.after)
        text = newcomer.new.text
    world.act(
        action.who, lambda h, now, entropy: device.link(h.state, text, now=now, entropy=entropy)
    )


def _text_of(holder: Host, host: Host) -> LinkText:
    """What a device shows that is not listed yet; else nothing is to be linked."""
    linking = host.state.core.linking
    if linking is None or host.account != holder.account:
        raise LocalError("the device is linked")
    return linking.text


def revoke(world: Stage, action: a.Revoke) -> None:
    """Sign a list without another device."""
    gone = world.host(action.other).device
    world.act(
        action.who, lambda h, now, entropy: device.revoke(h.state, gone, now=now, entropy=entropy)
    )


# --- devices and lines --------------------------------------------------------------------------


def wait(world: Stage, action: a.Wait) -> None:
    """Let time pass."""
    world.run(action.seconds)


def _running(world: Stage, name: str) -> Host:
    host = world.host(name)
    if host.off:
        raise LocalError("the device is off")
    return host


def restart(world: Stage, action: a.Restart) -> None:
    """End and begin."""
    world.restart(_running(world, action.who))


def kill(world: Stage, action: a.Kill) -> None:
    """Its next step is its last."""
    _running(world, action.who).doom = a.Point(action.after)


def restore(world: Stage, action: a.Restore) -> None:
    """An old copy of the store."""
    host = _running(world, action.who)
    host.end()
    host.put_back(action.commits)
    world.scribe.line(action.who, Kind.FAULT, fault="old-store")
    world.restart(host)


def offline(world: Stage, action: a.Offline) -> None:
    """Off for a while."""
    world.switch_off(_running(world, action.who), action.seconds)


def leap(world: Stage, action: a.Leap) -> None:
    """Its clock jumps."""
    host = world.host(action.who)
    host.skew += action.seconds
    host.running.tick_at = None
    host.running.sweep_at = None
    if not host.off:
        host.look_at_clock(world.now)
        world.look(host)


def cut(world: Stage, action: a.Cut) -> None:
    """Its line does not work for a while."""
    world.host(action.who).line.cut(world.now + action.seconds, a.Way(action.way))
    world.scribe.line(action.who, Kind.FAULT, fault=f"cut-{action.way}")


def clog(world: Stage, action: a.Clog) -> None:
    """Its line is slow for a while."""
    world.host(action.who).line.clog(world.now + action.seconds, action.delay)
    world.scribe.line(action.who, Kind.FAULT, fault="clogged")


# --- the server ---------------------------------------------------------------------------------


def _told(world: Stage, fault: str, peer: str = "") -> None:
    """What the server does wrong; `peer`: to whom."""
    world.scribe.line(SERVER, Kind.FAULT, fault=fault, peer=peer)


def outage(world: Stage, action: a.Outage) -> None:
    """Down for a while."""
    world.server.down = max(world.server.down, world.now + action.seconds)
    _told(world, "down")


def throttle(world: Stage, action: a.Throttle) -> None:
    """Later, please."""
    world.server.throttled[action.who] = world.now + action.seconds
    _told(world, "throttles", action.who)


def withhold(world: Stage, action: a.Withhold) -> None:
    """Nothing new for one."""
    world.server.withheld[action.who] = world.now + action.seconds
    _told(world, "withholds", action.who)


def replay(world: Stage, action: a.Replay) -> None:
    """What was stored, again."""
    topic = topic_of(world, action.who, action.group)
    for body in world.server.tape.get(topic, [])[-action.records :]:
        world.server.put(action.who, topic, TopicKind.GROUP, body, now=world.now)
    _told(world, "replays", action.who)


def inject(world: Stage, action: a.Inject) -> None:
    """Bytes that nobody made."""
    topic = topic_of(world, action.who, action.group)
    junk = world.chance.entropy("junk of the server")
    world.server.put(action.who, topic, TopicKind.GROUP, junk(600), now=world.now)
    box = device.mailbox_topic(world.host(action.who).state.core.second)
    world.server.put(action.who, box, TopicKind.MAILBOX, junk(600), now=world.now)
    _told(world, "injects", action.who)


def alter(world: Stage, action: a.Alter) -> None:
    """A bit of what one is shown next."""
    world.server.altering.add(action.who)
    _told(world, "alters", action.who)


def rewind(world: Stage, action: a.Rewind) -> None:
    """What it had is gone."""
    topic = topic_of(world, action.who, action.group)
    world.server.rewind(action.who, topic, action.records)
    _told(world, "rewinds", action.who)


def reorder(world: Stage, action: a.Reorder) -> None:
    """Another order for one."""
    world.server.reordering.add(action.who)
    _told(world, "reorders", action.who)


def fork(world: Stage, action: a.Fork) -> None:
    """A history of their own for some."""
    world.server.fork([name for name in action.who.split() if name in world.devices])
    _told(world, "forks")


# --- somebody dishonest -------------------------------------------------------------------------


def leak(world: Stage, action: a.Leak) -> None:
    """A thief has all rows."""
    host = world.host(action.who)
    world.thieves.append(Thief(host, dict(host.rows), world.now, len(host.events)))
    world.scribe.line(action.who, Kind.FAULT, fault="leaked")


def deceive(world: Stage, action: a.Deceive) -> None:
    """One lie."""
    host, lie = _running(world, action.who), a.Lie(action.lie)
    group = group_of(world, action.group)
    entropy = world.chance.entropy(f"lie of {action.who}")
    liar = Liar(host, group, world.server.tape, entropy)
    bodies, letter = liar.records(lie), liar.letter(lie)
    for body in bodies:
        world.server.put(action.who, liar.topic, TopicKind.GROUP, body, now=world.now)
    for to in liar.others() if letter else ():
        account = liar.held.roster.account_of(to)
        if letter is not None and account is not None:
            world.act(action.who, post_letter(to, account, letter))
    world.liars.add(action.who)
    world.scribe.line(action.who, Kind.FAULT, group=world.scribe.labels.of("g", group), fault=lie)


DOING: Final[dict[type[a.Action], Callable[[Stage, Any], None]]] = {
    a.Found: found,
    a.Send: saying.send,
    a.SendDirect: saying.send_direct,
    a.Reply: saying.reply,
    a.React: saying.react,
    a.Edit: saying.edit,
    a.Delete: saying.delete,
    a.Custom: saying.custom,
    a.Attach: saying.attach,
    a.Typing: saying.typing,
    a.See: saying.see,
    a.Receipts: saying.receipts,
    a.Timer: saying.timer,
    a.Add: add,
    a.Remove: remove,
    a.Leave: leave,
    a.Role: role,
    a.Policy: policy,
    a.Update: update,
    a.Link: link,
    a.Revoke: revoke,
    a.Wait: wait,
    a.Restart: restart,
    a.Kill: kill,
    a.Restore: restore,
    a.Offline: offline,
    a.Leap: leap,
    a.Cut: cut,
    a.Clog: clog,
    a.Outage: outage,
    a.Throttle: throttle,
    a.Withhold: withhold,
    a.Replay: replay,
    a.Inject: inject,
    a.Alter: alter,
    a.Rewind: rewind,
    a.Reorder: reorder,
    a.Fork: fork,
    a.Leak: leak,
    a.Deceive: deceive,
}
