"""Speed on this machine, against the raw rate of the physics."""
