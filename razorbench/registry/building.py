"""Building of typed objects from plain data: imports a node's `_target_`, checks its values, builds it, and composes runs."""

from __future__ import annotations

import json
import math
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any, get_origin, get_type_hints

from razorbench.bases import base
from razorbench.errors import RazorbenchError, UsageError, among
from razorbench.identity.parts import shipped
from razorbench.method import demonstrations
from razorbench.method.data import Budget
from razorbench.policy import network, sb3_zip
from razorbench.policy.answers import Scorable
from razorbench.registry.filling import OPEN, defaults, imported
from razorbench.runs.sequence import SequenceSpec
from razorbench.runs.spec import EvalSettings, RunSpec
from razorbench.task import Task, made, spaces
from razorbench.types import Settings

UPSTREAM = "method@method.upstream"
"""Hydra's name for the choice of an upstream method."""


class Builder:
    """Builds runs; equal parts are built once."""

    def __init__(self) -> None:
        self._built: dict[tuple[str, str], Any] = {}

    def spec(self, plain: Settings, chosen: Settings) -> RunSpec | SequenceSpec:
        """Return the run or the sequence of a configuration. chosen: the name chosen in each group.

        Raises UsageError or FileDamaged with one sentence.
        """
        name = chosen.get("sequence")
        if name is None:
            return self.run_spec(plain, plain.get("task"), chosen)
        if plain.get("task") is not None:
            raise UsageError(f"sequence={name} and a task exclude each other: a sequence has its own tasks; leave task= out")
        tasks = plain["sequence"]["tasks"]
        return SequenceSpec(name, tuple(self.run_spec(plain, task, chosen) for task in tasks.values()))

    def run_spec(self, plain: Settings, task: Any, chosen: Settings) -> RunSpec:
        """Return the run of a task with a configuration."""
        for group, node in (("task", task), ("method", plain.get("method"))):
            if node is None:
                raise UsageError(f"{group} is missing: name one, as in `python -m razorbench task=pick_place method=ppo`; see `razorbench list`")
        seed = plain["seed"]
        if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
            raise UsageError(f"seed is {seed!r}: it must be a whole number, 0 or more")
        method = expected("method", chosen.get("method"), self._once(plain["method"], "method"))
        built: Task = expected("task", chosen.get("task"), self._once(task, "task"))
        first, given = built.style, plain["demos"]
        from_file = str(given).endswith(demonstrations.SUFFIX)
        if given is not None and not from_file and str(given) not in built.experts and (Path(str(given)).suffix or Path(str(given)).exists()):
            raise UsageError(
                f"demos={given}: demonstrations come in a {demonstrations.SUFFIX} file, as `razorbench demos` writes it; or name a style of {built.id}"
            )
        spec = RunSpec(
            task=built,
            method_name=str(chosen.get("method")),
            method=method,
            base=self._base(plain["base"], seed),
            seed=seed,
            budget=typed(Budget, plain["budget"], "budget"),
            style=first if given is None or from_file else str(given),
            eval=typed(EvalSettings, plain["eval"], "eval"),
            log_std=str(plain["log_std"]),
            recorded=demonstrations.load(Path(given), built) if from_file else None,
        )
        if (upstream := getattr(method, "upstream", None)) is None:
            return spec
        # With the task's first style, as a single run of the upstream method.
        return replace(spec, upstream=replace(spec, method=upstream, method_name=str(chosen[UPSTREAM]), style=first, recorded=None))

    def _once(self, node: Any, where: str) -> Any:
        key = where, json.dumps(node)
        if key not in self._built:
            self._built[key] = build(node, where)
        return self._built[key]

    def _base(self, node: Any, seed: int) -> base.Base:
        recipe: base.Recipe = expected("base", node.get("name") if isinstance(node, Mapping) else node, self._once(node, "base"))
        seeds = recipe.seeds()
        key = f"base {seed % len(seeds) if seeds else 0}", json.dumps(node)
        if key not in self._built:
            self._built[key] = base.load(recipe, seed)
        return self._built[key]


