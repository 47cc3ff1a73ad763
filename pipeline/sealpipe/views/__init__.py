"""Plain key trees: what is published once more, for programs that read no releases. Decides nothing."""
