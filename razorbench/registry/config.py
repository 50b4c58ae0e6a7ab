"""From Hydra's configuration to typed objects. Besides this file only launching.py and cli.py know Hydra."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from razorbench.bases.base import Base, load
from razorbench.errors import UsageError, among
from razorbench.identity.catalog import own_folder, unsound
from razorbench.registry import recorded
from razorbench.registry.building import UPSTREAM, Builder, build, expected
from razorbench.registry.filling import Loader
from razorbench.registry.overrides import is_name, key, literal, no_such_key, quoted, resolvers
from razorbench.runs.sequence import SequenceSpec
from razorbench.runs.spec import RunSpec
from razorbench.runs.sweep import Asked
from razorbench.runs.tracking import check
from razorbench.store.disk import near
from razorbench.store.output import warn
from razorbench.task import Task

_GROUPS = ("task", "sequence", "method", "base", "budget", "eval")
"""Parts of a run's configuration that are composed apart."""
_CHOSEN = ("task", "sequence", "method", "base", "budget", "study", "suite")
"""Groups of which a run or a command takes things by name."""
_TOP = ("task", "sequence", "method", "base", "budget", "seed", "demos", "log_std", "results", "track", "eval")
"""Keys of a run."""
_WORDS = ("seed", "demos", "log_std", "results", "track")
"""Keys of a run that hold one plain value."""
_EXTRAS = {"submitit_slurm": "slurm", "submitit_local": "slurm", "ray": "ray", "ray_aws": "ray", "optuna": "optuna"}
"""What plugins of Hydra come with which extra of ours."""
EVERY = "demos=every"
"""Stands for one run with each of the task's demonstration styles."""


@contextmanager
def registry(searchpath: str | None = None) -> Iterator[Registry]:
    """Open the configuration for look-ups. searchpath: a user's own conf folder. Raises UsageError if there is no such folder."""
    found = Registry(searchpath)
    GlobalHydra.instance().clear()
    with initialize_config_module("razorbench.conf", version_base="1.3"):
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        hydra.config_loader = Loader(hydra.config_loader.get_search_path())
        yield found
    GlobalHydra.instance().clear()


