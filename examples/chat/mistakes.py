"""What a person typed that cannot be done."""

from groupcrypt import LocalError


class Mistake(LocalError):
    """What was typed cannot be done; the text says what to type instead."""

    code = "usage"
