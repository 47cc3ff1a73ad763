"""The order of the stages, one file a command family."""
