"""The machine: its GPUs, its CPU cores, its processes."""
