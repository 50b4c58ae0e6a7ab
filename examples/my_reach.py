"""PPO of Stable-Baselines3 learns to reach; writes my_reach.zip."""

import gymnasium as gym
from stable_baselines3 import PPO

from razorbench.world.gym_envs import TaskVecEnv

if __name__ == "__main__":
    task = gym.make("razorbench:RazorBench/Reach-v1", reward="shaped").unwrapped.task
    model = PPO("MlpPolicy", TaskVecEnv(task, 32, seed=0), n_steps=16, batch_size=128, device="cpu")
    model.learn(10_240)
    model.save("my_reach")