class Registry:
    """What is registered: the yaml files of the conf folders."""

    def __init__(self, searchpath: str | None) -> None:
        self._extra, self._theirs = finding(searchpath), Path(searchpath) if searchpath else None
        self._refuse_misplaced()

    def _refuse_misplaced(self) -> None:
        """Refuse a user's file that would be passed over without a word: under a name that comes with RazorBench, or one that Hydra does not read."""
        conf = files("razorbench.conf")
        for path in sorted(self._theirs.rglob("*.y*ml")) if self._theirs else ():
            inside = path.relative_to(str(self._theirs))
            if path.suffix == ".yml":
                raise UsageError(f"{near(path.absolute())}: configuration files end in .yaml; rename it to {path.stem}.yaml")
            if conf.joinpath(*inside.parts).is_file():
                raise UsageError(f"{near(path.absolute())}: {inside.with_suffix('')} comes with RazorBench, and the one that ships would be read; rename yours")

    def compose(self, overrides: list[str]) -> DictConfig:
        """Return the configuration of a run, Hydra's own part included, from what was typed; every fault in it is a UsageError of one sentence."""
        return self.whole(literal(overrides))

    def whole(self, overrides: list[str]) -> DictConfig:
        """Return the same from overrides that are `literal` already."""
        return self._compose("config", overrides, hydra=True)

    def _compose(self, name: str | None, overrides: list[str], hydra: bool = False) -> DictConfig:
        for override in overrides:
            if (group := key(override)) in _CHOSEN and not override.startswith("~") and not is_name(override):
                raise UsageError(f"{override}: it must be a name; there are {', '.join(self.names(group))}")
        with self.explaining(overrides):
            composed = compose(name, overrides=self._extra + overrides, return_hydra_config=hydra)
        if hydra:
            self._refuse_unused(composed, overrides)
        return composed

    @contextmanager
    def explaining(self, overrides: Sequence[str]) -> Iterator[None]:
        """Raise UsageError, a sentence, for what Hydra finds wrong in the block with yaml files and these overrides."""
        try:
            yield
        except (HydraException, OmegaConfBaseException, yaml.YAMLError, UnicodeDecodeError) as error:
            raise UsageError(self._sentence(error, overrides)) from error

    def names(self, group: str) -> list[str]:
        """Return the names registered in a group, a user's own among them."""
        ours = GlobalHydra.instance().config_loader().get_group_options(group)
        theirs = [path.stem for path in self._theirs.joinpath(group).glob("*.yaml")] if self._theirs else []
        return sorted({name for name in (*ours, *theirs) if not name.startswith("_")})

    def item(self, group: str, name: str) -> Any:
        """Build one registered thing with its defaults."""
        return expected(group, name, build(self.node(group, name), group))

    def node(self, group: str, name: str) -> Any:
        """Return what one registered thing's yaml says, with its defaults, as plain data."""
        # Alone, without the rest of a run's configuration, which takes three times as long.
        return plain_config(self._compose(None, [f"+{group}={name}"])).get(group)

    def sound(self, group: str) -> dict[str, Any]:
        """Build everything in a group, by name; what is broken, in a user's folder say, is named on stderr and passed over."""
        found = {}
        for name in self.names(group):
            try:
                found[name] = self.item(group, name)
            except UsageError as error:
                warn(f"{group} {name} is passed over: {error}")
        return found

    def study(self, overrides: Sequence[str]) -> tuple[Any, Path]:
        """Build a study from study=NAME and overrides such as study.seed=1; and the results folder asked for, `results` by default."""
        name = next(override for override in overrides if override.startswith("study="))
        known = self._compose(None, [f"+{name}"])["study"]
        settings = sorted(str(each) for each in known if each != "_target_")
        for setting in (override.partition("=")[0] for override in overrides):
            if setting.startswith("study.") and (word := setting.split(".")[1]) not in settings:
                raise UsageError(f"{setting}: no such setting of {name}{among(word, settings)}")
        config = self.compose([f"+{override}" if override.startswith("study=") else override for override in overrides])
        return build(plain_config(config)["study"], "study"), results_of(config)

    def suite(self, name: str) -> list[str] | None:
        """Return the tasks of a suite, or None if there is none of that name."""
        if name in self.names("task"):
            return None
        try:
            return list(self.item("suite", name)["tasks"])
        except UsageError:
            return None

    def asked(self, overrides: list[str], multirun: bool) -> list[Asked]:
        """Return the runs of a command, each once, in order; raises UsageError or FileDamaged with one sentence."""
        parts, theirs = _Parts(self), None if self._theirs is None else str(self._theirs.absolute())
        found: dict[Path, Asked] = {}
        _refuse_twice(overrides)
        for sweep in self._experiment(overrides, multirun):
            for combination in combinations(literal(self._suites(sweep, multirun), multirun), multirun):
                if EVERY in combination and not multirun:
                    raise UsageError(f"{EVERY}: every style is several runs and needs -m, as in `python -m razorbench -m {EVERY}`")
                for each in parts.styles(combination):
                    plain, chosen = parts.of(each)
                    check(plain["track"])
                    spec, results = parts.builder.spec(plain, chosen), Path(str(plain["results"])).absolute()
                    folder = spec.folder(results)
                    others = [override for override in each if key(override) != "results"]
                    found.setdefault(folder.path, Asked([*others, quoted("results", str(results))], spec, folder, theirs))
        return list(found.values())

    def _experiment(self, overrides: list[str], multirun: bool) -> list[list[str]]:
        """Return the sweeps of `+experiment=NAME` with the other overrides in them, which take the place of those of the same key; or the one sweep."""
        named = [override for override in overrides if override.lstrip("+").startswith("experiment=")]
        # A user's experiment may also be Hydra's kind, settings for a run.
        kinds = [self._compose(None, [f"+{override.lstrip('+')}"]).get("experiment") for override in named]
        if not any(kinds):
            return [overrides]
        if len(named) > 1 or not multirun:
            raise UsageError(f"{' '.join(named)}: one experiment is several runs and needs -m, as in `python -m razorbench -m {named[0]}`")
        others = [override for override in overrides if override not in named]
        theirs = {override.partition("=")[0] for override in others}
        return [[*(word for word in line.split() if word.partition("=")[0] not in theirs), *others] for line in kinds[0].sweeps]

    def _suites(self, overrides: list[str], multirun: bool) -> list[str]:
        """Put a suite's tasks in the place of its name in `task=`, so that launchers see plain task names; raises UsageError without -m."""
        expanded = []
        for override in overrides:
            key, _, value = override.partition("=")
            if key == "task":
                tasks = [self.suite(name) or [name] for name in value.split(",")]
                if not multirun and any(len(part) > 1 for part in tasks):
                    raise UsageError(f"{override}: a suite is several runs and needs -m, as in `python -m razorbench -m {override}`")
                override = f"task={','.join(dict.fromkeys(itertools.chain(*tasks)))}"
            expanded.append(override)
        return expanded

    def all_tasks(self) -> list[Task]:
        """Build every new task and original skill that is not broken, in order of name."""
        return [*self.sound("task").values(), *self.sound("skill").values()]

    def task_or_skill(self, name: str) -> Task:
        """Build the new task or the original skill of that name."""
        group = next((group for group in ("skill", "task") if name in self.names(group)), None)
        if group is None:
            raise UsageError(f"task={name}: no such task or skill{among(name, [*self.names('task'), *self.names('skill')])}")
        built: Task = self.item(group, name)
        return built

    def recorded(self, record: Mapping[str, Any]) -> tuple[Task, Base]:
        """Return the task and the base policy that a record names, as they are registered, the task with the record's plain settings.

        Nothing is imported, called or opened by a record's words. Raises UsageError if one of the two is not registered, or is another one here.
        """
        name = recorded.find(self, "task", record["task"], lambda task: str(task.id))
        node = recorded.with_settings(plain_config(self._compose(None, [f"+task={name}"]))["task"], record["config"].get("task"), "config.task")
        base, _, number = record["base"].rpartition("-s")
        recipe = self.item("base", recorded.find(self, "base", base, lambda recipe: str(recipe.name)))
        if int(number) not in (seeds := recipe.seeds()):
            raise UsageError(f"the record is of base {record['base']}: there are only the pretraining seeds {', '.join(map(str, seeds))} of {base} here")
        found = load(recipe, seeds.index(int(number)))
        if found.sha256 != record["hashes"].get("base_policy"):
            raise UsageError(f"the record's base {found.id} has other weights than the one here: give the conf folder that names its own with --config-dir")
        return expected("task", name, build(node, "config.task")), found

    def _undecodable(self) -> str:
        """The first of a user's files that is not UTF-8 text, by its path."""
        for path in sorted(self._theirs.rglob("*.yaml")) if self._theirs else ():
            try:
                path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                return str(near(path.absolute()))
        return "a configuration file"

    def _sentence(self, error: Exception, overrides: Sequence[str]) -> str:
        if isinstance(error, UnicodeDecodeError):
            return f"{self._undecodable()} is not UTF-8 text: save it as UTF-8"
        if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
            return unsound(error, str(near(Path(error.problem_mark.name))))
        text = str(error)
        unknown = re.search(r"Could not (?:find|load) '([^']+)/([^'/]*)'", text)
        if unknown:
            group, name = unknown.groups()
            extra = f"; it comes with pip install 'razorbench[{_EXTRAS[name]}]'" if name in _EXTRAS else ""
            suites = self.names("suite") if f"task={name}" in overrides else []
            also = f"; with -m also the suites {', '.join(suites)}" if suites else ""
            return f"{group}={name}: no such {group}{among(name, self.names(group), suites)}{also}{extra}"
        typo = re.search(r"Could not override '([^']*)'", text) or re.search(r"Key '([^']*)' is not in struct", text)
        if typo:
            return self._no_such_key(typo.group(1), overrides)
        return " ".join(text.split()).rstrip(".") + ": write overrides as key=value"

    def _no_such_key(self, wrong: str, overrides: Sequence[str]) -> str:
        """Say what keys there are instead, under those of the other overrides that choose from a group, if these can be composed."""
        choosing = [override for override in overrides if key(override).partition("@")[0] in _CHOSEN or key(override).startswith("hydra/")]
        try:
            composed = compose("config", overrides=self._extra + choosing, return_hydra_config=True)
        except (HydraException, OmegaConfBaseException):
            composed = compose("config", return_hydra_config=True)
        plain: Any = OmegaConf.to_container(composed)
        return no_such_key(wrong, {**dict.fromkeys(_TOP), **plain}, composed.hydra.runtime.choices)

    def _refuse_unused(self, composed: DictConfig, overrides: Sequence[str]) -> None:
        """Refuse what `+KEY=VALUE` adds to the known keys, unless it is chosen from a group or another value refers to it: it would be lost."""
        for override in overrides:
            top = key(override).partition(".")[0]
            if override.startswith("+") and top in composed and top not in (*_TOP, "hydra", *composed.hydra.runtime.choices):
                if f"${{{top}" not in OmegaConf.to_yaml(composed):
                    raise UsageError(self._no_such_key(key(override), overrides))


