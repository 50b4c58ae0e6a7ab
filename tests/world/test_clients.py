"""Programs that others have written for Gymnasium and Stable-Baselines3, on the faces of the engine."""

import importlib.util

import gymnasium
import numpy as np
import pytest
import torch
from conftest import task
from gymnasium.wrappers import vector
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.vec_env import VecMonitor
from torch import nn

import razorbench  # noqa: F401
from razorbench.errors import UsageError
from razorbench.monitor import ForgettingMonitor
from razorbench.world.gym_envs import TaskVecEnv

REACH = "razorbench:RazorBench/Reach-v1"


def needs(module, install):
    return pytest.mark.skipif(importlib.util.find_spec(module) is None, reason=f"no {module} here: pip install {install}")


def expert(observation, state=None, starts=None):
    """Go to the goal: actions (N, 4), as imitation calls a policy."""
    return np.concatenate([np.clip(observation[:, 19:22] * 2, -1, 1), -np.ones((len(observation), 1))], axis=1).astype(np.float32), None


CONTRIB = {
    "TRPO": ("MlpPolicy", {"n_steps": 16, "batch_size": 32}),
    "RecurrentPPO": ("MlpLstmPolicy", {"n_steps": 16, "batch_size": 32, "n_epochs": 1, "policy_kwargs": {"lstm_hidden_size": 8}}),
    "TQC": ("MlpPolicy", {"learning_starts": 16, "train_freq": 8}),
}


def check_learns(kind, policy, settings):
    model = kind(policy, TaskVecEnv(task("reach"), 4), seed=0, device="cpu", **settings)
    before = [parameter.clone() for parameter in model.policy.parameters()]
    model.learn(64)
    assert model.num_timesteps == 64
    assert any(not torch.equal(a, b) for a, b in zip(before, model.policy.parameters(), strict=True))


@pytest.mark.parametrize(("kind", "settings"), [(PPO, {"n_steps": 16, "batch_size": 32}), (SAC, {"learning_starts": 16, "train_freq": 8})])
def test_stable_baselines3_learns(kind, settings):
    check_learns(kind, "MlpPolicy", settings)


@needs("sb3_contrib", "razorbench[clients]")
@pytest.mark.parametrize("name", CONTRIB)
def test_sb3_contrib_learns(name):
    import sb3_contrib

    check_learns(getattr(sb3_contrib, name), *CONTRIB[name])


@needs("sb3_contrib", "razorbench[clients]")
def test_sb3_contrib_finds_no_action_masks():
    from sb3_contrib.common.maskable.utils import is_masking_supported

    assert not is_masking_supported(TaskVecEnv(task("reach"), 2))


@needs("sb3_contrib", "razorbench[clients]")
@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("TRPO", None),
        ("RecurrentPPO", r"^ForgettingMonitor: RecurrentActorCriticPolicy acts on what it remembers"),
        ("TQC", r"^ForgettingMonitor: TQCPolicy on Box actions has no closed-form divergence"),
    ],
)
def test_the_monitor_watches_or_refuses_sb3_contrib(name, sentence):
    import sb3_contrib

    policy, settings = CONTRIB[name]
    monitor = ForgettingMonitor(states=TaskVecEnv(task("reach"), 3).reset())
    model = getattr(sb3_contrib, name)(policy, TaskVecEnv(task("reach"), 4), seed=0, device="cpu", **settings)
    if sentence is None:
        model.learn(128, callback=monitor)
        assert monitor.history[-1]["kl_forward"] > monitor.history[0]["kl_forward"] > 0
    else:
        with pytest.raises(UsageError, match=sentence):
            model.learn(128, callback=monitor)


