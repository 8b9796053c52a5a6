"""The chat as people and programs use it: real processes over TLS."""

import json
import os
import signal
import sys
import termios
from pathlib import Path

import trio

from tests.shell.people import CHAT, ROOT, Person, Program, town


def names(people: list[dict[str, str]]) -> list[str]:
    return [person["name"] for person in people]


async def test_make_add_talk_remove_restart_and_leave(tmp_path: Path) -> None:
    async with town(tmp_path) as here:
        alice, bob = await here.program("alice"), await here.program("bob")
        carol = await here.person("carol")
        cards = [
            (await bob.sees(type="ready"))["card"],
            await carol.hears("groupcrypt:1:"),
        ]
        group = (await alice.do("create", title="climbers"))["group"]
        await alice.do("add", group=group, contacts=cards)
        await bob.sees(type="joined", group=group, title="climbers")
        await carol.hears("-- climbers is open")
        assert set(names((await alice.do("members", group="climbers"))["members"])) == {
            "alice",
            "bob",
            "carol",
        }

        sent = (await alice.do("send", group=group, text="see you at six"))["message"]
        await alice.sees(type="settled", group=group, message=sent)
        told = await bob.sees(type="message", message=sent)
        assert (told["sender"], told["text"], told["group"]) == ("alice", "see you at six", group)
        await carol.hears("<alice> see you at six")
        await carol.types("i bring the rope", "-- delivered: i bring the rope")
        await alice.sees(type="message", sender="carol", text="i bring the rope")
        await carol.types("//slash", "-- delivered: /slash")
        await carol.types("/dm bob between us", "<carol to bob alone> between us")
        assert (await bob.sees(type="message", text="between us"))["group"] is None
        assert not [line for line in alice.lines() if line.get("text") == "between us"]

        assert await bob.end(signal.SIGTERM) == 0
        await carol.types("bob sleeps", "-- delivered")
        bob = await here.program("bob")
        await bob.sees(type="message", text="bob sleeps")
        assert [line["text"] for line in bob.lines() if line["type"] == "message"] == ["bob sleeps"]

        await alice.do("remove", group=group, contacts=["bob"])
        change = await carol.hears("-- alice removed bob from climbers")
        assert change.endswith("bob cannot read what is sent from now on")
        await bob.sees(type="departed", group=group)
        later = (await alice.do("send", group=group, text="without bob"))["message"]
        await alice.sees(type="settled", message=later)
        await carol.hears("<alice> without bob")
        refused = await bob.ask("send", group=group, text="let me in")
        assert (refused["type"], refused["code"]) == ("error", "not-a-member")

        await carol.types("/leave", "-- you are out of climbers")
        left = await alice.sees(type="membership", operation="leave_commit")
        assert names(left["removed"]) == ["carol"]
        assert not [line for line in bob.lines() if line.get("text") == "without bob"]

        assert (await alice.do("quit"))["type"] == "done"
        assert await alice.ended() == 0
        assert [await bob.end(), await carol.end()] == [0, 0]
        assert [alice.errors, bob.errors, carol.errors] == ["", "", ""]


async def test_what_is_said_about_a_line_and_what_became_of_a_message(tmp_path: Path) -> None:
    async with town(tmp_path) as here:
        carol, bob = await here.person("carol"), await here.program("bob")
        await carol.types("/new climbers", "-- climbers is open: only you")
        await carol.types(f"/add {(await bob.do('card'))['card']}", "-- you added bob")
        group = (await bob.sees(type="joined"))["group"]
        await carol.types("/reply to whom?", "nobody wrote here")
        await carol.types("/edit what?", "you wrote nothing here")
        await bob.do("send", group=group, text="see you at six")
        await carol.hears("<bob> see you at six")
        await carol.types("/reply at seven?", "-- answered: at seven?")
        await carol.types("/edit at eight?", "-- it says now")
        await carol.types("/react +1", "-- they all see it")
        await carol.types("/delete", "-- they are asked")
        await carol.types("/timer 60", "-- lines are shown for 1 minute")
        for text in ("at seven?", "at eight?", "[+1 reaction]", "[deleted a message]"):
            await bob.sees(type="message", text=text)

        sent = (await bob.do("dm", contact="carol", text="only for you"))["message"]
        await carol.hears("<bob to you alone> only for you")
        settled = await bob.sees(type="settled", message=sent)
        told = await bob.sees(type="receipt", messages=[sent], read=True)  # carol was shown it
        assert (settled["group"], told["group"]) == (None, None)
        assert settled["to"] == told["account"]


