"""Commands under Help."""
