"""Record demonstrations of a skill in the Python that has its environment: `$FETCH_PYTHON record.py fetch_pick_place out.npz`. Needs no RazorBench."""

import sys

import gymnasium
import numpy as np

EPISODES, NOISE = 150, 0.1


def fetch_pick_place(seen):
    """Move over the block, go down, grasp, and carry it to the goal. seen: observation (25,), then desired goal (3,)."""
    grip, rel, goal = seen[:3], seen[6:9], seen[25:]
    block = grip + rel
    if np.linalg.norm(rel[:2]) > 0.015 and rel[2] < 0.02:
        target = block + np.array([0, 0, 0.05]) if np.linalg.norm(rel[:2]) > 0.03 else block
        return np.append(8 * (target - grip), 1.0)
    if np.linalg.norm(rel) > 0.012:
        return np.append(8 * rel, 1.0)
    held = seen[9] + seen[10] < 0.055
    return np.append(8 * (goal - grip) if held else np.zeros(3), -1.0)


def pusht_near(seen):
    """Walk around the block and push it towards the goal's place. seen: agent (2,), block (2,), angle, in pixels."""
    agent, block = seen[:2], seen[2:4]
    way = np.array([256.0, 256.0]) - block
    way = way / max(np.linalg.norm(way), 1e-6)
    behind = block - 80 * way
    along, across = (agent - block) @ way, (agent - block) @ np.array([-way[1], way[0]])
    if along < -20 and abs(across) < 15:
        target = agent + 40 * way
    elif along > -40 and abs(across) < 90:
        target = agent + 60 * np.sign(across or 1.0) * np.array([-way[1], way[0]]) - 20 * way
    else:
        target = behind
    return target / 256.0 - 1.0


def metaworld_policy(name):
    """Return one of the package's scripted policies."""
    from metaworld.policies import ENV_POLICY_MAP

    policy = ENV_POLICY_MAP[name]()
    return lambda seen: policy.get_action(seen)


# Module, environment, its arguments, horizon, expert or policy's name, and the key of `info` or the return that is success.
SKILLS = {
    "fetch_pick_place": ("gymnasium_robotics", "FetchPickAndPlace-v4", {}, 50, fetch_pick_place, "is_success"),
    "pusht_near": ("gym_pusht", "gym_pusht/PushT-v0", {}, 100, pusht_near, 5.0),
    "class_reach": ("metaworld_ids", "MetaWorld/Any-v3", {"name": "reach-v3"}, 150, "reach-v3", "success"),
}


def episode(env, act, horizon, rule, seed, rng):
    """Return an episode's (observation, action) pairs, and whether it succeeded."""
    if hasattr(env.unwrapped, "seed"):
        env.unwrapped.seed(seed)
    observation, _ = env.reset(seed=seed)
    low, high, pairs, total = env.action_space.low, env.action_space.high, [], 0.0
    for step in range(horizon):
        seen = np.concatenate([observation["observation"], observation["desired_goal"]]) if isinstance(observation, dict) else observation
        action = np.clip(act(seen) + NOISE * rng.normal(size=low.shape), -1, 1)
        pairs.append((seen, action))
        observation, reward, terminated, truncated, info = env.step((low + (action + 1) / 2 * (high - low)).astype(np.float32))
        total += reward
        over = terminated or truncated or step == horizon - 1
        solved = info[rule] if isinstance(rule, str) else over and total >= rule
        if solved or over:
            return pairs, bool(solved)


def main(skill, path):
    """Write the successes among EPISODES episodes of a skill."""
    module, name, arguments, horizon, act, rule = SKILLS[skill]
    __import__(module)
    act = metaworld_policy(act) if isinstance(act, str) else act
    env, rng = gymnasium.make(name, disable_env_checker=True, **arguments), np.random.default_rng(0)
    played = [episode(env, act, horizon, rule, seed, rng) for seed in range(EPISODES)]
    kept = [pairs for pairs, solved in played if solved]
    observations, actions = (np.array([pair[part] for pairs in kept for pair in pairs]) for part in (0, 1))
    np.savez(path, observations=observations, actions=actions, episode=np.repeat(np.arange(len(kept)), [len(pairs) for pairs in kept]))
    print(f"{len(kept)} of {EPISODES} episodes succeeded: {path}")


if __name__ == "__main__":
    main(*sys.argv[1:])
