"""Divergences on few states: runs that cost a fraction of a tiny one, and packages that are checked in a fraction of the time. All else is as ever."""

from __future__ import annotations

import numpy as np

from razorbench.measures import probe_states
from razorbench.measures.probe_states import Probe
from razorbench.store import provenance
from razorbench.task import Split
from razorbench.world.rollout import Cell, play_policy

STATES = 16


def _few(probes):
    return {name: Probe(each.states[:STATES], each.episode_length) for name, each in probes.items()}


def shrink(setattr_) -> None:
    """Let everything in this process measure on few states. setattr_: as monkeypatch's."""
    load, draw = probe_states.load, probe_states.draw
    setattr_(probe_states, "load", lambda path: _few(load(path)))
    setattr_(probe_states, "draw", lambda *arguments: _few(draw(*arguments)))
    setattr_(
        probe_states, "visited", lambda policy, tasks: [play_policy(policy, [Cell(task, Split.PROBE, np.arange(2), "sampled")], keep=True) for task in tasks]
    )
    setattr_(probe_states, "DRAWS", 64)
    found = provenance.versions()
    setattr_(provenance, "versions", lambda: found)
