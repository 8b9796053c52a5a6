"""`python -m groupcrypt` is the `groupcrypt` command."""

import sys

from groupcrypt.cli import main

if __name__ == "__main__":
    sys.exit(main())
