"""Controlled studies: each tests one question of the paper where the answer is known."""
