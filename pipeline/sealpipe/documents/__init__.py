"""YAML text: read, edit, merge. The only folder that names yaml."""
