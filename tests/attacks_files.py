"""Attacks on a package's files, and on what its submission says of itself."""

from __future__ import annotations

# The look-alikes are meant.
# The look-alikes are meant.
# ruff: noqa: RUF001
import os
from pathlib import Path

from packages import CURVE, EPISODES, POLICY, RECORD
from test_submission import edit, setting

from razorbench.store.packing import xz


def on(file, change):
    return lambda package, known: edit(package, file, change)


def writing(file, data):
    return lambda package, known: (package / file).write_bytes(data)


def replaced(file, make):
    def change(package, known):
        (package / file).unlink()
        make(package / file)

    return change


def named(field, value):
    return on("submission.json", setting(field, value))


FILES = {
    **{
        f"a link in the place of {Path(file).name}": (replaced(file, lambda path: path.symlink_to("/dev/zero")), "kind is a link")
        for file in (RECORD, CURVE, EPISODES, POLICY)
    },
    **{
        f"a pipe in the place of {Path(file).name}": (replaced(file, os.mkfifo), "kind is no regular file")
        for file in (RECORD, CURVE, EPISODES, POLICY, "submission.json")
    },
    **{f"a folder in the place of {Path(file).name}": (replaced(file, os.mkdir), f"{file}: ") for file in (RECORD, EPISODES)},
    "a bomb as the curve": (writing(CURVE, xz(bytes(50_000_000))), f"{CURVE}: unpacked size is more than 8000000 bytes"),
    "a bomb as the episodes": (writing(EPISODES, xz(bytes(50_000_000))), f"{EPISODES}: unpacked size is more than 8000000 bytes"),
    "two streams": (
        lambda package, known: (package / CURVE).write_bytes((package / CURVE).read_bytes() * 2),
        f"{CURVE}: compression is cut short, or followed by more",
    ),
    "lists within lists": (writing(RECORD, b"[" * 200_000), f"{RECORD}: nesting is more than"),
    "mappings within mappings": (writing(RECORD, b'{"a":' * 80_000), f"{RECORD}: nesting is more than"),
    "quotes alone": (writing(CURVE, xz(b'"' * 2_000_000)), f"{CURVE}, line 1: JSON is"),
    "quotes and strokes": (writing(RECORD, b'"\\' * 240_000), f"{RECORD}: JSON is"),
    "a megabyte of spaces": (writing(RECORD, b" " * 1_000_000), f"{RECORD}: size is 1000000 bytes, expected at most 500000 bytes"),
    "a number of a hundred thousand digits": (writing(RECORD, b'{"seed": ' + b"9" * 100_000 + b"}"), f"{RECORD}: JSON is"),
    "a key twice": (
        lambda package, known: (package / RECORD).write_text('{"seed": 1, ' + (package / RECORD).read_text()[1:]),
        f"{RECORD}: JSON is a mapping has the same key twice",
    ),
    "no UTF-8": (writing("submission.json", b"\xff\xfe{}"), "submission.json: encoding is invalid UTF-8 at byte 0"),
    "a program beside": (lambda package, known: (package / "setup.py").write_text("1"), "setup.py: presence is there, expected nothing"),
    "a folder of another run": (
        lambda package, known: (package / "runs" / "stack" / "seed9").mkdir() or (package / "runs/stack/seed9/record.json").write_text("{}"),
        "presence is there",
    ),
    "a name with a line in it": (lambda package, known: (package / "a\nb").write_text(""), "expected letters, digits"),
    "columns of several lengths": (writing(EPISODES, xz(b"policy,a\ntask,b,c\n")), f"{EPISODES}: lengths of its columns"),
    "columns of other names": (writing(EPISODES, xz(b"policy\ntask\n")), f"{EPISODES}: columns is"),
}

HOLDS = "submission.json: "
SAID = {
    "no mapping": (writing("submission.json", b"[]"), "submission.json: "),
    "a score that is a word": (named("scores.score", {"value": "high", "ci95": [0.1, 0.2]}), "scores.score.value is high"),
    "a score outside its interval": (named("scores.score", {"value": 1.0, "ci95": [0.1, 0.2]}), "a value lies within its interval"),
    "a score of one's own": (named("scores.mine", {"value": 1.0, "ci95": [1.0, 1.0]}), f"{HOLDS}scores.mine is"),
    "a track without demonstrations": (named("track.demonstrations", False), f"{HOLDS}track.demonstrations is False, expected True"),
    "a track with a base of one's own": (named("track.base", "mine"), f"{HOLDS}track.base is mine, expected one of"),
    "a suite of one's own": (named("suite", "mine"), f"{HOLDS}suite is mine, expected one of"),
    "a method that is a path": (named("method", "../sft"), f"{HOLDS}method is ../sft"),
    "a method in Cyrillic": (named("method", "ѕft"), f"{HOLDS}method is"),
    "fifty-one authors": (named("authors", [f"A{k}" for k in range(51)]), f"{HOLDS}authors is"),
    "an address with a look-alike": (named("code", "https://githuЬ.com/x"), f"{HOLDS}code is"),
    "an address with a user": (named("paper", "https://arxiv.org@evil.example/x"), f"{HOLDS}paper is"),
    "an address of a page's own": (named("code", "data:text/html,x"), f"{HOLDS}code is"),
    "a description of controls": (named("description", "fine\x1b[2Jfine"), f"{HOLDS}"),
    "a description that turns round": (named("description", "fine \u202e enif"), f"{HOLDS}"),
}
