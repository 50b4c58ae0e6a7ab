"""Base policies: shipped as safetensors with a JSON card and probe states; checked by hash before use."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from stable_baselines3.common.policies import ActorCriticPolicy

from razorbench.errors import FileDamaged, UsageError
from razorbench.identity.parts import made_of
from razorbench.measures import probe_states
from razorbench.policy import network
from razorbench.store.folder import content
from razorbench.task import Goals, Task, spaces
from razorbench.types import Identity

CARD_SCHEMA = 1


@dataclass(frozen=True)
class Recipe:
    """How a base policy is made; `razorbench pretrain` follows it.

    skills, easy: tasks by name. episodes: demonstrations per original skill. shares: per new task, demonstrations of its easy variant as a share
    of those of all skills together. rounds: where not 0, the easy variants come in at most so many rounds of further training instead, as long
    as the policy does not begin to do their tasks (`bases.easy_rounds`), and shares are not used. goals: where goals may lie when a skill is asked
    for in a scene that is not its own.
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

    @property
    def folder(self) -> Path:
        """Where policies and cards lie: as given, or the shipped ones."""
        return Path(self.directory) if self.directory is not None else Path(str(files("razorbench.baselines").joinpath("policies")))

    def seeds(self) -> list[int]:
        """Pretraining seeds that exist in the folder."""
        prefix = f"{self.name}-s"
        return sorted(int(path.stem.removeprefix(prefix)) for path in self.folder.glob(f"{prefix}*.json"))


@dataclass(frozen=True)
class Base:
    """A loaded base policy. `sha256` is that of its weights' file, `probe_sha256` that of its probe states' file.

    other_seed: the weights of another pretraining seed, or its own where there is but one. goals: the recipe's.
    """

    id: str
    policy: ActorCriticPolicy
    probes: Mapping[str, probe_states.Probe]
    card: Identity
    skills: tuple[Task, ...]
    sha256: str
    probe_sha256: str
    other_seed: Path
    goals: Goals | None = None

    def identity(self) -> Identity:
        """Return what of a base decides the result of a run from it."""
        skills = [skill.fingerprint() for skill in self.skills]
        return {"policy": self.sha256, "probe": self.probe_sha256, "skills": skills, "goals": made_of(self.goals)}

    def other_policy(self) -> ActorCriticPolicy:
        """Return the base of another pretraining seed: a policy that is neither this one nor an expert."""
        return network.load(self.other_seed, self.policy)


def load(recipe: Recipe, run_seed: int) -> Base:
    """Load the base that a run seed starts from: pretraining seed number `run_seed` modulo those that exist.

    Raises UsageError if none exists, FileDamaged if a file is damaged or is not the one that its card describes.
    """
    seeds = recipe.seeds()
    if not seeds:
        raise UsageError(f"base={recipe.name}: no policy found in {recipe.folder}; make one with `razorbench pretrain base={recipe.name}`")
    id = f"{recipe.name}-s{seeds[run_seed % len(seeds)]}"
    card = read_card(recipe.folder / f"{id}.json")
    weights, states = recipe.folder / f"{id}.safetensors", recipe.folder / f"{id}-probe.safetensors.gz"
    found = {"policy": sha256(weights), "probe": sha256(states)}
    for what, path in (("policy", weights), ("probe", states)):
        if found[what] != card["sha256"][what]:
            raise FileDamaged(
                f"{path} has SHA-256 {found[what][:12]}, its card says {card['sha256'][what][:12]}: the file was changed or cut short; "
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
    other_seed = recipe.folder / f"{recipe.name}-s{other}.safetensors"
    return Base(id, loaded, probe_states.load(states), card, skills, found["policy"], found["probe"], other_seed, recipe.goals)


def _like(card: Identity, skill: Task) -> ActorCriticPolicy:
    observation_space, action_space = spaces(skill)
    architecture = card["architecture"]
    return network.blank(observation_space, network.native_space(architecture["head"], action_space), network.SIZES[architecture["size"]])


def read_card(path: Path) -> Identity:
    """Read a card; raises FileDamaged if it is not one of this schema."""
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
        missing = {"schema", "id", "architecture", "recipe", "sha256", "tasks", "success"} - card.keys()
    except (OSError, ValueError, AttributeError) as error:
        raise FileDamaged(f"card {path} cannot be read ({error}): restore it, or rebuild the base with `razorbench pretrain`") from error
    if missing or card["schema"] != CARD_SCHEMA:
        raise FileDamaged(f"card {path} lacks {sorted(missing)} or has another schema than {CARD_SCHEMA}: rebuild the base with `razorbench pretrain`")
    return dict(card)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content, unpacked; raises FileDamaged if it cannot be read."""
    return hashlib.sha256(content(path)).hexdigest()
