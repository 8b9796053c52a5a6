"""The same seed gives the same trace, byte for byte, in any process and on any Python (16.1)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SEEDS = (3, 8)
PYTHONS = ("3.11", "3.12", "3.13")
RUN = """
import hashlib
from groupcrypt.testing.world import play
for seed in {seeds}:
    world = play(seed, steps=400).settle()
    found = hashlib.sha256(world.trace.text().encode())
    for name, host in world.devices.items():
        found.update(name.encode() + b"".join(host.wire))
    print(found.hexdigest())
"""
NEEDED = "import cryptography, msgpack, trio"


def interpreters() -> dict[str, str]:
    """Pythons that can run the library: by their version, found beside this one."""
    found = {f"{sys.version_info.major}.{sys.version_info.minor}": sys.executable}
    places = os.environ.get("GROUPCRYPT_PYTHONS", "").split(os.pathsep)
    for path in filter(None, places):
        asked = [path, "-c", f"{NEEDED}; import sys; print('%d.%d' % sys.version_info[:2])"]
        answer = subprocess.run(asked, capture_output=True, text=True, check=False)
        if answer.returncode == 0:
            found[answer.stdout.strip()] = path
    return found


def run(python: str, hash_seed: str) -> list[str]:
    """Digests of trace and wire in a process of its own; sets lie in another order in each."""
    env = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
    env["PYTHONDONTWRITEBYTECODE"] = "1"
    told = subprocess.check_output([python, "-c", RUN.format(seeds=SEEDS)], text=True, env=env)
    return told.split()


@pytest.fixture(scope="module")
def here() -> list[str]:
    return run(sys.executable, "1")


def test_another_process_gives_the_same_bytes(here: list[str]) -> None:
    assert run(sys.executable, "2") == here
    assert len(set(here)) == len(SEEDS)


@pytest.mark.parametrize("version", PYTHONS)
def test_another_python_gives_the_same_bytes(version: str, here: list[str]) -> None:
    """`GROUPCRYPT_PYTHONS` names others that have the dependencies, as PATH does folders."""
    python = interpreters().get(version)
    if python is None:
        pytest.skip(f"no Python {version} with the dependencies is named in GROUPCRYPT_PYTHONS")
    assert run(python, "3") == here
