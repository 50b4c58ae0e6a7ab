"""Files: result folders, records, checkpoints, locks, and safe reading of damaged or hostile files."""
