"""What a stranger may try at the board: with names, with pull requests, with levels."""

# The look-alikes are meant.
# ruff: noqa: RUF001

from test_submission import setting

NAMES = {
    "right to left": "SFT\u202e",
    "isolates": "SFT\u2066x\u2069",
    "a zero-width space": "SF\u200bT",
    "a zero-width joiner": "SF\u200dT",
    "a soft hyphen": "SF\u00adT",
    "a word joiner": "SFT\u2060",
    "a byte-order mark": "\ufeffSFT",
    "a filler of Hangul": "SFT\u3164",
    "a blank of Braille": "SFT \u2800x",
    "a grapheme joiner": "SF\u034fT",
    "a variant's selector": "SFT\ufe0f",
    "a control": "SFT\x07",
    "a new line": "SFT\nx",
    "a tabulator": "SFT\tx",
    "a hard blank": "SFT\u00a0x",
    "blanks together": "SFT  x",
    "a blank at the end": "SFT ",
    "a Cyrillic letter among Latin ones": "SFТ",
    "a Greek letter among Latin ones": "ΡPO",
    "letters of full width": "ＳＦＴ",
    "a ligature": "ﬁne",
    "a Roman numeral": "Ⅳ",
    "mathematical letters": "𝐒𝐅𝐓",
    "a letter in two parts": "e\u0301gal",
    "marks upon marks": "S\u0338\u0321\u0322\u0327FT",
    "a lone surrogate": "SFT\ud800",
    "private letters": "SFT\ue000",
    "signs alone": "!!!",
    "nothing": "",
    "too much": "x" * 121,
}

ALIKE = (
    ("PPO", "ppo"),
    ("PPO", "P P O"),
    ("PPO", "РРО"),
    ("PPO", "ΡΡΟ"),
    ("PPO", "PP0"),
    ("PPO", "PPÖ"),
    ("SFT RL", "SFT-RL"),
    ("SFT l", "SFT I"),
    ("SFT 1", "SFT l"),
    ("modern", "modem"),
    ("RazorBench", "RazorBench!"),
    ("view", "vievv"),
)


def raw(*changes):
    """As `git diff --raw -z` writes: (status, path) or (status, path, mode)."""
    found = ""
    for status, path, *mode in changes:
        before, after = ("000000" if status == gone else "100644" for gone in "AD")
        found += f":{before} {mode[0] if mode else after} {'a' * 40} {'b' * 40} {status}\0{path}\0"
    return found.encode()


