"""Finished runs as numbers with intervals: comparisons, claims, the forgetting law."""