async def test_both_see_the_same_digits_and_who_was_verified(tmp_path: Path) -> None:
    async with town(tmp_path) as here:
        alice, bob = await here.person("alice"), await here.program("bob")
        await alice.types("/new two of us", "-- two of us is open: only you")
        card = (await bob.do("card"))["card"]
        await alice.types(f"/add {card}", "-- you added bob to two of us")
        await bob.sees(type="joined")
        begin = len(alice.said)
        await alice.types("/verify BOB", "-- if bob reads you the same")
        shown = " ".join(line.strip() for line in alice.said[begin:-1])
        assert (await bob.do("safety", contact="alice"))["number"] == shown
        await alice.types("/verified bob", "-- bob is verified")
        await alice.types("/members", "bob  (verified)")
        await alice.types("/admin bob", "changed who is admin")
        await bob.do("rename", group="two of us", title="us")
        await alice.hears("-- bob changed the title")
        await bob.do("heal", group="us")
        await alice.hears("-- bob renewed all keys in us")
        assert (await bob.do("groups"))["groups"][0]["title"] == "us"
        await bob.do("keep-members", group="us")  # an admin since; there is nothing to keep
        new = await bob.do("continue-in-new", group="us")
        told = (await bob.do("groups"))["groups"]
        assert [each["group"] for each in told].count(new["group"]) == 1 and len(told) == 2


MISTAKES = (
    ("hello?", "no group is open: /new TITLE makes one"),
    ("/leave", "no group is open"),
    ("/dance", "there is no /dance: /help"),
    ("/verify", "type /verify NAME"),
    ("/verify zed", "nobody here is called 'zed': /import their card"),
    ("/dm zed hi", "nobody here is called 'zed'"),
    ("/import zed", "paste the whole line"),
    ("/open 7", "no group is called that: see /groups"),
    ("groupcrypt:1:abc", "that is a card: /import it"),
    ("/new a\x07b", "control character"),
)


async def test_a_mistake_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    async with town(tmp_path) as here:
        alice = await here.person("alice")
        for typed, answer in MISTAKES:
            assert (await alice.types(typed, answer)).startswith("!! ")
        own = await alice.hears("groupcrypt:1:")
        assert (await alice.types(f"/import {own}", "your own card")).startswith("!! ")
        await alice.types("/new alone", "-- alone is open")
        assert (await alice.types("/leave", "the only one")).startswith("!! ")
        await alice.types("/status", "-- alone: epoch 0")
        await alice.types("/help", "/verify NAME")
        await alice.types("/quit")
        assert (await alice.ended(), alice.errors) == (0, "")


WRONG = (
    ("what?", "usage"),
    ("[]", "usage"),
    ('{"do": 1}', "usage"),
    ('{"do": "dance"}', "usage"),
    ('{"do": "send"}', "usage"),
    ('{"do": "send", "group": "none", "text": "x"}', "unknown-group"),
    ('{"do": "send", "group": "here", "text": "\\ud800"}', "usage"),
    ('{"do": "send", "group": "here", "text": ""}', "usage"),
    ('{"do": "add", "group": "here", "contacts": "bob"}', "usage"),
    ('{"do": "add", "group": "here", "contacts": ["bob"]}', "unknown-device"),
    ('{"do": "import", "card": "groupcrypt:1:xyz"}', "invalid-card"),
    ('{"do": "create", "title": "' + "x" * 300 + '"}', ""),
    ('{"do": "send", "group": "here", "text": "' + "x" * 70_000 + '"}', "content-too-large"),
)


async def test_a_wrong_command_is_answered_by_an_error(tmp_path: Path) -> None:
    async with town(tmp_path) as here:
        alice = await here.program("alice")
        await alice.do("create", title="here")
        for typed, code in WRONG:
            begin = len(alice.said)
            await alice.types(typed)
            answer = await alice.sees(begin, type="error")
            assert answer["text"] and (answer["code"] == code or not code), answer
        assert (await alice.do("describe"))["node"]["connected"] is True
        assert (await alice.end(), alice.errors) == (0, "")


