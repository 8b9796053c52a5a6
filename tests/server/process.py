"""A server in a process of its own, for tests that kill it: `python process.py DIRECTORY PORT`."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import trio

from groupcrypt.server import Address, serve_until_terminated

ROOT = Path(__file__).parents[2]


@contextmanager
def server_process(data: Path, port: int = 0) -> "Iterator[tuple[subprocess.Popen[str], Address]]":
    """Start a server; killed at the end if it still runs."""
    with subprocess.Popen(
        [sys.executable, __file__, str(data), str(port)],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            bound, pin = process.stdout.readline().split()
            yield process, Address("127.0.0.1", int(bound), bytes.fromhex(pin))
        finally:
            process.kill()


def main() -> None:
    def listening(address: Address) -> None:
        print(address.port, address.server_key.hex(), flush=True)

    run = partial(serve_until_terminated, "127.0.0.1", int(sys.argv[2]), Path(sys.argv[1]))
    drained = trio.run(partial(run, listening=listening))
    sys.exit(0 if drained else 1)


if __name__ == "__main__":
    main()
