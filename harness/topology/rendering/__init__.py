"""From a service's files to what is put on its node: compose files, ``.env``, templates."""
