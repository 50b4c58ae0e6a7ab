"""The runs of a command: expands experiments, suites and swept values, and composes each combination."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig

from razorbench.errors import UsageError
from razorbench.registry.building import UPSTREAM, Builder
from razorbench.registry.messages import CHOSEN
from razorbench.registry.overrides import key, literal, quoted
from razorbench.registry.plain import plain_config
from razorbench.runs.spec import RunSpec
from razorbench.runs.sweep import Asked
from razorbench.runs.tracking import check
from razorbench.types import Settings

_GROUPS = ("task", "sequence", "method", "base", "budget", "eval")
"""Parts of a run's configuration that are composed separately."""
_WORDS = ("seed", "demos", "log_std", "results", "track")
"""Keys of a run with one plain value."""
EVERY = "demos=every"
"""Override for one run with each of the task's demonstration styles."""


class Composing(Protocol):
    """Composes configurations."""

    def whole(self, overrides: list[str]) -> DictConfig:
        """Return the configuration of a run."""

    def alone(self, overrides: list[str]) -> DictConfig:
        """Return the part of a configuration that overrides choose."""

    def suite(self, name: str) -> list[str] | None:
        """Return the tasks of a suite, or None if there is no such suite."""


def asked(registry: Composing, own: str | None, overrides: list[str], multirun: bool) -> list[Asked]:
    """Return the distinct runs of a command, in order. own: absolute path of the user's own conf folder.

    Raises UsageError or FileDamaged with one sentence.
    """
    parts = _Parts(registry)
    runs: dict[Path, Asked] = {}
    _refuse_twice(overrides)
    for sweep in _experiment(registry, overrides, multirun):
        for combination in combinations(literal(_suites(registry, sweep, multirun), multirun), multirun):
            if EVERY in combination and not multirun:
                raise UsageError(f"{EVERY}: every style is several runs and needs -m, as in `python -m razorbench -m {EVERY}`")
            for single in parts.styles(combination):
                plain, chosen = parts.of(single)
                check(plain["track"])
                spec, results = parts.builder.spec(plain, chosen), Path(str(plain["results"])).absolute()
                folder = spec.folder(results)
                others = [override for override in single if key(override) != "results"]
                runs.setdefault(folder.path, Asked([*others, quoted("results", str(results))], spec, folder, own))
    return list(runs.values())


def _experiment(registry: Composing, overrides: list[str], multirun: bool) -> list[list[str]]:
    """Return the sweeps of `+experiment=NAME`, with the command's other overrides instead of those with the same key; without one, the overrides."""
    named = [override for override in overrides if override.lstrip("+").startswith("experiment=")]
    # A user's experiment may also be one of Hydra's: settings for a run.
    kinds = [registry.alone([f"+{override.lstrip('+')}"]).get("experiment") for override in named]
    if not any(kinds):
        return [overrides]
    if len(named) > 1 or not multirun:
        raise UsageError(f"{' '.join(named)}: one experiment is several runs and needs -m, as in `python -m razorbench -m {named[0]}`")
    others = [override for override in overrides if override not in named]
    replaced = {override.partition("=")[0] for override in others}
    return [[*(word for word in line.split() if word.partition("=")[0] not in replaced), *others] for line in kinds[0].sweeps]


def _suites(registry: Composing, overrides: list[str], multirun: bool) -> list[str]:
    """Replace a suite's name in `task=` by its tasks, so that launchers get task names. Raises UsageError without -m."""
    expanded = []
    for override in overrides:
        key, _, value = override.partition("=")
        if key == "task":
            tasks = [registry.suite(name) or [name] for name in value.split(",")]
            if not multirun and any(len(part) > 1 for part in tasks):
                raise UsageError(f"{override}: a suite is several runs and needs -m, as in `python -m razorbench -m {override}`")
            override = f"task={','.join(dict.fromkeys(itertools.chain(*tasks)))}"
        expanded.append(override)
    return expanded


