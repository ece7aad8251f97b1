"""The file formats of checkpoints: one module per format, each with the table of its tensor names."""
