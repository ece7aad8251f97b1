"""The machine: its GPUs, its cores, its processes."""
