"""What is measured on a policy: success, forgetting, divergences, drift, transfer."""
