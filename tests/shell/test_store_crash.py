"""The store in real processes: killed, forked, out of space, interrupted, opened twice."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest

from groupcrypt.errors import StoreError, StoreLocked
from tests.unit.stores import made, opened

ROOT = Path(__file__).parents[2]

PRELUDE = """
import os, random, signal, sys, time
from pathlib import Path
from groupcrypt.errors import *
from groupcrypt.store import *
from groupcrypt.store.database import log_of
place = Path(sys.argv[1])
CHEAP = Stretch(64, 1, 1)
def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())
"""

# Imports once, then forks a worker for each line it is sent, so that a kill costs milliseconds.
NURSERY = (
    PRELUDE
    + """
def work(rng):
    store = SqliteStore.open(place, passphrase="correct")
    rows = store.rows()
    number = int(rows.get(b"number", b"0"))
    if b"outbox" in rows:
        say("sent", number, rows[b"outbox"].hex())  # resent as it is
    while True:
        number += 1
        frame = b"%d:" % number + os.urandom(6)
        stamp = b"%d" % number
        changes = {b"r%d" % i: stamp * rng.randint(1, 40) for i in range(rng.randint(1, 30))}
        changes |= {b"r%d" % i: None for i in rng.sample(range(60), 10)}
        written = [key for key, value in changes.items() if value is not None]
        changes |= {b"number": stamp, b"outbox": frame, b"keys": b" ".join(sorted(written))}
        store.commit(changes)
        say("sent", number, frame.hex())
        if rng.random() < 0.2:
            store.purge()

def make(rng):
    SqliteStore.create(place, passphrase="correct", cost=CHEAP)
    say("made")
    time.sleep(10)

for line in sys.stdin:
    what, seed = line.split()
    child = os.fork()
    if child == 0:
        try:
            globals()[what](random.Random(int(seed)))
        except BaseException as error:
            say("failed", repr(error))
        os._exit(1)
    say("child", child)
    os.waitpid(child, 0)
    say("over")
"""
)


@contextmanager
def python(script: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def told(process: subprocess.Popen[str]) -> list[str]:
    assert process.stdout is not None
    return process.stdout.readline().split()


def tell(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()


def killed_run(process: subprocess.Popen[str], what: str, rng: random.Random) -> list[list[str]]:
    """Start a worker, kill it somewhere, and return all it said."""
    tell(process, f"{what} {rng.randrange(10**6)}")
    word, child = told(process)
    assert word == "child"
    time.sleep(rng.random() ** 2 * 0.08)  # half of them die while opening
    os.kill(int(child), signal.SIGKILL)
    said: list[list[str]] = []
    while (line := told(process)) != ["over"]:
        said.append(line)
    return said


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "device" / "store.db"


@pytest.mark.spec("16.3-8")
def test_a_killed_process_leaves_whole_commits_and_uses_no_number_twice(place: Path) -> None:
    made(place).close()
    rng = random.Random(11)
    frames: dict[int, str] = {}
    boot = 1
    with python(NURSERY, place) as process:
        kills = 0
        while kills < 60 or len(frames) <= 30:  # on a slow machine a life may end before it sends
            kills += 1
            assert kills < 600
            for word, number, frame in killed_run(process, "work", rng):
                assert word == "sent", frame
                assert frames.setdefault(int(number), frame) == frame
            with opened(place) as store:
                assert not store.rolled_back
                assert store.boot > boot
                boot = store.boot
                rows = store.rows()
            durable = int(rows.get(b"number", b"0"))
            last = max(frames, default=0)
            assert durable in (last, last + 1)  # nothing that was said is lost
            if durable:
                assert frames.setdefault(durable, rows[b"outbox"].hex()) == rows[b"outbox"].hex()
                for key in rows[b"keys"].split():  # the last batch is whole
                    assert rows[key].replace(b"%d" % durable, b"") == b""


@pytest.mark.spec("16.3-8")
def test_a_store_that_was_being_made_is_there_complete_or_not_at_all(place: Path) -> None:
    rng = random.Random(12)
    absent = there = 0
    with python(NURSERY, place) as process:
        while absent + there < 15 or not (absent and there):  # both ends are to be seen
            assert absent + there < 300
            said = killed_run(process, "make", rng)
            if not place.exists():
                assert said == []
                absent += 1
                continue
            there += 1
            with opened(place) as store:
                assert store.rows() == {}
                assert not store.rolled_back
            place.unlink()


HOLDER = (
    PRELUDE
    + """
