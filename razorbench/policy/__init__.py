"""Policies: Stable-Baselines3 actor-critics, their action distributions and their files."""

from razorbench.policy.distributions import Categorical, Distribution, Gaussian
from razorbench.policy.network import actor_parameters, clone, critic_parameters, distribution, fisher_diagonal, kl, load, log_likelihood, save

__all__ = [
    "Categorical",
    "Distribution",
    "Gaussian",
    "actor_parameters",
    "clone",
    "critic_parameters",
    "distribution",
    "fisher_diagonal",
    "kl",
    "load",
    "log_likelihood",
    "save",
]
