"""The public door for authors of methods: a method file needs this module, `razorbench.task`, `razorbench.types` and `razorbench.errors`.

It has the protocol of a method, its budget, its task handle, the policies' densities and divergences, and the loop of supervised methods. Only the names
in `__all__` are stable.
"""

from razorbench.method.data import Budget, Demonstrations, Need, Notes, Rollouts, Used
from razorbench.method.handle import TaskHandle
from razorbench.method.protocol import Method
from razorbench.method.supervised import Descent, Minibatches, Supervised, descend
from razorbench.policy import actor_parameters, clone, critic_parameters, distribution, fisher_diagonal, kl, log_likelihood
from razorbench.world.gym_envs import TaskVecEnv

__all__ = [
    "Budget",
    "Demonstrations",
    "Descent",
    "Method",
    "Minibatches",
    "Need",
    "Notes",
    "Rollouts",
    "Supervised",
    "TaskHandle",
    "TaskVecEnv",
    "Used",
    "actor_parameters",
    "clone",
    "critic_parameters",
    "descend",
    "distribution",
    "fisher_diagonal",
    "kl",
    "log_likelihood",
]