def _refuse_twice(overrides: Sequence[str]) -> None:
    """Raise UsageError for two values of the same key, of which Hydra would silently use one."""
    first: dict[str, str] = {}
    for override in overrides:
        name = key(override)
        if name in (*CHOSEN, *_WORDS) and first.setdefault(name, override) is not override:
            raise UsageError(f"{first[name]} and {override}: {name} is given twice; give it once, or several values with -m, as in `-m seed=0,1`")


class _Parts:
    """Composes runs from parts, each part once, because many of a thousand runs share a task or a method.

    A part depends on the overrides of its own group and on overrides without a group. The latter, such as a user's `+experiment=`, may change any group, so
    a run with one of them is composed as a whole.
    """

    def __init__(self, registry: Composing) -> None:
        self.builder = Builder()
        self._registry = registry
        self._composed: dict[tuple[str, ...], tuple[Settings, Settings]] = {}

    def styles(self, combination: list[str]) -> list[list[str]]:
        """Replace `demos=every` by each of the task's demonstration styles."""
        if EVERY not in combination:
            return [combination]
        plain, chosen = self.of([override for override in combination if override != EVERY])
        spec = self.builder.spec(plain, chosen)
        if not isinstance(spec, RunSpec):
            raise UsageError(f"{EVERY} with a sequence: its tasks have different styles; name one, or leave demos out")
        return [[f"demos={style}" if override == EVERY else override for override in combination] for style in spec.task.experts]

    def of(self, combination: list[str]) -> tuple[Settings, Settings]:
        """Return the plain configuration of overrides, and the name chosen in each group."""
        by: dict[str, list[str]] = {name: [] for name in (*_GROUPS, *_WORDS, "hydra", "")}
        for override in combination:
            part = re.split(r"[.@/=]", override)[0]
            by[part if part in by and (part not in _WORDS or key(override) == part) else ""].append(override)
        if by[""] or any("${" in word for name in _WORDS for word in by[name]):
            return self._compose(combination)
        plain, chosen = (dict(part) for part in self._compose(by["hydra"]))
        for group in _GROUPS:
            if by[group]:
                part, names = self._compose(by["hydra"] + by[group])
                plain[group] = part[group]
                chosen |= {name: names[name] for name in (group, UPSTREAM) if name in names and name.startswith(group)}
        for name in _WORDS:
            for override in by[name]:
                plain[name] = _value(override)
        return plain, chosen

    def _compose(self, overrides: list[str]) -> tuple[Settings, Settings]:
        wanted = tuple(overrides)
        if wanted not in self._composed:
            composed = self._registry.whole(overrides)
            if composed.hydra.sweeper.get("params"):
                raise UsageError("hydra.sweeper.params is set, but RazorBench ignores it: give swept values on the command line, as in `-m seed=0,1,2`")
            self._composed[wanted] = plain_config(composed), dict(composed.hydra.runtime.choices)
        return self._composed[wanted]


@functools.cache
def _value(override: str) -> Any:
    return OverridesParser.create().parse_override(override).value()


def combinations(overrides: list[str], multirun: bool) -> Iterator[list[str]]:
    """Yield the overrides of every run of a command. Raises UsageError for several values without -m."""
    try:
        parsed = OverridesParser.create(GlobalHydra.instance().config_loader()).parse_overrides(overrides)
    except HydraException as error:
        raise UsageError(" ".join(str(error).split()) + ": write overrides as key=value") from error
    choices = []
    for override in parsed:
        if override.is_sweep_override():
            if not multirun:
                raise UsageError(f"{override.input_line}: several values need -m, as in `python -m razorbench -m {override.input_line}`")
            choices.append([f"{override.get_key_element()}={value}" for value in override.sweep_string_iterator()])
        else:
            choices.append([str(override.input_line)])
    yield from (list(combination) for combination in itertools.product(*choices))
