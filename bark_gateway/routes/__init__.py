"""The paths of the gateway, one module per group."""
