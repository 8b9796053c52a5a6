"""The handshake: prekeys, and the hybrid agreement that starts a pairwise channel (spec 05).

One file per noun: `prekeys`, `agreement`. Callers import from here.
"""

from groupcrypt.protocol.handshake.agreement import MAX_HELLO_BYTES as MAX_HELLO_BYTES
from groupcrypt.protocol.handshake.agreement import MAX_REPLACED as MAX_REPLACED
from groupcrypt.protocol.handshake.agreement import Agreed as Agreed
from groupcrypt.protocol.handshake.agreement import Answer as Answer
from groupcrypt.protocol.handshake.agreement import Hello as Hello
from groupcrypt.protocol.handshake.agreement import ListName as ListName
from groupcrypt.protocol.handshake.agreement import Start as Start
from groupcrypt.protocol.handshake.agreement import initiate as initiate
from groupcrypt.protocol.handshake.agreement import read_hello as read_hello
from groupcrypt.protocol.handshake.agreement import respond as respond
from groupcrypt.protocol.handshake.agreement import resumption_name as resumption_name
from groupcrypt.protocol.handshake.prekeys import Bundle as Bundle
from groupcrypt.protocol.handshake.prekeys import BundleBody as BundleBody
from groupcrypt.protocol.handshake.prekeys import KemPublic as KemPublic
from groupcrypt.protocol.handshake.prekeys import OneTimeBody as OneTimeBody
from groupcrypt.protocol.handshake.prekeys import OneTimePrekey as OneTimePrekey
from groupcrypt.protocol.handshake.prekeys import Prekeys as Prekeys
from groupcrypt.protocol.handshake.prekeys import SignedPrekeys as SignedPrekeys
from groupcrypt.protocol.handshake.prekeys import make_bundle as make_bundle
from groupcrypt.protocol.handshake.prekeys import make_one_time as make_one_time
from groupcrypt.protocol.handshake.prekeys import make_signed_prekeys as make_signed_prekeys
from groupcrypt.protocol.handshake.prekeys import read_bundle as read_bundle
from groupcrypt.protocol.handshake.prekeys import read_one_time as read_one_time
from groupcrypt.protocol.handshake.prekeys import read_prekeys as read_prekeys
from groupcrypt.protocol.handshake.prekeys import renewal_due as renewal_due
from groupcrypt.protocol.handshake.prekeys import renewed as renewed
from groupcrypt.protocol.handshake.prekeys import replaced as replaced
from groupcrypt.protocol.handshake.prekeys import with_one_time as with_one_time
from groupcrypt.protocol.handshake.prekeys import write_prekeys as write_prekeys
