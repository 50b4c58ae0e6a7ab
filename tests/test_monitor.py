"""The monitor on plain Stable-Baselines3: its figures by hand, its budget, its refusals."""

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete
from gymnasium.wrappers import NormalizeObservation
from stable_baselines3 import DQN, PPO, SAC, TD3
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor, VecNormalize

from razorbench.errors import UsageError
from razorbench.monitor import ForgettingMonitor, _kl, _parts, _whole_episodes


class Short(gymnasium.Env):
    """Episodes of five decisions; reward for a positive first action."""

    def __init__(self, action_space, observation_space=None):
        self.observation_space = Box(-1, 1, (3,)) if observation_space is None else observation_space
        self.action_space = action_space

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return self._look(), {}

    def step(self, action):
        self.steps += 1
        return self._look(), float(np.ravel(action)[0] > 0), self.steps == 5, False, {}

    def _look(self):
        if isinstance(self.observation_space, Dict):
            return {"a": np.zeros(1, dtype=np.float32)}
        return self.np_random.uniform(-1, 1, 3).astype(np.float32)


BOX = Box(-1, 1, (2,))


def ppo(action_space=BOX, **settings):
    return PPO("MlpPolicy", Short(action_space), n_steps=64, batch_size=32, n_epochs=2, seed=0, device="cpu", **settings)


@pytest.mark.parametrize("action_space", [BOX, Discrete(4), MultiDiscrete([2, 5])])
def test_figures_agree_with_torch(action_space):
    model, monitor = ppo(action_space), ForgettingMonitor(law=lambda kl: 0.5 * kl)
    first = PPO("MlpPolicy", Short(action_space), n_steps=64, seed=0, device="cpu").policy
    model.learn(256, callback=monitor)
    assert [point["timesteps"] for point in monitor.history] == [64, 128, 192, 256]
    last = monitor.history[-1]
    states = torch.as_tensor(monitor._states)
    with torch.no_grad():
        before, now = (policy.get_distribution(states).distribution for policy in (first, model.policy))
        pairs = zip(before, now, strict=True) if isinstance(before, list) else [(before, now)]
        forward = sum(torch.distributions.kl_divergence(p, q).reshape(len(states), -1).sum(dim=1) for p, q in pairs)
    assert last["kl_forward"] == pytest.approx(float(forward.mean()), rel=1e-5)
    assert last["kl_forward"] > monitor.history[0]["kl_forward"] > 0
    assert last["predicted_forgetting"] == 0.5 * last["kl_forward"]
    # 64 decisions hold twelve whole episodes of five.
    assert last["kl_forward_episode_sum"] == pytest.approx(5 * float(forward[:60].mean()), rel=1e-5)
    assert last["kl_forward_tuned_states"] == pytest.approx(last["kl_forward"], rel=0.5)
    if action_space == BOX:
        assert last["kl_forward"] == pytest.approx(last["kl_forward_mean_part"] + last["kl_forward_variance_part"])


def test_a_reference_that_does_not_move_costs_nothing():
    model = ppo(learning_rate=1e-12)
    monitor = ForgettingMonitor(kl_budget=1e-3)
    model.learn(128, callback=monitor)
    assert not monitor.exceeded
    assert max(point["kl_forward"] for point in monitor.history) < 1e-9


@pytest.mark.parametrize("on_budget", ["stop", "rollback"])
def test_the_budget_ends_training(on_budget):
    free = ForgettingMonitor()
    ppo(learning_rate=1e-2).learn(640, callback=free)
    budget = (free.history[1]["kl_forward"] + free.history[2]["kl_forward"]) / 2
    monitor, model = ForgettingMonitor(kl_budget=budget, on_budget=on_budget), ppo(learning_rate=1e-2)
    model.learn(640, callback=monitor)
    assert monitor.exceeded
    assert [point["kl_forward"] for point in monitor.history] == [point["kl_forward"] for point in free.history[:3]]
    assert model.num_timesteps == 193
    left = float(_kl(_parts(monitor._reference, monitor._states), _parts(model.policy, monitor._states)).mean())
    assert left == pytest.approx(free.history[2 if on_budget == "stop" else 1]["kl_forward"], rel=1e-6)


