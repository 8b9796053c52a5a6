"""Letters from other devices about a group (spec 10.6, 10.7, 10.10).

Rules of this file:
- What comes by letter is believed only as far as the log proves it: a secret by its commit, a
  chain because its owner sent it, a log by its signatures.
- r_e, chains and resends for an epoch go only to a device that is a member in that epoch.
- Answers are bounded; a request from a stranger costs one lookup.
"""

from dataclasses import replace

from groupcrypt.errors import NotAllowed, NotInRoster, RemoteError
from groupcrypt.protocol import limits, sender_key, wire
from groupcrypt.protocol.group import dropping, epochs, forks, jump, past, requests
from groupcrypt.protocol.group.authoring import advance, want
from groupcrypt.protocol.group.entries import (
    CONFIRM_STEP_MS,
    install_secret,
    rank,
    relay_confirm,
)
from groupcrypt.protocol.group.letters import (
    BranchLetter,
    ConfirmLetter,
    EpochSecret,
    KeyRequest,
    LetterKind,
    LogPart,
    Resend,
    SecretRequest,
    Trace,
    Vouched,
    VouchRequest,
    WelcomeRequest,
)
from groupcrypt.protocol.group.messages import deliver_one, open_held
from groupcrypt.protocol.group.requests import ask_secret
from groupcrypt.protocol.group.rows import EarlyLetter
from groupcrypt.protocol.group.sending import flush
from groupcrypt.protocol.group.state import Epoch, Status, frame_keys
from groupcrypt.protocol.group.turn import Letter, Turn
from groupcrypt.protocol.group.welcome import welcome_letters
from groupcrypt.protocol.identifiers import AccountId, DeviceId, LogHash, MessageId
from groupcrypt.protocol.membership import Op, UpdateData
from groupcrypt.protocol.sender_key import ReceivingChain

EARLY_KEPT = 256
# What a departed device still takes: what it is owed, and who asks for what it sent (10.7).
AFTERWARDS = frozenset((LetterKind.DISTRIBUTION, LetterKind.RESEND, LetterKind.KEY_REQUEST))


def receive_letter(turn: Turn, sender: DeviceId, kind: LetterKind, body: bytes) -> None:
    """One item from a device that the pairwise channel authenticated; may raise `RemoteError`."""
    if turn.group.core.status == Status.DROPPED and kind == LetterKind.BRANCH:
        dropping.shown_out(turn, sender, wire.decode(BranchLetter, body))
        return
    if not turn.group.member and kind not in AFTERWARDS:
        return
    match kind:
        case LetterKind.EPOCH_SECRET:
            _secret(turn, sender, wire.decode(EpochSecret, body))
        case LetterKind.DISTRIBUTION:
            _distribution(turn, sender, body)
        case LetterKind.KEY_REQUEST:
            _key_request(turn, sender, wire.decode(KeyRequest, body))
        case LetterKind.SECRET_REQUEST:
            _secret_request(turn, sender, wire.decode(SecretRequest, body))
        case LetterKind.RESEND:
            _resend(turn, sender, wire.decode(Resend, body))
        case LetterKind.VOUCH_REQUEST:
            _vouch_request(turn, sender, wire.decode(VouchRequest, body))
        case LetterKind.VOUCH:
            _vouch(turn, sender, wire.decode(Vouched, body))
        case LetterKind.LOG_PART:
            jump.receive_part(turn, sender, wire.decode(LogPart, body))
        case LetterKind.WELCOME_REQUEST:
            wire.decode(WelcomeRequest, body)
            _welcome_request(turn, sender)
        case _:
            _of_a_fork(turn, sender, kind, body)


def _of_a_fork(turn: Turn, sender: DeviceId, kind: LetterKind, body: bytes) -> None:
    """Letters of spec 10.12."""
    match kind:
        case LetterKind.TRACE:
            forks.receive_trace(turn, sender, wire.decode(Trace, body))
        case LetterKind.CONFIRM:
            relay_confirm(turn, wire.decode(ConfirmLetter, body).confirm)
        case LetterKind.BRANCH:
            forks.receive_branch(turn, sender, wire.decode(BranchLetter, body))
        case _:
            raise NotAllowed(f"a letter of kind {kind.name.lower()} to a member")


def _member(epoch: Epoch, device: DeviceId) -> AccountId:
    account = epoch.roster.account_of(device)
    if account is None:
        raise NotInRoster("the asking device is not a member in that epoch")
    return account


def _secret(turn: Turn, sender: DeviceId, letter: EpochSecret) -> None:
    log_hash = LogHash(letter.log_hash)
    _member(turn.group.base, sender)
    if jump.receive_secret(turn, letter):
        return
    install_secret(turn, letter.epoch, log_hash, letter.secret)
    after_install(turn)


