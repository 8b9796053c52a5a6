"""Sender keys: chains, signing keys, distributions, frames, reports (spec 08).

Rules of this package:
- One file per noun, in this order of imports: chain, skipped, vouch, distribution, frame,
  message, report.
- Values only: every function returns the next chain, or raises and has changed nothing.

It knows no log, no membership and no pairwise session: spec 10 says when its functions are called.
"""

from groupcrypt.protocol.sender_key.chain import (
    VOUCH_BYTES,
    Context,
    FrameKeys,
    ReceivingChain,
    ReceivingCore,
    SendingChain,
    SkippedBlock,
    carry_receiving,
    carry_sending,
    closing,
    new_chain,
    next_generation,
)
from groupcrypt.protocol.sender_key.distribution import (
    Distribution,
    accept,
    distribution,
    read_distribution,
)
from groupcrypt.protocol.sender_key.frame import (
    CONFIRM,
    ENTRY,
    MESSAGE,
    FrameProof,
    Header,
    open_control,
    open_header,
    seal_control,
)
from groupcrypt.protocol.sender_key.message import Opened, echo, open_frame, seal
from groupcrypt.protocol.sender_key.report import (
    Report,
    Reported,
    check_fork,
    check_proof,
    check_report,
    report,
)
from groupcrypt.protocol.sender_key.skipped import (
    drop_skipped,
    oldest_skipped,
    skipped_count,
    skipped_iterations,
)
from groupcrypt.protocol.sender_key.vouch import (
    Vouch,
    accept_vouch,
    clear_vouch,
    needs_distribution,
    needs_refresh,
    read_vouch,
    refresh_signing,
    signing_key,
)

__all__ = [
    "CONFIRM",
    "ENTRY",
    "MESSAGE",
    "VOUCH_BYTES",
    "Context",
    "Distribution",
    "FrameKeys",
    "FrameProof",
    "Header",
    "Opened",
    "ReceivingChain",
    "ReceivingCore",
    "Report",
    "Reported",
    "SendingChain",
    "SkippedBlock",
    "Vouch",
    "accept",
    "accept_vouch",
    "carry_receiving",
    "carry_sending",
    "check_fork",
    "check_proof",
    "check_report",
    "clear_vouch",
    "closing",
    "distribution",
    "drop_skipped",
    "echo",
    "needs_distribution",
    "needs_refresh",
    "new_chain",
    "next_generation",
    "oldest_skipped",
    "open_control",
    "open_frame",
    "open_header",
    "read_distribution",
    "read_vouch",
    "refresh_signing",
    "report",
    "seal",
    "seal_control",
    "signing_key",
    "skipped_count",
    "skipped_iterations",
]
