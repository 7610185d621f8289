"""The command line: argv becomes one request; results become words. absl's flags are read here and nowhere else."""
