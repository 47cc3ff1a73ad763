"""Settings that follow what is published while a program runs."""
