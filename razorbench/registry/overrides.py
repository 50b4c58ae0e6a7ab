"""Overrides KEY=VALUE as typed, converted so that Hydra's grammar reads paths as text, with any characters."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from razorbench.errors import UsageError, among
from razorbench.method.demonstrations import SUFFIX
from razorbench.types import Settings

_WORD = re.compile(r"[A-Za-z_][\w-]*")
ZIP = ".zip"
_FILE = re.compile(r"[A-Za-z][\w.-]{0,99}", re.ASCII)
_NAME = re.compile(r"[\w./,-]*")


def key(override: str) -> str:
    """Return the key of an override, without the signs + and ~."""
    return override.lstrip("+~").partition("=")[0]


def quoted(name: str, text: str) -> str:
    """Return an override that sets a key to exactly this text."""
    text = text.replace("${", r"\${")
    # Inside quotes, only backslashes before a quote are escapes; the closing quote counts too.
    text = re.sub(r"(\\*)'", lambda match: match[1] * 2 + r"\'", text)
    text = re.sub(r"(\\+)$", lambda match: match[1] * 2, text)
    return f"{name}='{text}'"


def literal(overrides: Sequence[str], multirun: bool = False) -> list[str]:
    """Return a command's overrides with the paths of `results=`, `demos=` and `base=PATH.zip` quoted and absolute, the same in every working folder.

    multirun: whether commas separate several values of `demos`. Raises UsageError for an empty path or one with an interpolation.
    """
    kinds = {"results": lambda text: quoted("", str(_absolute("results", text)))[1:], "demos": lambda text: _demonstrations(text, multirun)}
    converted = []
    for override in overrides:
        name, sign, text = override.partition("=")
        if key(override) == "base" and _unquoted(text).endswith(ZIP):
            converted += _zipped(text)
            continue
        converted.append(f"{name}={kinds[key(override)](text)}" if sign and key(override) in kinds else override)
    return converted


def _zipped(text: str) -> list[str]:
    """Return the overrides that make a zip of Stable-Baselines3 the base: with the skills of the default base, and named as its file."""
    path = _absolute("base", text)
    if not _FILE.fullmatch(path.stem):
        raise UsageError(f"base={text}: the base is named as the file: rename it to letters, digits, _, . and -, as in my_policy.zip")
    return [quoted("base.policy", str(path)), f"base.name={path.stem}"]


def is_name(override: str) -> bool:
    """Whether an override's value is a name, and not null, a list or a mapping."""
    text = _unquoted(override.partition("=")[2])
    return text != "null" and bool(_NAME.fullmatch(text))


def resolvers(values: object, path: str = "") -> str | None:
    """Return the first dotted path with a value that a resolver such as `${now:...}` computes; None if there is none."""
    if isinstance(values, str):
        return path if re.search(r"\$\{\s*[\w.]+\s*:", values) else None
    inside = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    return next((found for name, value in inside if (found := resolvers(value, f"{path}.{name}".lstrip(".")))), None)


def _demonstrations(text: str, multirun: bool) -> str:
    if text == "null":
        return text
    values = [text] if not multirun or text[:1] in ("'", '"') else text.split(",")
    files = [str(_absolute("demos", value)) if _unquoted(value).endswith(SUFFIX) else _unquoted(value) for value in values]
    return ",".join(value if _WORD.fullmatch(value) else quoted("", value)[1:] for value in files)


def _absolute(name: str, text: str) -> Path:
    path = _unquoted(text)
    if not path:
        raise UsageError(f"{name}={text}: the path is empty; give one, as in results=runs")
    if "${" in path:
        raise UsageError(f"{name}={text}: a path cannot contain ${{...}}, which Hydra would replace; write the path itself")
    try:
        return Path(path).expanduser().absolute()
    except (OSError, RuntimeError) as error:
        raise UsageError(f"{name}={text}: {error}; write the whole path") from error


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text


def no_such_key(wrong: str, config: Settings, chosen: Settings) -> str:
    """Return the sentence for a dotted key that a run's configuration lacks, with the known keys. chosen: the name chosen in each group."""
    node: Any = config
    place, word = "", wrong
    for word in wrong.split("."):
        if not isinstance(node, Mapping) or word not in node:
            break
        node, place = node[word], f"{place}.{word}".lstrip(".")
    if node is None:
        return f"{wrong}: no {place} is given, so it has no settings; write {place}=NAME as well, or leave this out"
    if not isinstance(node, Mapping):
        return f"{wrong}: {place} is one value and has no settings; write {place}=..."
    names = [str(name) for name in node if name not in ("_target_", "hydra")]
    if place:
        return f"{wrong}: no such setting of {f'{place}={chosen[place]}' if place in chosen else place}{among(word, names)}"
    below = [f"{part}.{name}" for part, settings in config.items() if part != "hydra" and isinstance(settings, Mapping) for name in settings]
    return f"{wrong}: no such key in the configuration{among(word, names, [*below, 'study'])} (see `razorbench list --keys`)"
