"""What `make bench` runs. Each module here measures one thing: ``run() -> dict`` of figures, named in its docstring, best as
ratios to a peer or a limit measured in the same run, since machines are noisy."""