@needs("skrl", "razorbench[clients]")
@pytest.mark.parametrize("mode", ["SameStep", "NextStep"])
def test_skrl_learns(mode):
    from skrl.agents.torch.ppo import PPO, PPO_CFG
    from skrl.envs.wrappers.torch import wrap_env
    from skrl.memories.torch import RandomMemory
    from skrl.models.torch import DeterministicMixin, GaussianMixin, Model
    from skrl.trainers.torch import SequentialTrainer
    from skrl.utils import set_seed

    class Policy(GaussianMixin, Model):
        def __init__(self, **spaces):
            Model.__init__(self, **spaces)
            GaussianMixin.__init__(self)
            self.net, self.log_std = nn.Linear(self.num_observations, self.num_actions), nn.Parameter(torch.zeros(self.num_actions))

        def compute(self, inputs, role=""):
            return self.net(inputs["observations"]), {"log_std": self.log_std}

    class Value(DeterministicMixin, Model):
        def __init__(self, **spaces):
            Model.__init__(self, **spaces)
            DeterministicMixin.__init__(self)
            self.net = nn.Linear(self.num_observations, 1)

        def compute(self, inputs, role=""):
            return self.net(inputs["observations"]), {}

    set_seed(0)
    env = wrap_env(gymnasium.make_vec(REACH, num_envs=4, max_episode_steps=8, autoreset_mode=mode, reward="shaped"), verbose=False)
    spaces = {"observation_space": env.observation_space, "action_space": env.action_space, "device": "cpu"}
    models = {"policy": Policy(**spaces), "value": Value(**spaces)}
    settings = PPO_CFG(rollouts=8, learning_epochs=1)
    settings.experiment.write_interval = settings.experiment.checkpoint_interval = 0
    agent = PPO(models=models, memory=RandomMemory(memory_size=8, num_envs=4, device="cpu"), cfg=settings, **spaces)
    before = models["policy"].net.weight.clone()
    SequentialTrainer(cfg={"timesteps": 32, "headless": True, "disable_progressbar": True, "close_environment_at_exit": False}, env=env, agents=agent).train()
    assert not torch.equal(models["policy"].net.weight, before)
    assert torch.isfinite(models["policy"].net.weight).all()