def after_install(turn: Turn) -> None:
    """A head that got its keys: early distributions fit now, intents and messages move."""
    _use_early(turn)
    advance(turn)
    flush(turn)


def _distribution(turn: Turn, sender: DeviceId, body: bytes) -> None:
    """A sender key from its owner, for an epoch we are in, were in, or will enter (spec 08.5)."""
    skdm = sender_key.read_distribution(body)
    epoch = turn.group.epochs.get(skdm.epoch)
    if not turn.group.member and (epoch is None or epoch.keys is None):
        return
    if skdm.epoch > turn.group.core.head or (epoch is not None and epoch.keys is None):
        _keep_early(turn, sender, skdm.epoch, body)
        return
    if epoch is None or epoch.core.log_hash != skdm.log_hash:
        return  # its epoch is over, or never was on our log
    _member(epoch, sender)
    known = epoch.chains.get((sender, skdm.generation))
    chain = sender_key.accept(body, context=epoch.context(turn.group.id), owner=sender, known=known)
    if known is None:
        _bound_generations(turn, epoch, sender)
        _add_chain(turn, chain)
    elif chain is not known:  # a signing key whose vouch we missed
        chains = {**epoch.chains, (sender, skdm.generation): chain}
        turn.set_epoch(replace(epoch, chains=chains))
    for number in sorted(turn.group.epochs):
        open_held(turn, number, sender)


def _add_chain(turn: Turn, chain: ReceivingChain) -> None:
    """Into its epoch and all later ones: what is held is opened first, so that it is counted."""
    numbers = [chain.epoch]
    epochs.put_chain(turn, chain)
    for number in numbers:
        open_held(turn, number, chain.device)
        numbers += epochs.carry_chain(turn, number, (chain.device, chain.generation))


def _bound_generations(turn: Turn, epoch: Epoch, device: DeviceId) -> None:
    """At most 4 chains of one device per epoch; the oldest goes (spec 01.2)."""
    mine = sorted(gen for dev, gen in epoch.chains if dev == device)
    if len(mine) >= limits.MAX_GENERATIONS:
        chains = {key: chain for key, chain in epoch.chains.items() if key != (device, mine[0])}
        turn.set_epoch(Epoch(epoch.core, epoch.roster, chains, epoch.own, epoch.given))


def _keep_early(turn: Turn, sender: DeviceId, epoch: int, body: bytes) -> None:
    early = dict(turn.group.early)
    early[max(early, default=0) + 1] = EarlyLetter(sender, epoch, body)
    while len(early) > EARLY_KEPT:
        del early[next(iter(early))]
    turn.set(early=early)


def _use_early(turn: Turn) -> None:
    for key, letter in sorted(turn.group.early.items()):
        epoch = turn.group.epochs.get(letter.epoch)
        if letter.epoch > turn.group.core.head or (epoch is not None and epoch.keys is None):
            continue
        early = {other: item for other, item in turn.group.early.items() if other != key}
        turn.set(early=early)
        try:
            _distribution(turn, DeviceId(letter.device), letter.body)
        except RemoteError:  # refused now as it would have been on arrival
            continue


def use_early(turn: Turn) -> None:
    """After entering an epoch: take the distributions that were waiting for it (spec 10.6)."""
    if turn.group.member and turn.group.early:
        _use_early(turn)


def _key_request(turn: Turn, sender: DeviceId, asked: KeyRequest) -> None:
    """Give our chain again, and what the asker cannot open any more as resends (spec 10.7)."""
    epoch = turn.group.epochs.get(asked.epoch)
    if epoch is None or epoch.core.log_hash != asked.log_hash:
        return
    _member(epoch, sender)
    if not requests.may_answer(turn):
        return
    head, base = turn.group.head, turn.group.base
    if sender in head.roster.devices and head.keys is not None:
        _give_chain(turn, head, sender)
    if base is not head and asked.epoch == base.number:
        _give_chain(turn, base, sender)
    again: dict[int, list[tuple[bytes, bytes]]] = {}
    for item in turn.group.sent.values():
        if (item.epoch, item.generation) == (asked.epoch, asked.generation):
            again.setdefault(item.iteration, []).append((item.message, item.content))
    for iteration, contents in sorted(again.items()):
        resend = Resend(turn.group.id, asked.epoch, asked.generation, iteration, tuple(contents))
        turn.letters.append(Letter(sender, LetterKind.RESEND, wire.encode(resend)))


def _give_chain(turn: Turn, epoch: Epoch, device: DeviceId) -> None:
    """Our chain of an epoch; one that is over goes to nobody: the next frame brings another."""
    context, own = epoch.context(turn.group.id), epoch.own
    if own is not None and not sender_key.needs_distribution(own, context):
        body = sender_key.distribution(context, own)
        turn.letters.append(Letter(device, LetterKind.DISTRIBUTION, body))


