"""The registry: composes the yaml files of the conf folders with Hydra and builds them as typed objects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from razorbench.bases.base import Base, load
from razorbench.errors import UsageError, among
from razorbench.registry import combining, recorded
from razorbench.registry.building import Builder, build, expected
from razorbench.registry.filling import Loader
from razorbench.registry.folders import Folders
from razorbench.registry.messages import CHOSEN, refuse_unused, sentence
from razorbench.registry.overrides import is_name, key, literal
from razorbench.registry.plain import plain_config as plain_config
from razorbench.registry.plain import results_of as results_of
from razorbench.runs.sequence import SequenceSpec
from razorbench.runs.spec import RunSpec
from razorbench.runs.sweep import Asked
from razorbench.store.output import warn
from razorbench.store.record import Record
from razorbench.task import Task
from razorbench.types import Settings
from razorbench.world.engine import is_mujoco


@contextmanager
def registry(searchpath: str | None = None) -> Iterator[Registry]:
    """Open the registry. searchpath: a user's own conf folder. Raises UsageError if it does not exist."""
    opened = Registry(searchpath)
    GlobalHydra.instance().clear()
    with initialize_config_module("razorbench.conf", version_base="1.3"):
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        hydra.config_loader = Loader(hydra.config_loader.get_search_path())
        yield opened
    GlobalHydra.instance().clear()


