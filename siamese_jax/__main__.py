"""Entry point of the command: signals and streams come first, before anything that takes time to import."""

from siamese_jax import terminal


def run() -> None:
    """Run the command."""
    terminal.begin()
    from siamese_jax import main

    main.run()


if __name__ == "__main__":
    run()
