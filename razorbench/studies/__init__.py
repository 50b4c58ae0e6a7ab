"""Controlled studies: each asks one question of the paper in a world small enough to know the answer."""
