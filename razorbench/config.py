"""From Hydra's configuration to typed objects; with cli.py the only place that knows Hydra."""

from __future__ import annotations

import functools
import itertools
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, get_origin, get_type_hints

import hydra
from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.utils import get_class, get_method
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from razorbench import base, demos
from razorbench.errors import UsageError
from razorbench.method import Budget
from razorbench.sequence import SequenceSpec
from razorbench.spec import EvalSettings, RunSpec
from razorbench.task import Task

UPSTREAM = "method@method.upstream"
"""The choice of a method that another one builds on, as Hydra names it."""


@contextmanager
def registry(searchpath: str | None = None) -> Iterator[Registry]:
    """Open the configuration for look-ups; `searchpath` is a user's own conf folder."""
    GlobalHydra.instance().clear()
    with initialize_config_module("razorbench.conf", version_base="1.3"):
        yield Registry(searchpath)
    GlobalHydra.instance().clear()


class Registry:
    """What is registered: the yaml files of the conf folders."""

    def __init__(self, searchpath: str | None) -> None:
        self._extra, self._theirs = _finding(searchpath), Path(searchpath) if searchpath else None

    def compose(self, overrides: list[str]) -> DictConfig:
        """Return the configuration of a run, Hydra's own part included; every fault in it is a UsageError of one sentence."""
        return self._compose("config", overrides, hydra=True)

    def _compose(self, name: str | None, overrides: list[str], hydra: bool = False) -> DictConfig:
        try:
            return compose(name, overrides=self._extra + overrides, return_hydra_config=hydra)
        except (HydraException, OmegaConfBaseException) as error:
            raise UsageError(self._sentence(error)) from error

    def names(self, group: str) -> list[str]:
        """Return the names registered in a group, a user's own among them."""
        ours = GlobalHydra.instance().config_loader().get_group_options(group)
        theirs = [path.stem for path in self._theirs.joinpath(group).glob("*.yaml")] if self._theirs else []
        return sorted({name for name in (*ours, *theirs) if not name.startswith("_")})

    def item(self, group: str, name: str) -> Any:
        """Build one registered thing with its defaults."""
        # Alone, without the rest of a run's configuration, which takes three times as long.
        config = self._compose(None, [f"+{group}={name}"])
        return build(OmegaConf.to_container(config[group], resolve=True), group)

    def study(self, overrides: Sequence[str]) -> tuple[Any, Path]:
        """Build a study from study=NAME and overrides such as study.seed=1; and the results folder asked for, `results` by default."""
        name = next(override for override in overrides if override.startswith("study="))
        known = self._compose(None, [f"+{name}"])["study"]
        for key in (override.partition("=")[0] for override in overrides):
            if key.startswith("study.") and key.split(".")[1] not in known:
                raise UsageError(f"{key}: no such setting of {name}; there are {', '.join(sorted(str(each) for each in known if each != '_target_'))}")
        config = self.compose([f"+{override}" if override.startswith("study=") else override for override in overrides])
        return build(OmegaConf.to_container(config["study"], resolve=True), "study"), results_of(config)

    def suite(self, name: str) -> list[str] | None:
        """Return the tasks of a suite, or None if there is none of that name."""
        if name in self.names("task"):
            return None
        try:
            return list(self.item("suite", name)["tasks"])
        except UsageError:
            return None

    def all_tasks(self) -> list[Task]:
        """Build every new task and original skill, in order of name."""
        return [self.item(group, name) for group in ("task", "skill") for name in self.names(group)]

    def task_or_skill(self, name: str) -> Task:
        """Build the new task or the original skill of that name."""
        group = "skill" if name in self.names("skill") else "task"
        built: Task = self.item(group, name)
        return built

    def recorded(self, record: Mapping[str, Any]) -> RunSpec:
        """Rebuild the run that a record describes."""
        config, upstream = dict(record["config"]), record["upstream"] or {}
        if str(config["demos"]).startswith("sha256:"):
            config["demos"] = None
        return _run_spec(config, config["task"], {"method": record["method"]["name"], UPSTREAM: upstream.get("method")})

    def _sentence(self, error: Exception) -> str:
        text = str(error)
        unknown = re.search(r"Could not find '(\w+)/([^']*)'", text)
        if unknown:
            group, name = unknown.groups()
            return f"{group}={name}: no such {group}; there are {', '.join(self.names(group))}"
        typo = re.search(r"Could not override '([^']*)'", text) or re.search(r"Key '([^']*)' is not in struct", text)
        if typo:
            key = typo.group(1)
            return (
                f"{key}: no such key in the configuration; "
                "the top-level keys are task, sequence, method, base, budget, seed, demos, log_std, results and eval (see `razorbench list --keys`)"
            )
        return " ".join(text.split()).rstrip(".") + ": write overrides as key=value"


def spec(config: DictConfig, chosen: Mapping[str, Any] | None = None) -> RunSpec | SequenceSpec:
    """Turn a composed configuration into a run or a sequence; raises UsageError or FileDamaged with one sentence.

    chosen: the name chosen in each group; inside a job Hydra knows them.
    """
    plain = plain_config(config)
    chosen = HydraConfig.get().runtime.choices if chosen is None else chosen
    name = chosen.get("sequence")
    if name is None:
        return _run_spec(plain, plain.get("task"), chosen)
    if plain.get("task") is not None:
        raise UsageError(f"sequence={name} and a task exclude each other: a sequence has its own tasks; leave task= out")
    tasks = plain["sequence"]["tasks"]
    return SequenceSpec(name, tuple(_run_spec(plain, task, chosen) for task in tasks.values()))


