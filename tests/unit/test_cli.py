"""The command: how it ends, what it prints, and what the doctor and the vectors do."""

import io
import json
import os
import resource
import socket
import sqlite3
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from groupcrypt import cli, errors
from groupcrypt.cli import checks, checks_given, command, doctor, outcome
from groupcrypt.cli.checks import Finding, Level
from groupcrypt.connection import ALPN
from groupcrypt.errors import GroupcryptError
from groupcrypt.store.lock import FileLock
from groupcrypt.testing import vectors
from groupcrypt.testing.vectors import Chapter, Vector, vector

Capture = pytest.CaptureFixture[str]


def every_error() -> list[type[GroupcryptError]]:
    kinds = [item for item in vars(errors).values() if isinstance(item, type)]
    return [kind for kind in kinds if issubclass(kind, GroupcryptError)]


def raising(error: BaseException) -> Callable[[], int]:
    def run() -> int:
        raise error

    return run


# --- the command line ----------------------------------------------------------------------------


@pytest.mark.parametrize(("line", "code"), [("--help", 0), ("--version", 0), ("doctor --help", 0)])
def test_help_is_on_stdout(line: str, code: int, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(line.split())
    assert ended.value.code == code
    assert "groupcrypt" in capsys.readouterr().out


@pytest.mark.parametrize(
    "line", ["", "nonsense", "doctor --nonsense", "doctor --js", "vectors", "doctor --pin 00"]
)
def test_wrong_usage_is_2_and_one_message(line: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(line.split())
    assert ended.value.code == outcome.USAGE
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "error:" in shown.err


def test_every_command_takes_json_and_has_a_summary() -> None:
    shown = cli.parser().format_help()
    for module in cli.COMMANDS:
        name = module.__name__.rpartition(".")[2]
        assert f"\n    {name} " in shown


# --- how it ends ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", every_error())
def test_an_error_of_ours_is_one_line_and_a_code(
    kind: type[GroupcryptError], capsys: Capture
) -> None:
    code = outcome.guard(raising(kind("what\nhappened")))
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    assert shown.err.startswith(f"groupcrypt: {kind.code}: ")
    assert "happened" in shown.err
    assert code == expected_code(kind)


def expected_code(kind: type[GroupcryptError]) -> int:
    if kind in (errors.CertificateMismatch, errors.IdentityChanged, errors.UnknownSigner):
        return 3
    if issubclass(kind, errors.StoreError):
        return 5
    if issubclass(kind, errors.TransportError) and kind is not errors.ServerRefused:
        return 4
    return 1


@pytest.mark.parametrize(
    "kind",
    [kind for kind in every_error() if issubclass(kind, errors.StoreError | errors.TransportError)],
)
def test_trouble_with_store_or_server_says_what_to_do(kind: type[GroupcryptError]) -> None:
    _, _, remedy = outcome.described(kind("x"))
    assert remedy


def test_with_json_the_error_is_an_object_too(capsys: Capture) -> None:
    error = errors.StoreLocked("process 12 has it")
    assert outcome.guard(raising(error), json_lines=True) == outcome.STORE
    shown = capsys.readouterr()
    remedy = "stop the other process, or use another --home"
    assert json.loads(shown.out) == {
        "type": "error",
        "code": "store-locked",
        "text": "process 12 has it",
        "remedy": remedy,
    }
    assert shown.err == f"groupcrypt: store-locked: process 12 has it; {remedy}\n"


def test_an_error_inside_groups_is_found(capsys: Capture) -> None:
    inner = ExceptionGroup("g", [errors.ServerUnreachable("nobody answers")])
    assert outcome.guard(raising(ExceptionGroup("h", [inner]))) == outcome.OFFLINE
    assert "server-unreachable: nobody answers" in capsys.readouterr().err


def test_a_system_error_names_the_file(capsys: Capture) -> None:
    error = FileNotFoundError(2, "No such file or directory", "some/where")
    assert outcome.guard(raising(error)) == outcome.FAILED
    shown = "groupcrypt: system: some/where: No such file or directory\n"
    assert capsys.readouterr().err == shown


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), BaseExceptionGroup("g", [KeyboardInterrupt(), OSError()])]
)
def test_an_interrupt_is_130_and_silent(error: BaseException, capsys: Capture) -> None:
    assert outcome.guard(raising(error)) == 130
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    "error",
    [ZeroDivisionError(), ExceptionGroup("g", [errors.StoreFull("x"), KeyError("bug")])],
)
def test_a_bug_passes_with_its_traceback(error: Exception) -> None:
    with pytest.raises(type(error)):
        outcome.guard(raising(error))


