"""Statistics of finished runs: comparisons with intervals, claims, the forgetting law."""
