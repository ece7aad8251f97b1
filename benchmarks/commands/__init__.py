"""The commands: options in, a measurement made, JSON and PNG out."""