def cleanrl(envs, updates, steps, learning_rate=3e-3):
    """CleanRL's ppo_continuous_action.py for Gymnasium 1, without what it logs; returns the returns of all episodes, in order."""
    torch.manual_seed(0)
    count, width = envs.num_envs, envs.single_observation_space.shape[0]

    def network(out):
        return nn.Sequential(nn.Linear(width, 64), nn.Tanh(), nn.Linear(64, out))

    actor, critic, log_std = network(envs.single_action_space.shape[0]), network(1), nn.Parameter(torch.full((4,), -0.5))
    optimizer = torch.optim.Adam([*actor.parameters(), *critic.parameters(), log_std], lr=learning_rate, eps=1e-5)

    def distribution(observations):
        return torch.distributions.Normal(actor(observations), log_std.exp())

    next_obs, _ = envs.reset(seed=1)
    next_obs, next_done, episodes = torch.as_tensor(next_obs, dtype=torch.float32), torch.zeros(count), []
    for _ in range(updates):
        kept = {name: [] for name in ("obs", "actions", "logprobs", "rewards", "dones", "values")}
        for _ in range(steps):
            with torch.no_grad():
                chosen = distribution(next_obs)
                action = chosen.sample()
                values = critic(next_obs).flatten()
            for name, value in (("obs", next_obs), ("dones", next_done), ("actions", action), ("logprobs", chosen.log_prob(action).sum(1)), ("values", values)):
                kept[name].append(value)
            next_obs, reward, terminations, truncations, infos = envs.step(action.numpy())
            next_obs, next_done = torch.as_tensor(next_obs, dtype=torch.float32), torch.as_tensor(terminations | truncations, dtype=torch.float32)
            kept["rewards"].append(torch.as_tensor(reward, dtype=torch.float32))
            if "episode" in infos:
                episodes += infos["episode"]["r"][infos["_episode"]].tolist()
        with torch.no_grad():
            after, not_done, advantage, advantages = critic(next_obs).flatten(), 1 - next_done, 0, []
            for t in reversed(range(steps)):
                delta = kept["rewards"][t] + 0.99 * after * not_done - kept["values"][t]
                advantage = delta + 0.99 * 0.95 * not_done * advantage
                advantages.insert(0, advantage)
                after, not_done = kept["values"][t], 1 - kept["dones"][t]
        obs, actions, logprobs, values, advantages = map(torch.cat, (kept["obs"], kept["actions"], kept["logprobs"], kept["values"], advantages))
        for _ in range(4):
            for index in torch.randperm(len(obs)).split(len(obs) // 4):
                chosen, gain = distribution(obs[index]), advantages[index]
                ratio = (chosen.log_prob(actions[index]).sum(1) - logprobs[index]).exp()
                gain = (gain - gain.mean()) / (gain.std() + 1e-8)
                policy_loss = torch.max(-gain * ratio, -gain * ratio.clamp(0.8, 1.2)).mean()
                loss = policy_loss + 0.5 * (critic(obs[index]).flatten() - advantages[index] - values[index]).pow(2).mean()
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_([*actor.parameters(), *critic.parameters(), log_std], 0.5)
                optimizer.step()
    return episodes


def with_gymnasiums_wrappers(**settings):
    envs = vector.RecordEpisodeStatistics(gymnasium.make_vec(REACH, reward="shaped", **settings))
    return vector.NormalizeReward(vector.NormalizeObservation(vector.ClipAction(envs)))


@pytest.mark.slow
def test_cleanrls_loop_learns():
    returns = cleanrl(with_gymnasiums_wrappers(num_envs=64, autoreset_mode="NextStep"), updates=8, steps=32)
    assert np.mean(returns[-64:]) > 2 * np.mean(returns[:64])


def test_cleanrls_loop_sees_no_difference_to_gymnasiums_own_batch():
    ours, theirs = {"autoreset_mode": "NextStep"}, {"vectorization_mode": "sync"}
    one, other = (cleanrl(with_gymnasiums_wrappers(num_envs=8, **each), updates=2, steps=45) for each in (ours, theirs))
    assert len(one) >= 16
    assert one == other


def test_a_policy_is_cloned_from_trajectories_as_imitation_collects_them():
    """imitation 1.0.1 asks for Gymnasium 0.29, so it cannot be installed beside ours with what it asks for; this is its way of collecting."""
    envs, done, finished = TaskVecEnv(task("reach"), 16), np.zeros(16, dtype=bool), []
    observation = envs.reset()
    running = [{"obs": [row], "actions": []} for row in observation]
    while len(finished) < 100:
        actions, _ = expert(observation, None, done)
        observation, reward, done, infos = envs.step(actions)
        for i, part in enumerate(running):
            part["obs"].append(infos[i]["terminal_observation"] if done[i] else observation[i])
            part["actions"].append(actions[i])
            if done[i]:
                assert reward[i] == infos[i]["is_success"] == 1.0
                finished.append(part)
                running[i] = {"obs": [observation[i]], "actions": []}
    assert all(len(part["obs"]) == len(part["actions"]) + 1 for part in finished)
    assert not any(np.array_equal(a, b) for part in finished for a, b in zip(part["obs"], part["obs"][1:], strict=False))
    torch.manual_seed(0)
    policy = ActorCriticPolicy(envs.observation_space, envs.action_space, lambda _: 1e-3)
    obs = torch.as_tensor(np.concatenate([part["obs"][:-1] for part in finished]))
    actions = torch.as_tensor(np.concatenate([part["actions"] for part in finished]))
    for _ in range(200):
        _, log_prob, _ = policy.evaluate_actions(obs, actions)
        policy.optimizer.zero_grad()
        (-log_prob.mean()).backward()
        policy.optimizer.step()
    assert evaluate_policy(policy, VecMonitor(TaskVecEnv(task("reach"), 16, seed=100)), 50)[0] > 0.8


@needs("imitation", "--no-deps imitation")
@pytest.mark.filterwarnings("ignore")
def test_imitation_clones_a_policy(tmp_path):
    from imitation.algorithms import bc
    from imitation.data import rollout
    from imitation.util import logger

    rng, envs = np.random.default_rng(0), TaskVecEnv(task("reach"), 16)
    trajectories = rollout.rollout(expert, envs, rollout.make_sample_until(min_episodes=100), rng=rng, unwrap=False)
    assert all(len(each.obs) == len(each.acts) + 1 and each.terminal and each.rews.sum() == 1 for each in trajectories)
    found = rollout.flatten_trajectories(trajectories)
    torch.manual_seed(0)
    log, spaces = logger.configure(tmp_path, ["csv"]), {"observation_space": envs.observation_space, "action_space": envs.action_space}
    cloning = bc.BC(**spaces, demonstrations=found, rng=rng, device="cpu", custom_logger=log)
    cloning.train(n_epochs=15, progress_bar=False)
    assert evaluate_policy(cloning.policy, VecMonitor(TaskVecEnv(task("reach"), 16, seed=100)), 50)[0] > 0.8
