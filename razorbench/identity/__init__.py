"""Identity of a run: declared versions, settings, and digests of a user's code."""
