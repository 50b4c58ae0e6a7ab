"""What decides a result: declared versions, settings, and digests of a user's code."""
