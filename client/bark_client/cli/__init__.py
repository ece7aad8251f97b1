"""The command line ``bark``: what people type. The SDK does not import it."""
