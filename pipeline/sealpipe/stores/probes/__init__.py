"""What `doctor` asks of each kind of server: version and its holes, rights, clock, health. Reads only."""
