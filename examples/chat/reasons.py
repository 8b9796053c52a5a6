"""Why something was not sent: in words. Why messages are not read: `groupcrypt.Reason`.

Rules of this file:
- What cannot be helped is said once; what helps itself says that it does.
- A reason that has no words here is shown by its code: it can be looked up.
"""

from typing import Final

NOT_SENT: Final = {
    "withdrawn": "you took it back",
    "not-a-member": "you are out of the group",
    "branch-dropped": "it was said in a group that most were not shown",
    "expired": "its time was over before it could leave",
    "cancelled": "you took it back",
    "file-changed": "the file was changed meanwhile",
    "file-unusable": "the file cannot be read any more",
}


def why_not_sent(code: str) -> str:
    """Why an own message was not sent."""
    return NOT_SENT.get(code, code)
