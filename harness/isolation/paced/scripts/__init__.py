"""What runs on a node, fed to its Python over ssh: standard library only, nothing of this project."""
