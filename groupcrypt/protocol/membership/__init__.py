"""Membership: the signed, hash-chained log that alone decides who is in a group (spec 09).

One file per noun: `accounts` (settings, members, rosters), `log` (entries), `statements` (leaves
and confirms), `ops` (what each op does), `rules` (which entry is valid). Callers import from here.
"""

from groupcrypt.protocol.membership.accounts import Member as Member
from groupcrypt.protocol.membership.accounts import Roster as Roster
from groupcrypt.protocol.membership.accounts import Settings as Settings
from groupcrypt.protocol.membership.accounts import Who as Who
from groupcrypt.protocol.membership.accounts import check_settings as check_settings
from groupcrypt.protocol.membership.log import FRESH_OPS as FRESH_OPS
from groupcrypt.protocol.membership.log import AddData as AddData
from groupcrypt.protocol.membership.log import DeviceListData as DeviceListData
from groupcrypt.protocol.membership.log import Entry as Entry
from groupcrypt.protocol.membership.log import EntryBody as EntryBody
from groupcrypt.protocol.membership.log import GenesisData as GenesisData
from groupcrypt.protocol.membership.log import LeaveData as LeaveData
from groupcrypt.protocol.membership.log import Op as Op
from groupcrypt.protocol.membership.log import PolicyData as PolicyData
from groupcrypt.protocol.membership.log import RemoveData as RemoveData
from groupcrypt.protocol.membership.log import RoleData as RoleData
from groupcrypt.protocol.membership.log import UpdateData as UpdateData
from groupcrypt.protocol.membership.log import check_entry_commit as check_entry_commit
from groupcrypt.protocol.membership.log import commitless as commitless
from groupcrypt.protocol.membership.log import entry_commit as entry_commit
from groupcrypt.protocol.membership.log import genesis_hash as genesis_hash
from groupcrypt.protocol.membership.log import group_id as group_id
from groupcrypt.protocol.membership.log import log_hash as log_hash
from groupcrypt.protocol.membership.log import log_hashes as log_hashes
from groupcrypt.protocol.membership.log import read_entry as read_entry
from groupcrypt.protocol.membership.log import sign_entry as sign_entry
from groupcrypt.protocol.membership.ops import update_distance as update_distance
from groupcrypt.protocol.membership.rules import apply as apply
from groupcrypt.protocol.membership.rules import draft as draft
from groupcrypt.protocol.membership.rules import stays as stays
from groupcrypt.protocol.membership.statements import check_confirm as check_confirm
from groupcrypt.protocol.membership.statements import check_leave as check_leave
from groupcrypt.protocol.membership.statements import make_confirm as make_confirm
from groupcrypt.protocol.membership.statements import make_leave as make_leave