def test_sac_with_given_states():
    states = np.random.default_rng(0).uniform(-1, 1, (50, 3)).astype(np.float32)
    model = SAC("MlpPolicy", Short(BOX), learning_starts=20, seed=0, device="cpu")
    monitor = ForgettingMonitor(states=states, every=25)
    model.learn(100, callback=monitor)
    assert len(monitor.history) == 4
    assert monitor.history[-1]["kl_forward"] > 0
    assert "kl_forward_tuned_states" not in monitor.history[-1]


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: SAC("MlpPolicy", Short(BOX), device="cpu"), "SAC makes no rollouts with its first policy; give states"),
        (lambda: PPO("MultiInputPolicy", Short(BOX, Dict({"a": Box(-1, 1, (1,))})), n_steps=64, device="cpu"), "observations are a dictionary"),
    ],
)
def test_what_cannot_be_watched_is_refused(make, sentence):
    with pytest.raises(UsageError, match=sentence):
        make().learn(64, callback=ForgettingMonitor())


@pytest.mark.parametrize(("algorithm", "space"), [(TD3, BOX), (DQN, Discrete(2))])
def test_policies_without_a_closed_form_are_refused(algorithm, space):
    with pytest.raises(UsageError, match="has no closed-form divergence; use PPO or A2C"):
        algorithm("MlpPolicy", Short(space), device="cpu").learn(64, callback=ForgettingMonitor(states=np.zeros((2, 3), dtype=np.float32)))


@pytest.mark.parametrize(
    ("states", "sentence"),
    [
        (np.zeros((2, 4), dtype=np.float32), r"states do not fit the policy \(.*\(1, 4\).*\); give an array \(M, O\)"),
        (np.zeros((0, 3), dtype=np.float32), "states are missing or not finite"),
        (np.full((2, 3), np.nan, dtype=np.float32), "states are missing or not finite"),
    ],
)
def test_states_that_do_not_fit_are_refused_before_training(states, sentence):
    model = ppo()
    with pytest.raises(UsageError, match=sentence):
        model.learn(64, callback=ForgettingMonitor(states=states))
    assert model.num_timesteps == 0


class Remembering(ActorCriticPolicy):
    """As those of sb3-contrib's RecurrentPPO."""

    def get_distribution(self, obs, lstm_states, episode_starts):
        raise AssertionError("never asked")


def test_a_policy_with_a_memory_is_refused_before_training():
    model = PPO(Remembering, Short(BOX), n_steps=64, device="cpu")
    with pytest.raises(UsageError, match=r"^ForgettingMonitor: Remembering acts on what it remembers, .*; use a policy without a memory"):
        model.learn(64, callback=ForgettingMonitor())
    assert model.num_timesteps == 0


def normalized(**settings):
    return lambda: VecNormalize(DummyVecEnv([lambda: Short(BOX)]), **settings)


def inside(updates):
    env = NormalizeObservation(Short(BOX))
    env.update_running_mean = updates
    return DummyVecEnv([lambda: env])


@pytest.mark.parametrize(
    ("make", "refused"),
    [
        (normalized(), True),
        (normalized(training=False), False),
        (normalized(norm_obs=False), False),
        (lambda: VecMonitor(normalized()()), True),
        (lambda: inside(True), True),
        (lambda: inside(False), False),
    ],
)
def test_states_whose_meaning_changes_are_refused(make, refused):
    model, monitor = PPO("MlpPolicy", make(), n_steps=64, n_epochs=1, seed=0, device="cpu"), ForgettingMonitor()
    if refused:
        with pytest.raises(UsageError, match=r"still updates its statistics, .*; freeze them, for VecNormalize with training=False"):
            model.learn(64, callback=monitor)
        assert monitor.history == []
    else:
        model.learn(64, callback=monitor)
        assert len(monitor.history) == 1


@pytest.mark.parametrize("wrong", [{"every": 0}, {"kl_budget": -1.0}, {"on_budget": "cry"}])
def test_wrong_settings(wrong):
    with pytest.raises(UsageError, match="every must be 1 or more"):
        ForgettingMonitor(**wrong)


def test_only_whole_episodes_are_summed():
    starts = np.array([[1, 0], [0, 1], [1, 0], [0, 1]], dtype=bool)
    assert _whole_episodes(np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0]), starts) == [3.0, 96.0]
