"""The one suite: X25519, Ed25519, ML-KEM-768, HKDF/HMAC-SHA256, AES-256-GCM, HPKE (spec 03).

Rules of this folder:
- The only importer of `cryptography`. Every error it raises becomes one of ours.
- Every derivation, hash, MAC and signature has a label; its parts are length-prefixed (spec 03.1).
- Public keys have exactly one accepted encoding; small-order ones are refused (spec 03.2).
- Randomness is passed in as `Entropy`; nothing here draws its own.

One file per noun: `derivation`, `agreement`, `signatures`, `kem`, `sealing`, `hpke`, `passphrases`,
`entropy`. It does not compose: what is bound to what is decided by the chapters that call it.
Callers import from here.
"""

from groupcrypt.protocol.primitives.agreement import DhPrivate as DhPrivate
from groupcrypt.protocol.primitives.agreement import check_dh_public as check_dh_public
from groupcrypt.protocol.primitives.derivation import PREFIX as PREFIX
from groupcrypt.protocol.primitives.derivation import ZERO32 as ZERO32
from groupcrypt.protocol.primitives.derivation import digest as digest
from groupcrypt.protocol.primitives.derivation import equal as equal
from groupcrypt.protocol.primitives.derivation import expand as expand
from groupcrypt.protocol.primitives.derivation import extract as extract
from groupcrypt.protocol.primitives.derivation import framed as framed
from groupcrypt.protocol.primitives.derivation import mac as mac
from groupcrypt.protocol.primitives.derivation import number as number
from groupcrypt.protocol.primitives.entropy import Entropy as Entropy
from groupcrypt.protocol.primitives.hpke import hpke_open as hpke_open
from groupcrypt.protocol.primitives.hpke import hpke_seal as hpke_seal
from groupcrypt.protocol.primitives.kem import KEM_CIPHERTEXT_BYTES as KEM_CIPHERTEXT_BYTES
from groupcrypt.protocol.primitives.kem import KEM_PUBLIC_BYTES as KEM_PUBLIC_BYTES
from groupcrypt.protocol.primitives.kem import KemPrivate as KemPrivate
from groupcrypt.protocol.primitives.kem import check_kem_public as check_kem_public
from groupcrypt.protocol.primitives.kem import kem_encapsulate as kem_encapsulate
from groupcrypt.protocol.primitives.passphrases import stretch as stretch
from groupcrypt.protocol.primitives.sealing import NONCE0 as NONCE0
from groupcrypt.protocol.primitives.sealing import TAG_BYTES as TAG_BYTES
from groupcrypt.protocol.primitives.sealing import pad as pad
from groupcrypt.protocol.primitives.sealing import padded_length as padded_length
from groupcrypt.protocol.primitives.sealing import seal as seal
from groupcrypt.protocol.primitives.sealing import unpad as unpad
from groupcrypt.protocol.primitives.sealing import unseal as unseal
from groupcrypt.protocol.primitives.signatures import SigningKey as SigningKey
from groupcrypt.protocol.primitives.signatures import check_signing_public as check_signing_public
from groupcrypt.protocol.primitives.signatures import verify as verify
