"""The Double Ratchet of one channel, with a post-quantum step and kept skipped keys (spec 06).

One file per noun: `state`, `skipped`, `messages`. A value in, a value out. Callers import from
here.
"""

from groupcrypt.protocol.ratchet.messages import open_message as open_message
from groupcrypt.protocol.ratchet.messages import seal as seal
from groupcrypt.protocol.ratchet.messages import step_due as step_due
from groupcrypt.protocol.ratchet.skipped import pruned as pruned
from groupcrypt.protocol.ratchet.state import MAX_HEADER_BYTES as MAX_HEADER_BYTES
from groupcrypt.protocol.ratchet.state import Chain as Chain
from groupcrypt.protocol.ratchet.state import Header as Header
from groupcrypt.protocol.ratchet.state import Ratchet as Ratchet
from groupcrypt.protocol.ratchet.state import initiator as initiator
from groupcrypt.protocol.ratchet.state import responder as responder
