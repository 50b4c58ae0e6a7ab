"""Gymnasium environments behind worker processes: a world, and tasks in it."""

from razorbench.envs.gymnasium_world.world import GymnasiumWorld as GymnasiumWorld
from razorbench.envs.gymnasium_world.world import make as make