def test_a_reader_that_went_away_ends_it_without_a_word() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as gone:
        ended = subprocess.run(
            [sys.executable, "-m", "groupcrypt", "doctor"],
            stdin=subprocess.DEVNULL,
            stdout=gone,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert ended.stderr == b""
    assert ended.returncode == outcome.FAILED


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_colour_is_for_terminals_that_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert command.painted("x", "red", Terminal()) == "\x1b[31mx\x1b[0m"
    assert command.painted("x", "red", io.StringIO()) == "x"
    monkeypatch.setenv("NO_COLOR", "1")
    assert command.painted("x", "red", Terminal()) == "x"
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert command.painted("x", "red", Terminal()) == "x"


# --- vectors -------------------------------------------------------------------------------------


def generate() -> tuple[list[Vector], list[Vector]]:
    good = vector("99.1", "one", {"x": b"\1"})
    return [good], [vector("99.1", "two", {"x": b"\2"}, expect=errors.BadKey)]


def check_one(one: Vector) -> None:
    assert one["given"]["x"] in {"01", "02"}


@pytest.fixture
def chapter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "chapters", lambda: (Chapter("99-x", generate, check_one),))


@pytest.mark.usefixtures("chapter")
def test_vectors_are_written_checked_and_found_wrong(tmp_path: Path, capsys: Capture) -> None:
    assert cli.main(["vectors", "write", str(tmp_path)]) == 0
    assert cli.main(["vectors", "check", str(tmp_path)]) == 0
    assert f"2 passed, 0 failed in {tmp_path}" in capsys.readouterr().out
    path = tmp_path / "99-x.json"
    path.write_text(path.read_text().replace('"01"', '"03"'))
    assert cli.main(["vectors", "check", str(tmp_path), "--json"]) == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["type"] for line in lines] == ["failure", "failure", "report"]
    assert (lines[0]["file"], lines[0]["vector"]) == ("99-x.json", "one")
    assert (lines[2]["passed"], lines[2]["failed"]) == (1, 2)


@pytest.mark.usefixtures("chapter")
def test_vectors_default_to_the_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["vectors", "write"]) == outcome.USAGE
    assert "give the folder" in capsys.readouterr().err
    (tmp_path / "spec" / "vectors").mkdir(parents=True)
    assert cli.main(["vectors", "write"]) == 0
    assert (tmp_path / "spec" / "vectors" / "99-x.bad.json").exists()
    assert cli.main(["vectors", "check", "nowhere"]) == outcome.USAGE


def test_a_folder_without_vectors_is_no_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vectors, "chapters", lambda: ())
    assert cli.main(["vectors", "check", str(tmp_path)]) == 1


# --- doctor --------------------------------------------------------------------------------------


def levels(found: Iterator[Finding]) -> list[Level]:
    return [finding.level for finding in found]