def _refuse_twice(overrides: Sequence[str]) -> None:
    """Refuse two values for one thing, of which one would win without a word."""
    first: dict[str, str] = {}
    for override in overrides:
        name = key(override)
        if name in (*_CHOSEN, *_WORDS) and first.setdefault(name, override) is not override:
            raise UsageError(f"{first[name]} and {override}: {name} is given twice; give it once, or several values with -m, as in `-m seed=0,1`")


def spec(config: DictConfig, chosen: Mapping[str, Any] | None = None) -> RunSpec | SequenceSpec:
    """Turn a composed configuration into a run or a sequence; raises UsageError or FileDamaged with one sentence.

    chosen: the name chosen in each group; inside a job Hydra knows them.
    """
    return Builder().spec(plain_config(config), HydraConfig.get().runtime.choices if chosen is None else chosen)


def plain_config(config: DictConfig) -> dict[str, Any]:
    """Return the run's part of the configuration as plain data. Raises UsageError for a value that refers to nothing, or would differ from job to job."""
    ours = OmegaConf.masked_copy(config, [str(name) for name in config if name != "hydra"])
    if (place := resolvers(OmegaConf.to_container(ours))) is not None:
        raise UsageError(f"{place}: what ${{name:...}} gives may differ from job to job; write the value itself, or give it on the command line")
    try:
        plain = OmegaConf.to_container(ours, resolve=True)
    except OmegaConfBaseException as error:
        raise UsageError(f"{error.full_key}: {str(error.msg or error).splitlines()[0]}; write a value, or the dotted path of another setting") from error
    return {str(name): value for name, value in plain.items()}  # type: ignore[union-attr]


