"""Keys, sealing, signing: primitives, no policy. The only folder that names nacl."""
