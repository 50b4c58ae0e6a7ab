"""The conf folder as typed objects; the only room that imports Hydra."""
