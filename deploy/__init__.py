"""How the five services are put together: command line, one process, ten processes, images."""
