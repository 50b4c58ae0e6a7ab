"""What the author of a method needs: its protocol, its budget, and the handle that it is given."""

from razorbench.method.data import Budget, Demonstrations, Notes, Rollouts, Used
from razorbench.method.handle import TaskHandle
from razorbench.method.protocol import Method
from razorbench.policy import actor_parameters, clone, critic_parameters, distribution, kl, log_likelihood

__all__ = [
    "Budget",
    "Demonstrations",
    "Method",
    "Notes",
    "Rollouts",
    "TaskHandle",
    "Used",
    "actor_parameters",
    "clone",
    "critic_parameters",
    "distribution",
    "kl",
    "log_likelihood",
]
