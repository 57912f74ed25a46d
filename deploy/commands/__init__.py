"""The commands of `jicai`, one module a group; each adds its own to the command line by `add_to`."""