def test_this_machine_is_fit(capsys: Capture) -> None:
    assert cli.main(["doctor", "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert all(line["level"] in {"ok", "warn"} for line in lines)
    assert {"python", "openssl", "sqlite", "clock", "loopback"} <= {line["check"] for line in lines}
    assert cli.main(["doctor"]) == 0
    assert capsys.readouterr().out.count("\n") >= len(lines)


@pytest.mark.parametrize(
    ("failed", "code"),
    [
        ([], 0),
        (["server"], 4),
        (["store"], 5),
        (["server", "store"], 5),
        (["sqlite", "store"], 1),
    ],
)
def test_the_gravest_failure_is_the_exit_code(failed: list[str], code: int) -> None:
    found = [Finding("terminal", Level.WARN, ""), Finding("python", Level.OK, "")]
    assert doctor.verdict([*found, *(Finding(name, Level.FAIL, "") for name in failed)]) == code


def test_a_check_that_crashes_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", raising(RuntimeError("no clock")))
    (finding,) = checks.examined("clock", checks.clock)
    assert finding.level is Level.FAIL
    assert "no clock" in finding.text


@pytest.mark.parametrize(
    ("version", "fits"),
    [
        ("50.0.0", True),
        ("50.9", True),
        ("49.9.9", False),
        ("51.0.0", False),
        ("51.0.0rc1", False),
        ("100", False),
    ],
)
def test_versions_are_compared_as_numbers(version: str, *, fits: bool) -> None:
    assert checks.within(version, "cryptography<51,>=50.0.0") is fits


def test_a_dependency_out_of_range_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["trio<0.2,>=0.1", 'pytest; extra == "test"']
    monkeypatch.setattr(metadata, "requires", lambda _: lines)
    (finding,) = checks.packages()
    assert finding.level is Level.FAIL
    assert finding.remedy == "pip install 'trio<0.2,>=0.1'"


def test_a_newer_python_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "NEWEST_PYTHON", (3, 10))
    assert levels(checks.python()) == [Level.WARN]


def test_a_broken_primitive_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(checks.PRIMITIVES, "ML-KEM-768", lambda: False)
    (finding,) = checks.openssl()
    assert finding.level is Level.FAIL
    assert finding.text.startswith("ML-KEM-768 of OpenSSL")


@pytest.mark.parametrize("seconds", [0.0, 1_700_000_000.0])
def test_a_clock_in_the_past_is_a_failure(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: seconds)
    assert levels(checks.clock()) == [Level.FAIL]


def test_little_space_and_no_rights_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert checks.space("x", tmp_path).level is Level.OK
    monkeypatch.setattr(checks, "FREE_BYTES", 2**80)
    assert checks.space("x", tmp_path).level is Level.WARN
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert checks.space("x", tmp_path).level is Level.FAIL


def test_the_home_of_a_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "not" / "there"))
    (finding,) = checks.home()
    assert (finding.level, finding.text.split(",")[0]) == (Level.OK, str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    assert levels(checks.home()) == [Level.WARN]


def test_no_loopback_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket, "create_server", refuse)
    assert levels(checks.loopback()) == [Level.FAIL]


def test_low_limits_and_core_dumps_are_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 256))
    assert levels(checks.limits()) == [Level.WARN, Level.WARN]


def test_a_terminal_without_unicode_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), "ascii"))
    assert levels(checks.terminal()) == [Level.WARN]


# --- doctor: a store -----------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    database = sqlite3.connect(folder / "device.sqlite")
    database.executescript("PRAGMA journal_mode=WAL; CREATE TABLE t (v); INSERT INTO t VALUES (1)")
    database.close()
    (folder / "device.sqlite").chmod(0o600)
    return folder


def test_a_store_that_is_whole(home: Path) -> None:
    before = {path.name: path.read_bytes() for path in home.iterdir()}
    assert levels(checks_given.store(home)) == [Level.OK, Level.OK]
    assert {path.name: path.read_bytes() for path in home.iterdir()} == before


