"""Commands under Ship."""
