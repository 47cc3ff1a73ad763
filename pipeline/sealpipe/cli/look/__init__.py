"""Commands under Look."""
