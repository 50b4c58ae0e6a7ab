"""Submissions to the leaderboard: packed, and checked as hostile input."""
