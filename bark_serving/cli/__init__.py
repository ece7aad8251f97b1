"""The command line ``bark-serve``, and what all command lines of this project share: console and entry."""
