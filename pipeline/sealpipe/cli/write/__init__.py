"""Commands under Write."""
