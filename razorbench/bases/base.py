"""Base policies: shipped as safetensors with a JSON card and probe states; checked by hash before use."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from stable_baselines3.common.policies import ActorCriticPolicy

from razorbench.errors import FileDamaged, UsageError
from razorbench.identity.parts import made_of
from razorbench.measures import probe_states
from razorbench.policy import network, sb3_zip
from razorbench.store.folder import content
from razorbench.task import Goals, Task, spaces
from razorbench.types import Identity

CARD_SCHEMA = 1
LOCAL = ("directory", "demos", "policy")
"""Settings of a recipe that name files of one machine: they are in no record."""


@dataclass(frozen=True)
class Recipe:
    """Recipe of a base policy for `razorbench pretrain`.

    skills, easy: tasks by name. episodes: demonstrations per original skill. shares: per new task, demonstrations of its easy variant as a share of those
    of all skills together. rounds: if not 0, shares are not used; instead, the easy variants join in at most this many rounds of further training,
    each until the policy begins to solve its task (`bases.easy_rounds`). goals: goals of a skill in a scene that is not its own. demos: demonstration
    files by skill, all of whose episodes are used, in the place of scripted experts. policy: path of a zip that Stable-Baselines3 saved, PPO or A2C;
    then the base is this policy, and nothing is pretrained.
    """

    name: str
    head: str
    size: str
    skills: Mapping[str, Task]
    easy: Mapping[str, Task]
    episodes: int
    shares: Mapping[str, float]
    epochs: int
    batch_size: int
    learning_rate: float
    rounds: int = 0
    directory: str | None = None
    goals: Goals | None = None
    policy: str | None = None
    demos: Mapping[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Folder of policies and cards: the given one, or the shipped one."""
        return Path(self.directory) if self.directory is not None else Path(str(files("razorbench.baselines").joinpath("policies")))

    def seeds(self) -> list[int]:
        """Return the pretraining seeds in the folder; a policy from a zip has one."""
        if self.policy is not None:
            return [0]
        prefix = f"{self.name}-s"
        return sorted(int(path.stem.removeprefix(prefix)) for path in self.folder.glob(f"{prefix}*.json"))


@dataclass(frozen=True)
class Base:
    """A loaded base policy. sha256, probe_sha256: hashes of its file and of its probe states, None where they are drawn anew.

    other_seed: weights of another pretraining seed, None if there is only one. goals: the recipe's.
    """

    id: str
    policy: ActorCriticPolicy
    probes: Mapping[str, probe_states.Probe]
    card: Identity
    skills: tuple[Task, ...]
    sha256: str
    probe_sha256: str | None
    other_seed: Path | None
    goals: Goals | None = None

    def identity(self) -> Identity:
        """Return the parts of a base that decide the result of a run, for its hash."""
        skills = [skill.fingerprint() for skill in self.skills]
        return {"policy": self.sha256, "probe": self.probe_sha256, "skills": skills, "goals": made_of(self.goals)}

    def probes_with(self, task: Task) -> Mapping[str, probe_states.Probe]:
        """Return the probe states of the skills and of a new task; those that the base was not shipped with are drawn now, by the same rule."""
        if self.card["tasks"].get(task.name) == task.fingerprint():
            return self.probes
        return {**self.probes, **probe_states.draw(self.policy, [task], self.id)}

    def other_policy(self) -> ActorCriticPolicy:
        """Return the base of another pretraining seed, or itself if there is only one."""
        return self.policy if self.other_seed is None else network.load(self.other_seed, self.policy)


def load(recipe: Recipe, run_seed: int) -> Base:
    """Load the base of a run seed: pretraining seed number `run_seed` modulo their number.

    Raises UsageError if there is none, FileDamaged if a file is damaged or does not match its card.
    """
    if recipe.policy is not None:
        return _imported(recipe, Path(recipe.policy))
    seeds = recipe.seeds()
    if not seeds:
        raise UsageError(f"base={recipe.name}: no policy found in {recipe.folder}; make one with `razorbench pretrain base={recipe.name}`")
    id = f"{recipe.name}-s{seeds[run_seed % len(seeds)]}"
    card = read_card(recipe.folder / f"{id}.json")
    weights, states = recipe.folder / f"{id}.safetensors", recipe.folder / f"{id}-probe.safetensors.gz"
    hashes = {"policy": sha256(weights), "probe": sha256(states)}
    for what, path in (("policy", weights), ("probe", states)):
        if hashes[what] != card["sha256"][what]:
            raise FileDamaged(
                f"{path} has SHA-256 {hashes[what][:12]}, its card says {card['sha256'][what][:12]}: the file was changed or cut short; "
                "restore it, or rebuild the base with `razorbench pretrain`"
            )
    skills = tuple(recipe.skills.values())
    for skill in skills:
        if card["tasks"].get(skill.name) != skill.fingerprint():
            raise FileDamaged(
                f"base {id} was made for another version of the skill {skill.id}: its card does not list the present one; "
                f"rebuild it with `razorbench pretrain base={recipe.name}`"
            )
    loaded = network.load(weights, _like(card, skills[0]))
    other = seeds[(run_seed + 1) % len(seeds)]
    other_seed = recipe.folder / f"{recipe.name}-s{other}.safetensors" if len(seeds) > 1 else None
    return Base(id, loaded, probe_states.load(states), card, skills, hashes["policy"], hashes["probe"], other_seed, recipe.goals)


def _imported(recipe: Recipe, path: Path) -> Base:
    """Load a base from a zip of Stable-Baselines3; its probe states are drawn now."""
    skills = tuple(recipe.skills.values())
    policy = sb3_zip.load(path, *spaces(skills[0]))
    if isinstance(policy, sb3_zip.SacActor):
        raise UsageError(f"base={path}: SAC has no policy that the methods here can adapt: score it (`razorbench score policy={path} ...`), or take PPO or A2C")
    if (stray := network.stray_log_std(policy.state_dict())) is not None:
        low, high = network.LOG_STD_RANGE
        raise UsageError(f"base={path}: its log standard deviation, {stray}, leaves the range from {low} to {high} that methods keep to; train it within")
    id = f"{recipe.name}-s0"
    with network.one_thread():
        probes = probe_states.draw(policy, skills, id)
    return Base(id, policy, probes, {"tasks": {}}, skills, sha256(path), None, None, recipe.goals)


def _like(card: Identity, skill: Task) -> ActorCriticPolicy:
    observation_space, action_space = spaces(skill)
    architecture = card["architecture"]
    return network.blank(observation_space, network.native_space(architecture["head"], action_space), network.SIZES[architecture["size"]])


def read_card(path: Path) -> Identity:
    """Read a card. Raises FileDamaged if it is unreadable or has another schema."""
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
        missing = {"schema", "id", "architecture", "recipe", "sha256", "tasks", "success"} - card.keys()
    except (OSError, ValueError, AttributeError) as error:
        raise FileDamaged(f"card {path} cannot be read ({error}): restore it, or rebuild the base with `razorbench pretrain`") from error
    if missing or card["schema"] != CARD_SCHEMA:
        raise FileDamaged(f"card {path} lacks {sorted(missing)} or has another schema than {CARD_SCHEMA}: rebuild the base with `razorbench pretrain`")
    return dict(card)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's unpacked content. Raises FileDamaged if it cannot be read."""
    return hashlib.sha256(content(path)).hexdigest()
