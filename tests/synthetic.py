"""Results folders whose truth is known, for the analyses."""

import json

import numpy as np

from razorbench.measures.episodes import rate
from razorbench.seeding import generator
from razorbench.statistics.finished_runs import PREDICTORS
from razorbench.statistics.law.questions import Questions
from razorbench.store.folder import PROTOCOL, REQUIRED, SCHEMA
from razorbench.store.record import Record

QUESTIONS = Questions(
    papers=("on-policy reward", "offline supervised"), ours=("ours",), protecting=("lwf",), examples=[("sft", "ppo"), ("lwf", "ppo")], found=[("ppo", "sft")]
)
SKILLS = ("reach", "push", "lift", "carry")


def rates(p, n, rng):
    return rate(rng.random(n) < p).plain()


def write_run(
    results,
    task,
    method,
    seed,
    *,
    speed,
    harm,
    family="offline supervised",
    demos="direct",
    snapshots=12,
    predictors=None,
    episodes=(100, 25),
    skills=SKILLS,
    can=(0.05, 1.0),
    **record,
):
    """A run whose success rises with a rate `speed` and whose forgetting is `harm` times its forward KL, up to 1, both noisy.

    episodes: of the new task and of each skill; can: success of the base on the new task and on each skill.
    predictors: names of `PREDICTORS` to have, by default a few divergences; those beside forward KL are it times a number of their own, and noise.
    """
    rng = generator("synthetic", task, method, seed, demos)
    curve, before = [], 0.0
    for k in range(snapshots + 1):
        success, kl = 1 - (1 - can[0]) * (1 - speed) ** k, 0.2 * k * (1 + 0.1 * rng.random())
        original = {skill: rates(can[1] * max(0.0, 1 - harm * kl), episodes[1], rng) for skill in skills}
        solved = sum(each["rate"] for each in original.values()) / len(skills)
        before = before if k else solved
        kept = solved / before if before else None
        forward = {"new": kl if k else 0.0, "new_instructed": 2 * kl if k else 0.0, "original": 3 * kl * harm if k else 0.0}
        point = {
            "update": k,
            **costs(1000 * k, 0 if family.startswith("on-policy") else 500),
            "new_task": {split: rates(success, episodes[0], rng) for split in ("test", "select")},
            "original": original,
            "forgetting": estimate(before - solved),
            "retention": estimate(kept),
            "divergence": {"kl_forward": forward, "kl_reverse": {"new": rng.random()}},
        }
        for place, name in enumerate(predictors or ()):
            put(point, PREDICTORS[name], kl * (1 + 0.05 * place * rng.random()))
        curve.append(point)
    first, last = curve[0], curve[-1]
    folder = results / task / method / f"seed{seed}-{demos}"
    folder.mkdir(parents=True)
    base, final = ({mode: point["new_task"]["test"] for mode in ("greedy", "sampled")} for point in (first, last))
    content = dict.fromkeys(REQUIRED) | {
        "schema": SCHEMA,
        "protocol": PROTOCOL,
        "task": f"{task}-v1",
        "method": {"name": method, "family": family, "version": 1, "demos": demos},
        "base": f"mlp-s{seed % 3}",
        "seed": seed,
        "budget": {"name": "standard", **costs(1000 * snapshots, 0 if family.startswith("on-policy") else 500)},
        "versions": {"mujoco": "4.0.0", "torch": "2.13.0+cpu"},
        "hashes": {"run": f"{seed:012x}", "task_spec": task},
        "wall_s": 60.0,
        "new_task": {"final": final, "base": base, "select": last["new_task"]["select"]},
        "original": {
            skill: {who: dict.fromkeys(("greedy", "sampled"), point["original"][skill]) for who, point in (("base", first), ("final", last))}
            for skill in skills
        },
        "forgetting": last["forgetting"],
        "retention": last["retention"],
        "score": None if last["retention"]["value"] is None else last["new_task"]["test"]["rate"] * min(1.0, last["retention"]["value"]),
        "divergence": last["divergence"],
    }
    (folder / "record.json").write_text(json.dumps(content | record))
    (folder / "curve.jsonl").write_text("".join(json.dumps(point) + "\n" for point in curve))
    return folder


def costs(env_steps=0, demo_episodes=0, gradient_steps=0):
    """What a record's budget, or a snapshot, has of costs."""
    return {"env_steps": env_steps, "demo_episodes": demo_episodes, "expert_queries": 0, "gradient_steps": gradient_steps}


def estimate(value):
    """A record's form of a value that is certain, or of none."""
    return {"value": value, "ci95": None if value is None else [value, value]}


def success(value, episodes=100):
    """A record's form of a success rate."""
    return rate(np.arange(episodes) < round(value * episodes)).plain() | {"rate": value}


def record(**parts):
    """A whole record, of a run that did nothing, but for some parts."""
    none = {"greedy": success(0.0), "sampled": success(0.0)}
    whole = dict.fromkeys(REQUIRED) | {
        **{"schema": SCHEMA, "protocol": PROTOCOL, "task": "push_far-v1", "base": "none-s0", "seed": 0, "wall_s": 60.0},
        "method": {"name": "sft", "family": "offline supervised", "version": 1, "demos": "direct"},
        "budget": {"name": "standard", **costs()},
        **{"versions": {"mujoco": "4.0.0", "torch": "2.13.0"}, "hashes": {"run": "0"}, "new_task": {"base": none, "final": none}},
    }
    return Record.model_validate(whole | parts)


def modes(value, episodes=100):
    """A record's form of success in both modes."""
    return dict.fromkeys(("greedy", "sampled"), success(value, episodes))


def put(point, path, number):
    """Put a number at a dotted path, unless there is one."""
    *keys, last = path.split(".")
    for key in keys:
        point = point.setdefault(key, {})
    point.setdefault(last, number)
