"""Runs, sequences and sweeps."""