def build(node: Any, where: str) -> Any:
    """Build a node's `_target_`, nested targets first, with lists as tuples. Checks values against type annotations.

    where: the node's dotted path, for errors. Raises UsageError for a missing, unknown or wrong value.
    """
    if isinstance(node, list):
        return tuple(build(item, where) if isinstance(item, Mapping | float) else item for item in node)
    if isinstance(node, float) and not math.isfinite(node):
        raise UsageError(f"{where} is {node}: it must be a finite number")
    if not isinstance(node, Mapping):
        return node
    if "_target_" not in node:
        return {str(key): build(value, f"{where}.{key}") for key, value in node.items()}
    target = str(node["_target_"])
    factory = imported(target, f"{where}._target_")
    usual = defaults(factory)
    # The class itself sets defaults, because it may hold them as another type, such as a list, where this function builds a tuple.
    given = {str(key): value for key, value in node.items() if key != "_target_" and not (key in usual and json.dumps(value) == json.dumps(usual[key]))}
    if (missing := next((key for key, value in node.items() if value == OPEN), None)) is not None:
        raise UsageError(f"{where}.{missing} is missing: write it into the yaml, or give it on the command line as {where}.{missing}=...")
    values = {key: build(value, f"{where}.{key}") for key, value in given.items()}
    if is_dataclass(factory):
        return typed(factory, values, where)
    parameters = signature(factory).parameters
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        _refuse_unknown(values, parameters, where)
    built = _called(partial(made, factory), {"values": values}, where, target)
    if isinstance(built, Task) and shipped("task").get(built.id, target) != target:
        raise UsageError(
            f"{where}.id is {built.id}, the id of a task of {shipped('task')[built.id]}, not of {target}: give the task its own id, as in my_task-v1"
        )
    return built


def policy(name: str, base: base.Base, task: Task) -> Scorable:
    """Return the policy that a word names: weights of the base's shape in .safetensors, a Stable-Baselines3 .zip, or module.name of what makes a policy.

    Raises UsageError or FileDamaged with one sentence.
    """
    path = Path(name).expanduser()
    if path.suffix == sb3_zip.SUFFIX:
        return sb3_zip.load(path, *spaces(task))
    if path.suffix == ".safetensors":
        return network.load(path, base.policy)
    if "." not in name or path.exists():
        raise UsageError(f"policy={name}: give a .safetensors or .zip file, or module.name of a class or function that makes a policy")
    made: Scorable = _called(imported(name, "policy"), {}, "policy", name)
    return made


def typed(cls: Any, values: Settings, where: str) -> Any:
    """Build a dataclass and check the types of its values; whole numbers are valid floats. Raises UsageError for a wrong or unknown value."""
    if not isinstance(values, Mapping):
        wrong = "null" if values is None else values
        raise UsageError(f"{where} is {wrong}: it holds settings; leave it out, or give one, as in {where}.{fields(cls)[0].name}=...")
    hints, known = get_type_hints(cls), {item.name for item in fields(cls)}
    _refuse_unknown(values, known, where)
    checked: dict[str, object] = {}
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
    return _called(cls, checked, where, cls.__name__)


def _refuse_unknown(values: Iterable[str], known: Iterable[str], where: str) -> None:
    for key in values:
        if key not in known:
            raise UsageError(f"{where}.{key}: no such setting{among(key, sorted(known))}")


def _called(factory: Callable[..., Any], values: Settings, where: str, name: str) -> Any:
    """Call a class or function, perhaps a user's. Raises UsageError with its values' path for any error in it."""
    try:
        return factory(**values)
    except RazorbenchError:
        raise
    except (Exception, SystemExit) as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        reason = str(error) or f"{type(error).__name__} in `{last.line}`"
        raise UsageError(f"{where}: {name} does not take these values ({reason})") from error


_HOLDS = {"task": (Task, "a task"), "skill": (Task, "a task"), "base": (base.Recipe, "a base policy's recipe")}
_LISTS = {"suite": "tasks", "sequence": "tasks"}
_DECLARED = (("family", str, '"ours"'), ("version", int, "1"), ("old_task_data", bool, "False"))


def expected(group: str, name: object, built: Any) -> Any:
    """Return an object built from a group's yaml. Raises UsageError if its type does not fit the group."""
    thing = f"{group}={name}"
    if group == "method":
        _check_method(thing, built)
    elif group in _HOLDS:
        kind, noun = _HOLDS[group]
        if not isinstance(built, kind):
            raise UsageError(f"{thing}: its yaml makes no {kind.__name__}; set `_target_: module.name` to a function that returns {noun}")
    elif group == "budget":
        typed(Budget, built, thing)
    elif group in _LISTS and not (isinstance(built, Mapping) and built.get(_LISTS[group])):
        raise UsageError(f"{thing}: its yaml has no {_LISTS[group]}; list them under `{_LISTS[group]}:`")
    return built


def _check_method(thing: str, method: Any) -> None:
    if isinstance(method, Mapping | tuple) or method is None:
        raise UsageError(f"{thing}: its yaml names no class; write `_target_: module.Class` into it")
    kind = type(method).__name__
    if not is_dataclass(method):
        raise UsageError(f"{thing}: {kind} is not a dataclass, so its settings are unknown; write @dataclass(frozen=True) above the class")
    for name, wanted, example in _DECLARED:
        if not isinstance(getattr(method, name, None), wanted):
            raise UsageError(f"{thing}: {kind} does not declare {name}; write `{name}: ClassVar[{wanted.__name__}] = {example}` into the class")
    if not callable(getattr(method, "adapt", None)):
        raise UsageError(f"{thing}: {kind} has no method `adapt(self, base, task, budget, rng)`; write one")