def test_a_store_in_use_names_its_process(home: Path) -> None:
    place = home / "device.sqlite"
    lock = FileLock.acquire(home / "device.sqlite.lock")
    found = [*checks_given.store(home)]
    lock.release()
    assert found[-1].text == f"{place} is in use by process {os.getpid()}"
    assert [*checks_given.store(home)][-1].text == f"{place} is whole and not in use"


def test_a_store_that_was_not_closed_is_not_touched(home: Path) -> None:
    log = home / "device.sqlite-wal"
    log.write_bytes(b"anything")
    log.chmod(0o600)
    found = [*checks_given.store(home)]
    assert "was not closed in order" in found[-1].text
    assert log.read_bytes() == b"anything"


def test_a_damaged_store_is_a_failure(home: Path) -> None:
    path = home / "device.sqlite"
    raw = path.read_bytes()
    path.write_bytes(raw[:100] + b"\xff" * (len(raw) - 100))
    found = [*checks_given.store(home)]
    assert found[-1].level is Level.FAIL
    assert "damaged" in found[-1].text


def test_a_store_others_can_read_is_a_warning(home: Path) -> None:
    (home / "device.sqlite").chmod(0o644)
    found = [*checks_given.store(home)]
    assert (
        Finding(
            "store",
            Level.WARN,
            f"others may read {home / 'device.sqlite'}",
            f"chmod 600 {home / 'device.sqlite'}",
        )
        in found
    )


def test_no_folder_and_no_store(tmp_path: Path, capsys: Capture) -> None:
    tmp_path.chmod(0o700)
    assert levels(checks_given.store(tmp_path)) == [Level.OK, Level.WARN]
    assert cli.main(["doctor", "--home", str(tmp_path / "none")]) == outcome.STORE
    assert "is not a folder" in capsys.readouterr().out


# --- doctor: a server ----------------------------------------------------------------------------


def test_a_server_that_is_not_there(capsys: Capture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert cli.main(["doctor", "--server", f"127.0.0.1:{port}"]) == outcome.OFFLINE
    assert "nobody answers" in capsys.readouterr().out


@pytest.fixture
def strange_server(tmp_path: Path) -> Iterator[str]:
    """A TLS server with a key that nobody vouches for, which never greets; its address."""
    key = Ed25519PrivateKey.generate()
    name = x509.Name([])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, None)
    )
    files = tmp_path / "key.pem", tmp_path / "certificate.pem"
    files[0].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    files[1].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files[1], files[0])
    context.set_alpn_protocols([ALPN])
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=shake_hands, args=(listening, context), daemon=True)
        thread.start()
        yield f"127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


def shake_hands(listening: socket.socket, context: ssl.SSLContext) -> None:
    while True:
        try:
            plain, _ = listening.accept()
        except OSError:
            return
        try:
            with context.wrap_socket(plain, server_side=True):
                pass
        except OSError:
            plain.close()


def test_an_unknown_key_is_shown_for_comparison(strange_server: str) -> None:
    pin = checks_given.presented_pin(strange_server)
    (finding,) = checks_given.server(strange_server, None)
    assert finding.level is Level.WARN
    assert finding.remedy.endswith(f"--pin {pin}")


def test_another_key_than_the_pinned_one_is_a_failure(strange_server: str) -> None:
    (finding,) = checks_given.server(strange_server, b"\1" * 32)
    assert finding.level is Level.FAIL
    assert checks_given.presented_pin(strange_server) in finding.text


def test_the_pinned_key_without_a_greeting_is_a_failure(strange_server: str) -> None:
    pin = bytes.fromhex(checks_given.presented_pin(strange_server))
    (finding,) = checks_given.server(strange_server, pin)
    assert finding.level is Level.FAIL


def test_a_clock_that_differs_from_the_server_is_a_warning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def greeting(_address: str, _pin: bytes | None) -> int:
        return int(time.time()) - 1_000

    monkeypatch.setattr(checks_given, "_greeting", greeting)
    assert levels(checks_given.server("host:1", None)) == [Level.OK, Level.WARN]