async def test_a_signal_ends_it_in_order(tmp_path: Path) -> None:
    async with town(tmp_path) as here:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            person = await here.person(number.name)
            assert (await person.end(number), person.errors) == (0, "")


async def test_on_a_terminal_the_line_being_typed_stays_and_the_terminal_is_put_back(
    tmp_path: Path,
) -> None:
    ours, theirs = os.openpty()
    before = termios.tcgetattr(theirs)
    try:
        async with town(tmp_path) as here:
            process = await trio.lowlevel.open_process(
                [sys.executable, *CHAT, *here.home("alice")],
                stdin=theirs,
                stdout=theirs,
                stderr=theirs,
                cwd=ROOT,
                env={**os.environ, "TERM": "xterm", "NO_COLOR": "1"},
            )
            shown = ""

            async def sees(text: str) -> None:
                nonlocal shown
                with trio.fail_after(15):
                    while text not in shown:
                        await trio.lowlevel.wait_readable(ours)
                        shown += os.read(ours, 4096).decode()

            await sees("-- connected")
            assert not termios.tcgetattr(theirs)[3] & termios.ECHO
            os.write(ours, b"/new attic\nhi \x7fya")
            await sees("attic> hiya")
            os.write(ours, b"\n")
            await sees("<alice> hiya  \u2713")
            process.send_signal(signal.SIGTERM)
            with trio.fail_after(15):
                assert await process.wait() == 0
            assert "Traceback" not in shown and "\x1b[3" not in shown
        assert termios.tcgetattr(theirs)[3] == before[3]
    finally:
        os.close(ours)
        os.close(theirs)


async def test_what_is_written_without_a_server_is_sent_later(tmp_path: Path) -> None:
    async with town(tmp_path) as here:
        alice = await here.person("alice")
        await alice.types("/new diary", "-- diary is open")
        assert await here.server.end(signal.SIGTERM) == 0
        await alice.hears("-- no connection")
        await alice.types("dear diary", "<alice> dear diary")
        assert await alice.end(signal.SIGTERM) == 0
        listen = ("--listen", here.address, "--data", str(tmp_path / "server"))
        await here.begin(Person(here.nursery, "-m", "groupcrypt", "serve", *listen))
        begun = Program(here.nursery, "-m", "groupcrypt", "node", "--json", *here.home("alice"))
        await here.begin(begun)
        await begun.sees(type="settled")


async def test_homes_in_use_and_wrong_keys_are_one_line(tmp_path: Path) -> None:
    async with town(tmp_path) as here:
        alice = await here.person("alice")
        second = Person(here.nursery, *CHAT, *here.home("alice"))
        await here.begin(second)
        assert (await second.ended(), second.errors.count("\n")) == (5, 1)
        assert second.errors.startswith("groupcrypt: store-locked: ")
        await alice.end()

        other = Program(here.nursery, *CHAT, "--json", *here.home("bob")[:-1], "00" * 31 + "01")
        await here.begin(other)
        await other.sees(type="disconnected", code="certificate-mismatch")
        assert await other.end(signal.SIGTERM) == 0

        long = Person(here.nursery, *CHAT, *here.home("dave"), "--name", "x" * 400)
        await here.begin(long)
        assert (await long.ended(), long.errors.count("\n")) == (1, 1)

        nowhere = Person(here.nursery, *CHAT, "--home", str(tmp_path / "none"))
        await here.begin(nowhere)
        assert (await nowhere.ended(), nowhere.errors.count("\n")) == (5, 1)

        people = Person(here.nursery, "-m", "groupcrypt", "node", *here.home("carol"))
        await here.begin(people)
        assert (await people.ended(), people.errors.count("\n")) == (2, 1)


async def test_commands_may_come_from_a_file(tmp_path: Path) -> None:
    async with town(tmp_path) as here:
        commands = tmp_path / "commands"
        commands.write_text(
            '{"do": "create", "title": "notes"}\n{"do": "send", "group": "notes", "text": "one"}'
        )
        with commands.open("rb") as file, trio.fail_after(15):
            done = await trio.run_process(
                [sys.executable, "-m", "groupcrypt", "node", "--json", *here.home("alice")],
                stdin=file,
                capture_stdout=True,
                cwd=ROOT,
            )
        told = [json.loads(line)["type"] for line in done.stdout.splitlines()]
        assert told.count("done") == 2
        assert "settled" in told or "connected" in told