_E, _L = "baselines/results/entries/", "baselines/results/levels/"
_NEW = ("A", f"{_E}mine/submission.json")
PULLS = {
    "a level of one's own": ("NONE", (_NEW, ("A", f"{_L}mine.json")), "levels are given by whoever keeps the board"),
    "a rival's level changed": ("NONE", (_NEW, ("M", f"{_L}sft.json")), "levels are given by whoever keeps the board"),
    "a rival's level deleted": ("NONE", (_NEW, ("D", f"{_L}sft.json")), "levels are given by whoever keeps the board"),
    "a second level of a rival's": ("FIRST_TIME_CONTRIBUTOR", (_NEW, ("A", f"{_L}sft2.json")), "levels are given"),
    "a level by a contributor of before": ("CONTRIBUTOR", (("A", f"{_L}mine.json"),), "levels are given"),
    "a rival deleted": ("NONE", (_NEW, ("D", f"{_E}sft/submission.json")), "a file that is there is deleted"),
    "a rival changed": ("NONE", (_NEW, ("M", f"{_E}sft/SHA256SUMS")), "a file that is there is changed"),
    "a rival's file added": ("NONE", (("A", f"{_E}sft/runs/more.json"),), "entry sft is there already"),
    "a rival in other letters": ("NONE", (("A", f"{_E}SFT/submission.json"),), "entry SFT is there already"),
    "a rival turned into a link": ("NONE", (("T", f"{_E}sft/submission.json", "120000"),), "it is no plain file (mode 120000)"),
    "a link": ("NONE", (("A", f"{_E}mine/record.json", "120000"),), "it is no plain file (mode 120000)"),
    "a module": ("NONE", (("A", f"{_E}mine/more", "160000"),), "it is no plain file (mode 160000)"),
    "a program": ("NONE", (("A", f"{_E}mine/run.sh", "100755"),), "it is no plain file (mode 100755)"),
    "another workflow": ("NONE", (_NEW, ("M", ".github/workflows/submission.yml")), "what checks a submission is not changed along with one"),
    "another workflow, by a keeper": ("OWNER", (_NEW, ("A", ".github/workflows/more.yml")), "what checks a submission is not changed along with one"),
    "the checks changed": ("NONE", (_NEW, ("M", "razorbench/submission/validate.py")), "it is no part of an entry"),
    "constraints changed": ("NONE", (_NEW, ("M", "constraints.txt")), "it is no part of an entry"),
    "other results": ("NONE", (_NEW, ("A", "baselines/results/runs/x.json")), "it is no part of an entry"),
    "two entries": ("NONE", (_NEW, ("A", f"{_E}other/submission.json")), "files of several entries are changed"),
    "a file in no entry": ("NONE", (("A", f"{_E}loose.json"),), "it lies in no entry's folder"),
    "a path that climbs": ("NONE", (("A", f"{_E}mine/../sft/submission.json"),), "its name has other signs"),
    "a path with a line in it": ("NONE", (("A", f"{_E}mine/a\nb"),), "its name has other signs"),
    "a hidden file": ("NONE", (("A", f"{_E}mine/.gitattributes"),), "its name has other signs"),
    "an attribute for all": ("NONE", (_NEW, ("A", ".gitattributes")), "it is no part of an entry"),
    "a letter that looks like another": ("NONE", (("A", f"{_E}ѕft/submission.json"),), "its name has other signs"),
    "nothing": ("NONE", (), "nothing is changed"),
    "three thousand files": ("NONE", tuple(("A", f"{_E}mine/f{k}") for k in range(3000)), "3000 files are changed: a submission has at most 2000"),
}


def _level(path, value):
    return lambda level: setting(path, value)(level)


LEVELS = {
    "a higher score": (_level("fresh.score", {"value": 1.0, "ci95": [1.0, 1.0]}), "its score is 1.0, those of its runs come to"),
    "a higher score of a run": (_level("fresh.runs.0.score", 1.0), "its score of stack, seed 0, is 1.0, its success rates come to"),
    "another text": (_level("fresh.score_text", "1.000"), "its score_text is '1.000'"),
    "a success above 1": (_level("fresh.runs.0.success.stack.final", 1.5), "less than or equal to 1"),
    "a success that is a word": (_level("fresh.runs.0.success.stack.final", "1"), "valid number"),
    "a skill left out": (lambda level: level["fresh"]["runs"][0]["success"].pop("lift"), "is not of the new task and of each original skill"),
    "a skill made up": (_level("fresh.runs.0.success.fly", {"base": 1.0, "final": 1.0}), "is not of the new task and of each original skill"),
    "no base": (lambda level: level["fresh"]["runs"][0]["success"]["lift"].pop("base"), "base and final"),
    "a run twice": (lambda level: level["fresh"]["runs"].append(level["fresh"]["runs"][0]), "once"),
    "a run left out": (_level("fresh.runs", []), "at least 1 item"),
    "a run of another task": (_level("fresh.runs.0.task", "lift"), "once"),
    "a run of another seed": (_level("fresh.runs.0.seed", 5), "once"),
    "retrained without a retraining": (_level("level", "retrained"), "its retrained_exact is None, its level retrained"),
    "a retraining of what was replayed": (_level("retrained_exact", 1), "its retrained_exact is 1, its level replayed"),
    "more exact than runs": (_level("exact", 99), "its exact is 99, of 1 runs"),
    "a level of one's own": (_level("level", "best"), "level: "),
    "a day ahead": (_level("when", "2999-01-01"), "the day lies ahead"),
    "a day that is none": (_level("when", "2026-02-30"), "there is no such day"),
    "a month that is none": (_level("when", "2026-13-01"), "there is no such day"),
    "no day": (_level("when", "yesterday"), "when: "),
    "a digest that is none": (_level("package", "../x"), "package: "),
    "a replayer nobody sees": (_level("who", "RazorBench\u202e"), "expected printable characters"),
    "a seed below 0": (_level("fresh_seed", -1), "fresh_seed: "),
    "a word more": (_level("prize", 1), "prize: "),
}
