"""The jobs: values in, values out, a client handed in; nothing here prints or reads settings."""
