"""What was probably meant by a name that nothing has."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any


def among(word: str, names: Iterable[str], others: Iterable[str] = ()) -> str:
    """Return the end of a sentence about a wrong name: what it may have been meant for, and all that there are. others: names that may be meant too."""
    known = list(names)
    meant = nearest(word, [*known, *others])
    return f"{f' (did you mean {meant}?)' if meant else ''}; there {'is' if len(known) == 1 else 'are'} {', '.join(known) or 'none'}"


def nearest(word: str, names: Iterable[str]) -> str | None:
    """Return the name that a word is nearest to: by its letters, by the first letters of its words, as lr is to learning_rate, or as a part of it."""
    known = {name.casefold(): name for name in names}
    wanted = word.casefold()
    close = difflib.get_close_matches(wanted, known, 1)
    short = [name for name in known if wanted == "".join(part[:1] for part in name.rpartition(".")[2].split("_"))]
    parts = [name for name in known if len(wanted) > 2 and wanted in name]
    return next((known[name] for name in (*close, *short, *parts)), None)


def no_such_key(wrong: str, config: Mapping[str, Any], chosen: Mapping[str, Any]) -> str:
    """Say what is wrong with a dotted key that a run's configuration lacks, and what there is in its place. chosen: the name chosen in each group."""
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