class Registry:
    """The yaml files of the conf folders, by group and name."""

    def __init__(self, searchpath: str | None) -> None:
        self._folders = Folders(searchpath)

    def compose(self, overrides: list[str]) -> DictConfig:
        """Return the configuration of a run, with Hydra's own part, from overrides as typed. Raises UsageError with one sentence for any fault."""
        return self.whole(literal(overrides))

    def whole(self, overrides: list[str]) -> DictConfig:
        """Return the same for overrides that `literal` has converted."""
        return self._compose("config", overrides, hydra=True)

    def alone(self, overrides: list[str]) -> DictConfig:
        """Return the part of a configuration that overrides choose; this takes a third of the time of a run's configuration."""
        return self._compose(None, overrides)

    def _compose(self, name: str | None, overrides: list[str], hydra: bool = False) -> DictConfig:
        for override in overrides:
            if (group := key(override)) in CHOSEN and not override.startswith("~") and not is_name(override):
                raise UsageError(f"{override}: it must be a name; there are {', '.join(self.names(group))}")
        with self.explaining(overrides):
            composed = compose(name, overrides=self._folders.finding + overrides, return_hydra_config=hydra)
        if hydra:
            refuse_unused(self._folders, composed, overrides)
        return composed

    @contextmanager
    def explaining(self, overrides: Sequence[str]) -> Iterator[None]:
        """Replace Hydra's errors in the block by a UsageError of one sentence about its yaml files or these overrides."""
        try:
            yield
        except (HydraException, OmegaConfBaseException, yaml.YAMLError, UnicodeDecodeError) as error:
            raise UsageError(sentence(self._folders, error, overrides)) from error

    def names(self, group: str) -> list[str]:
        """Return the names in a group, including a user's own."""
        return self._folders.names(group)

    def item(self, group: str, name: str) -> Any:
        """Build one object of a group with its defaults."""
        return expected(group, name, build(self.node(group, name), group))

    def node(self, group: str, name: str) -> Any:
        """Return the content of one yaml, with defaults, as plain data."""
        return plain_config(self.alone([f"+{group}={name}"])).get(group)

    def sound(self, group: str) -> Settings:
        """Build all objects of a group, by name. Names broken ones, for example in a user's folder, on stderr and leaves them out."""
        names = self.names(group)
        try:
            # One composition for all takes an eighth of the time, but does not say which yaml is broken.
            nodes = plain_config(self.alone([f"+{group}@item{k}={name}" for k, name in enumerate(names)]))
            return {name: expected(group, name, build(nodes.get(f"item{k}"), group)) for k, name in enumerate(names)}
        except UsageError:
            return self._sound_alone(group, names)

    def _sound_alone(self, group: str, names: Sequence[str]) -> Settings:
        objects = {}
        for name in names:
            try:
                objects[name] = self.item(group, name)
            except UsageError as error:
                warn(f"{group} {name} is left out: {error}")
        return objects

    def study(self, overrides: Sequence[str]) -> tuple[Any, Path]:
        """Build a study from study=NAME and overrides such as study.seed=1. Return it with its results folder, `results` by default."""
        name = next(override for override in overrides if override.startswith("study="))
        known = self.alone([f"+{name}"])["study"]
        settings = sorted(str(setting) for setting in known if setting != "_target_")
        for setting in (override.partition("=")[0] for override in overrides):
            if setting.startswith("study.") and (word := setting.split(".")[1]) not in settings:
                raise UsageError(f"{setting}: no such setting of {name}{among(word, settings)}")
        config = self.compose([f"+{override}" if override.startswith("study=") else override for override in overrides])
        return build(plain_config(config)["study"], "study"), results_of(config)

    def asked(self, overrides: list[str], multirun: bool) -> list[Asked]:
        """Return the distinct runs of a command, in order. Raises UsageError or FileDamaged with one sentence."""
        return combining.asked(self, self._folders.own, overrides, multirun)

    def suite(self, name: str) -> list[str] | None:
        """Return the tasks of a suite, or None if there is no such suite."""
        if name in self.names("task"):
            return None
        try:
            return list(self.item("suite", name)["tasks"])
        except UsageError:
            return None

    def all_tasks(self) -> list[Task]:
        """Build all new tasks, then all original skills, each in order of name, without broken ones."""
        return [*self.sound("task").values(), *self.sound("skill").values()]

    def modeled_tasks(self) -> list[Task]:
        """Build those of all tasks whose world is MuJoCo models: they alone have golden trajectories and films."""
        return [task for task in self.all_tasks() if is_mujoco(task)]

    def task_or_skill(self, name: str) -> Task:
        """Build the new task or original skill of that name. Raises UsageError if there is none."""
        group = next((group for group in ("skill", "task") if name in self.names(group)), None)
        if group is None:
            raise UsageError(f"task={name}: no such task or skill{among(name, [*self.names('task'), *self.names('skill')])}")
        built: Task = self.item(group, name)
        return built

    def recorded(self, record: Record) -> tuple[Task, Base]:
        """Return a record's registered task, with the record's plain settings, and its registered base policy.

        A record's content never imports, calls or opens anything. Raises UsageError if task or base is not registered or differs from the record's.
        """
        name = recorded.find(self, "task", record.task, lambda task: str(task.id))
        node = recorded.with_settings(plain_config(self.alone([f"+task={name}"]))["task"], record.config.task, "config.task")
        recipe = self.item("base", recorded.find(self, "base", record.base_name, lambda recipe: str(recipe.name)))
        if record.base_seed not in (seeds := recipe.seeds()):
            known = ", ".join(map(str, seeds))
            raise UsageError(f"the record is of base {record.base}, but {record.base_name} has only the pretraining seeds {known} here")
        base = load(recipe, seeds.index(record.base_seed))
        if base.sha256 != record.hashes.base_policy:
            raise UsageError(f"the record's base {base.id} has other weights than the one here: give the conf folder of its own base with --config-dir")
        return expected("task", name, build(node, "config.task")), base


def spec(config: DictConfig, chosen: Settings | None = None) -> RunSpec | SequenceSpec:
    """Build a run or a sequence from a composed configuration. chosen: the name chosen in each group, by default from Hydra's job.

    Raises UsageError or FileDamaged with one sentence.
    """
    return Builder().spec(plain_config(config), HydraConfig.get().runtime.choices if chosen is None else chosen)
