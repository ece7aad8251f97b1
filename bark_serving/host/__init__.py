"""The machine: its GPUs, its CPU cores, its memory, its processes."""
