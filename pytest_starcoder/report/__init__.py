"""Reports: values in, lines out; one writer a format."""