store = SqliteStore.open(place, passphrase="correct")
say("open", os.getpid())
sys.stdin.readline()
store.commit({b"still": b"mine"})
say("committed")
time.sleep(30)
"""
)


@pytest.mark.spec("16.3-7")
def test_two_processes(place: Path) -> None:
    made(place).close()
    with python(HOLDER, place) as holder:
        assert told(holder) == ["open", str(holder.pid)]
        with pytest.raises(StoreLocked, match=f"process {holder.pid}$"):
            opened(place)
        tell(holder, "go on")
        assert told(holder) == ["committed"]
        holder.kill()
        holder.wait()
        with opened(place) as store:  # the lock ends with its owner
            assert store.rows() == {b"still": b"mine"}


FORKER = (
    PRELUDE
    + """
store = SqliteStore.open(place, passphrase="correct")
store.commit({b"a": b"1"})
store.purge()  # so that the log is empty: what a careless close in the child would remove
child = os.fork()
if child == 0:
    for call in (store.rows, store.purge, store.healed, lambda: store.commit({b"b": b"2"})):
        try:
            call()
        except StoreError as error:
            say("refused", "parent" in str(error))
    try:
        SqliteStore.open(place, passphrase="correct")
    except StoreLocked:
        say("locked")
    store.close()
    del store
    sys.exit(0)  # with all of the interpreter's cleaning up
os.waitpid(child, 0)
store.commit({b"c": b"3"})
say("log", log_of(place).stat().st_size > 0)
survivor = os.fork()
if survivor == 0:
    say("survivor", os.getpid())
    time.sleep(30)
    os._exit(0)
time.sleep(30)
"""
)


@pytest.mark.spec("16.3-7")
def test_a_forked_child_is_refused_and_harms_nothing(place: Path) -> None:
    made(place).close()
    with python(FORKER, place) as process:
        assert [told(process) for _ in range(4)] == [["refused", "True"]] * 4
        assert told(process) == ["locked"]
        assert told(process) == ["log", "True"]
        survivor = int(told(process)[1])
        process.kill()
        process.wait()
        try:
            with opened(place) as store:  # though a child of the owner lives on
                assert store.rows() == {b"a": b"1", b"c": b"3"}
                assert not store.rolled_back
        finally:
            os.kill(survivor, signal.SIGKILL)


NO_SPACE = (
    PRELUDE
    + """
import resource
store = SqliteStore.open(place, passphrase="correct")
store.commit({b"a": b"1"})
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
for name, call in (
    ("commit", lambda: store.commit({b"a": b"2", b"large": bytes(200_000)})),
    ("after", lambda: store.commit({b"b": b"3"})),
):
    try:
        call()
        say(name, "done")
    except StoreError as error:
        say(name, error.code)
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
try:
    rows = store.rows()
except StoreError:
    store.close()
    store = SqliteStore.open(place, passphrase="correct")
    rows = store.rows()
say("rows", sorted(rows), rows[b"a"])
resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
store.close()
try:
    SqliteStore.open(place, passphrase="correct")
except StoreError as error:
    say("opening", error.code)
try:
    SqliteStore.create(place.with_name("other"), passphrase="correct", cost=CHEAP)
except StoreError as error:
    say("creating", error.code)
"""
)


@pytest.mark.spec("16.3-8")
def test_a_disk_that_takes_no_more(place: Path) -> None:
    made(place).close()
    with python(NO_SPACE, place) as process:
        assert told(process) == ["commit", "store-full"]
        after = told(process)
        assert after in (["after", "done"], ["after", "store"])
        known = ["[b'a',", "b'b']"] if after == ["after", "done"] else ["[b'a']"]
        assert told(process) == ["rows", *known, "b'1'"]
        assert told(process) == ["opening", "store-full"]
        assert told(process) == ["creating", "store-full"]
        process.wait()
    with opened(place) as store:
        assert store.rows()[b"a"] == b"1"
        assert not store.rolled_back


@pytest.mark.spec("16.3-8")
def test_ctrl_c_in_the_middle_of_commits(place: Path) -> None:
    """The signal hits Python code between any two steps; what is in the file is always whole."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    rng, number, refusals = random.Random(14), 0, 0
    store = made(place)
    try:
        for _ in range(60):
            try:
                signal.setitimer(signal.ITIMER_REAL, rng.uniform(0.0005, 0.01))
                while True:
                    stamp = b"%d" % (number + 1)
                    store.commit({b"r%d" % index: stamp for index in range(15)})
                    number += 1
            except KeyboardInterrupt:
                pass
            signal.setitimer(signal.ITIMER_REAL, 0)
            try:
                store.rows()
            except StoreError:
                refusals += 1
            store.close()
            store = opened(place)
            assert not store.rolled_back
            found = set(store.rows().values())
            assert len(found) <= 1  # one batch, whole
            durable = int(next(iter(found), b"0"))
            assert durable in (number, number + 1)
            number = durable
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        store.close()
    assert number > 10
