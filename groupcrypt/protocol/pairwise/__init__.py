"""Pairwise sessions: one channel to one device, its envelope, its recovery (spec 07).

One file per noun: `session` (the values), `envelope` (HPKE and MAC), `starts`, `exchange`
(seal, receive), `recovery`. Everything is a value; every failure raises and changes nothing.
Callers import from here.
"""

from groupcrypt.protocol.pairwise.envelope import Inner as Inner
from groupcrypt.protocol.pairwise.envelope import check_sender as check_sender
from groupcrypt.protocol.pairwise.envelope import unwrap as unwrap
from groupcrypt.protocol.pairwise.exchange import receive as receive
from groupcrypt.protocol.pairwise.exchange import seal as seal
from groupcrypt.protocol.pairwise.recovery import accept as accept
from groupcrypt.protocol.pairwise.recovery import disown as disown
from groupcrypt.protocol.pairwise.recovery import forget as forget
from groupcrypt.protocol.pairwise.recovery import judge as judge
from groupcrypt.protocol.pairwise.recovery import may_reset as may_reset
from groupcrypt.protocol.pairwise.recovery import overtake as overtake
from groupcrypt.protocol.pairwise.recovery import wedge as wedge
from groupcrypt.protocol.pairwise.session import AwaitingReply as AwaitingReply
from groupcrypt.protocol.pairwise.session import Established as Established
from groupcrypt.protocol.pairwise.session import Session as Session
from groupcrypt.protocol.pairwise.session import Wedged as Wedged
from groupcrypt.protocol.pairwise.session import forgot as forgot
from groupcrypt.protocol.pairwise.session import prune as prune
from groupcrypt.protocol.pairwise.session import read_session as read_session
from groupcrypt.protocol.pairwise.session import write_session as write_session
from groupcrypt.protocol.pairwise.starts import Received as Received
from groupcrypt.protocol.pairwise.starts import start as start