def results_of(config: DictConfig) -> Path:
    """Return the results folder asked for."""
    return Path(str(config.results)).absolute()


class _Parts:
    """Composes runs from parts, each composed once: of a thousand runs many share their task's, many their method's.

    What a part is made of are the overrides of its own group and those of none. Only where these reach into another group
    (a user's `+experiment=`, say) could that differ from composing the whole, so then the whole is composed.
    """

    def __init__(self, registry: Registry) -> None:
        self.builder = Builder()
        self._registry = registry
        self._composed: dict[tuple[str, ...], tuple[dict[str, Any], Mapping[str, Any]]] = {}

    def styles(self, combination: list[str]) -> list[list[str]]:
        """Put each of the task's demonstration styles in the place of `demos=every`."""
        if EVERY not in combination:
            return [combination]
        plain, chosen = self.of([override for override in combination if override != EVERY])
        spec = self.builder.spec(plain, chosen)
        if not isinstance(spec, RunSpec):
            raise UsageError(f"{EVERY} with a sequence: its tasks have different styles; name one, or leave demos out")
        return [[f"demos={style}" if override == EVERY else override for override in combination] for style in spec.task.experts]

    def of(self, combination: list[str]) -> tuple[dict[str, Any], Mapping[str, Any]]:
        """Return the plain configuration that overrides describe, and the name chosen in each group."""
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

    def _compose(self, overrides: list[str]) -> tuple[dict[str, Any], Mapping[str, Any]]:
        wanted = tuple(overrides)
        if wanted not in self._composed:
            composed = self._registry.whole(overrides)
            if composed.hydra.sweeper.get("params"):
                raise UsageError("hydra.sweeper.params is set, and would be passed over: give swept values on the command line, as in `-m seed=0,1,2`")
            self._composed[wanted] = plain_config(composed), dict(composed.hydra.runtime.choices)
        return self._composed[wanted]


@functools.cache
def _value(override: str) -> Any:
    return OverridesParser.create().parse_override(override).value()


def combinations(overrides: list[str], multirun: bool) -> Iterator[list[str]]:
    """Yield the overrides of every run of a command; raises UsageError if a value list stands without -m."""
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


def finding(searchpath: str | None) -> list[str]:
    """The override that lets Hydra find a user's own conf folder."""
    if searchpath is None:
        return []
    place = quoted("", f"file://{own_folder(searchpath).resolve()}")[1:].replace("\\${", "${")  # filled in nowhere
    return [f"hydra.searchpath=[{place}]"]
