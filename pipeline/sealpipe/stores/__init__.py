"""Where releases are kept: one file a store, one line in the registry."""
