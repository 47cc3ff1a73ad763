"""Who may read and who may sign: changes of keyrings and trust files."""