def _run_spec(plain: Mapping[str, Any], task: Any, chosen: Mapping[str, Any]) -> RunSpec:
    for group, given in (("task", task), ("method", plain.get("method"))):
        if given is None:
            raise UsageError(f"{group} is missing: name one, as in `python -m razorbench task=pick_place method=ppo`; see `razorbench list`")
    seed = plain["seed"]
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise UsageError(f"seed is {seed!r}: it must be a whole number, 0 or more")
    method = build(plain["method"], "method")
    budget = typed(Budget, plain["budget"], "budget")
    settings = typed(EvalSettings, plain["eval"], "eval")
    built = build(task, "task")
    first, given = next(iter(built.experts)), plain["demos"]
    from_file = str(given).endswith(demos.SUFFIX)
    spec = RunSpec(
        task=built,
        method_name=str(chosen.get("method")),
        method=method,
        base=base.load(build(plain["base"], "base"), seed),
        seed=seed,
        budget=budget,
        style=first if given is None or from_file else str(given),
        eval=settings,
        log_std=str(plain["log_std"]),
        recorded=demos.load(Path(given).expanduser(), built) if from_file else None,
    )
    if (upstream := getattr(method, "upstream", None)) is None:
        return spec
    # Under the task's first style, as the upstream method alone would run.
    return replace(spec, upstream=replace(spec, method=upstream, method_name=str(chosen[UPSTREAM]), style=first, recorded=None))


def plain_config(config: DictConfig) -> dict[str, Any]:
    """Return the run's part of the configuration as plain data."""
    return {str(key): OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value for key, value in config.items() if key != "hydra"}


def results_of(config: DictConfig) -> Path:
    """Return the results folder asked for."""
    return Path(str(config.results)).expanduser()


def build(node: Any, where: str) -> Any:
    """Build what a node's `_target_` names, nested targets first, lists as tuples; values are checked against type annotations."""
    if not isinstance(node, Mapping):
        return tuple(build(each, where) if isinstance(each, Mapping) else each for each in node) if isinstance(node, list) else node
    values = {str(key): build(value, f"{where}.{key}") for key, value in node.items() if key not in ("_target_", "reward")}
    if "_target_" not in node:
        return values
    target = str(node["_target_"])
    try:
        factory = get_class(target) if target.rpartition(".")[2][0].isupper() else get_method(target)
    except Exception as error:
        raise UsageError(f"{where}._target_={target} cannot be imported ({error}): give a module.name that Python finds from here") from error
    if is_dataclass(factory):
        return typed(factory, values, where)
    try:
        built = factory(**values)
    except TypeError as error:
        raise UsageError(f"{where}: {target} does not take these values ({error})") from error
    if isinstance(built, Task) and node.get("reward", "sparse") != "sparse":
        if node["reward"] != "shaped":
            raise UsageError(f"{where}.reward is {node['reward']!r}: it must be sparse or shaped")
        built = replace(built, reward="shaped")
    return built


def typed(cls: Any, values: Mapping[str, Any], where: str) -> Any:
    """Build a dataclass from values of the right types; whole numbers pass for floats."""
    hints, known = get_type_hints(cls), {item.name for item in fields(cls)}
    for key in values:
        if key not in known:
            raise UsageError(f"{where}.{key}: no such setting; there are {', '.join(sorted(known))}")
    checked: dict[str, Any] = {}
    for key, value in values.items():
        wanted = hints[key]
        if wanted is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if wanted in (int, float, str, bool) and (not isinstance(value, wanted) or (wanted is int and isinstance(value, bool))):
            kind = {int: "a whole number", float: "a number", str: "a word", bool: "true or false"}[wanted]
            raise UsageError(f"{where}.{key} is {value!r}: it must be {kind}")
        if get_origin(wanted) in (tuple, Sequence) and not isinstance(value, tuple | list):
            raise UsageError(f"{where}.{key} is {value!r}: it must be a list, as in [{value}]")
        checked[key] = value
    try:
        return cls(**checked)
    except TypeError as error:
        raise UsageError(f"{where}: {error}") from error


def expand_suites(overrides: list[str], registry: Registry, multirun: bool) -> list[str]:
    """Put a suite's tasks in the place of its name in `task=`, so that launchers see plain task names; raises UsageError without -m."""
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


def combinations(overrides: list[str], multirun: bool) -> list[list[str]]:
    """Return the overrides of every run of a command; raises UsageError if a value list stands without -m."""
    try:
        parsed = OverridesParser.create().parse_overrides(overrides)
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
    return [list(combination) for combination in itertools.product(*choices)]


def hand_over(job: Callable[[DictConfig], None], overrides: list[str], multirun: bool, searchpath: str | None) -> None:
    """Let Hydra run the job for every combination; a job's failure is written into its run's folder."""
    GlobalHydra.instance().clear()
    before = sys.argv
    sys.argv = ["razorbench", *(["--multirun"] if multirun else []), *_finding(searchpath), *overrides]
    try:
        hydra.main(version_base="1.3", config_path="pkg://razorbench.conf", config_name="config")(_guarded(job))()
    finally:
        sys.argv = before


def _finding(searchpath: str | None) -> list[str]:
    """The override that lets Hydra find a user's own conf folder."""
    return [f"hydra.searchpath=[file://{Path(searchpath).resolve()}]"] if searchpath else []


def _guarded(job: Callable[[DictConfig], None]) -> Callable[[DictConfig], None]:
    @functools.wraps(job)
    def guarded(config: DictConfig) -> None:
        try:
            job(config)
        except Exception as error:
            spec(config).folder(results_of(config)).write_failure(error)

    return guarded
