"""Batched physics: engine, episodes, rollouts, Gymnasium environments, cameras."""
