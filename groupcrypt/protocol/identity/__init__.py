"""Identity: accounts and devices, the cards and numbers by which people know each other (spec 02).

One file per noun: `certificates`, `device_lists`, `slots`, `cards`, `links`, `display`. An account
is one Ed25519 key; it signs a list of at most eight devices. Callers import from here.
"""

from groupcrypt.protocol.identity.cards import Card as Card
from groupcrypt.protocol.identity.certificates import AccountPublic as AccountPublic
from groupcrypt.protocol.identity.certificates import DeviceCertificate as DeviceCertificate
from groupcrypt.protocol.identity.certificates import DhPublic as DhPublic
from groupcrypt.protocol.identity.certificates import LocalIdentity as LocalIdentity
from groupcrypt.protocol.identity.certificates import SigningPublic as SigningPublic
from groupcrypt.protocol.identity.certificates import certify as certify
from groupcrypt.protocol.identity.certificates import check_certificate as check_certificate
from groupcrypt.protocol.identity.certificates import device_id as device_id
from groupcrypt.protocol.identity.device_lists import DeviceList as DeviceList
from groupcrypt.protocol.identity.device_lists import check_succession as check_succession
from groupcrypt.protocol.identity.device_lists import make_device_list as make_device_list
from groupcrypt.protocol.identity.device_lists import read_device_list as read_device_list
from groupcrypt.protocol.identity.device_lists import stored_device_list as stored_device_list
from groupcrypt.protocol.identity.display import check_name as check_name
from groupcrypt.protocol.identity.display import clean_text as clean_text
from groupcrypt.protocol.identity.display import safety_number as safety_number
from groupcrypt.protocol.identity.display import verification_code as verification_code
from groupcrypt.protocol.identity.links import LinkText as LinkText
from groupcrypt.protocol.identity.links import countersign as countersign
from groupcrypt.protocol.identity.links import make_answer as make_answer
from groupcrypt.protocol.identity.links import make_offer as make_offer
from groupcrypt.protocol.identity.links import read_answer as read_answer
from groupcrypt.protocol.identity.links import read_offer as read_offer
from groupcrypt.protocol.identity.slots import AccountRecord as AccountRecord
from groupcrypt.protocol.identity.slots import DeviceEntry as DeviceEntry
from groupcrypt.protocol.identity.slots import open_slot as open_slot
from groupcrypt.protocol.identity.slots import read_account_record as read_account_record
from groupcrypt.protocol.identity.slots import seal_slot as seal_slot
