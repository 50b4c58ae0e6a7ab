"""Benchmark of speed on this machine, relative to the raw rate of the physics."""