def _vouch_request(turn: Turn, sender: DeviceId, asked: VouchRequest) -> None:
    """Give the vouch again by which we took another member's signing key (spec 08.3, 10.7)."""
    epoch = turn.group.epochs.get(asked.epoch)
    if epoch is None or epoch.core.log_hash != asked.log_hash:
        return
    _member(epoch, sender)
    chain = epoch.chains.get((DeviceId(asked.device), asked.generation))
    if chain is None or chain.core.vouch is None or chain.core.number <= asked.number:
        return
    if requests.may_answer(turn):
        given = Vouched(
            turn.group.id,
            epoch.number,
            epoch.core.log_hash,
            asked.device,
            asked.generation,
            chain.core.vouch,
        )
        turn.letters.append(Letter(sender, LetterKind.VOUCH, wire.encode(given)))


def _vouch(turn: Turn, sender: DeviceId, given: Vouched) -> None:
    """A hand-over from any member: both keys signed it, so it does not matter who brings it."""
    epoch = turn.group.epochs.get(given.epoch)
    if epoch is None or epoch.core.log_hash != given.log_hash:
        return
    _member(epoch, sender)
    device = DeviceId(given.device)
    chain = epoch.chains.get((device, given.generation))
    if chain is None:
        return
    after = sender_key.accept_vouch(chain, epoch.context(turn.group.id), given.vouch)
    if after is not chain:
        epochs.put_chain(turn, after)
        open_held(turn, epoch.number, device)


def _resend(turn: Turn, sender: DeviceId, again: Resend) -> None:
    """Contents from their own sender, for a frame of it that is held or known to be missing (10.7).

    So nobody can say to one member, in the group's name, what the others never saw.
    """
    epoch = turn.group.epochs.get(again.epoch)
    if epoch is None:
        return
    key = (again.epoch, sender, again.generation)
    for number, item in turn.group.held.items():
        if (item.epoch, item.device, item.generation) != key:
            continue
        header = sender_key.open_header(frame_keys(epoch), epoch.context(turn.group.id), item.frame)
        if header.iteration == again.iteration:
            held = {other: kept for other, kept in turn.group.held.items() if other != number}
            turn.set(held=held)
            _take(turn, epoch, sender, again)
            return
    asked = turn.group.asked.get(key)
    if (
        asked is None
        or asked.given >= asked.frames
        or not past.unseen(epoch, *key[1:], again.iteration)
    ):
        return
    before = turn.group.recent
    _take(turn, epoch, sender, again)
    if turn.group.recent is not before:
        given = replace(asked, given=asked.given + 1)
        turn.set(asked={**turn.group.asked, key: given})


def _take(turn: Turn, epoch: Epoch, sender: DeviceId, again: Resend) -> None:
    for message, content in again.contents:
        deliver_one(turn, epoch, sender, MessageId(message), content)


def _welcome_request(turn: Turn, sender: DeviceId) -> None:
    """Welcome a member; what it was given before it lost, so it is given our chain again."""
    if forks.show_out(turn, sender):
        return
    _member(turn.group.head, sender)
    base, head = turn.group.base, turn.group.head
    # Who dropped another branch does not read our topic, where the head may wait for a confirm.
    epoch = head if sender in turn.group.stances else base
    letters = welcome_letters(turn.group, sender, epoch)
    turn.letters += letters
    turn.introduce += [sender] if letters else []
    turn.set_epoch(replace(head, given=head.given - {sender}))
    if head is base:
        _renew(turn, sender)


def _secret_request(turn: Turn, sender: DeviceId, asked: SecretRequest) -> None:
    """Take a member forward: the secret of its head, the log since and the live secret."""
    group = turn.group
    if asked.epoch >= len(group.hashes):
        return
    if group.hashes[asked.epoch] != asked.log_hash:
        forks.hear(turn, sender, asked.epoch, LogHash(asked.log_hash))
        return
    epoch = group.epochs.get(asked.epoch)
    if epoch is not None and sender in epoch.roster.devices:
        turn.letters += jump.secret_letters(group, sender, epoch)
    # It may have that secret and lack the topic: only the log since takes it forward then.
    letters = jump.answer(group, sender, asked.epoch)
    turn.letters += letters
    if letters and sender in group.base.roster.devices:
        turn.introduce.append(sender)  # whom these entries added it could not write to
    if group.base is group.head and sender in group.roster.devices:
        _renew(turn, sender)


def _renew(turn: Turn, sender: DeviceId) -> None:
    """A member lacks the live secret, and ours is erased: that of the next epoch is not."""
    head, account = turn.group.head, turn.group.roster.devices[sender].account
    if not jump.holds_secret(head):
        when = turn.now + rank(turn, account) * CONFIRM_STEP_MS
        want(turn, Op.UPDATE, wire.encode(UpdateData()), not_before=when)


__all__ = ["after_install", "ask_secret", "receive_letter", "use_early"]
