"""Files: result folders, records, checkpoints, locks, and reading what may be damaged or hostile."""
