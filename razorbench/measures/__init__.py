"""Measures of a policy: success, forgetting, divergences, drift, transfer."""
