"""The command line."""


def main() -> None:
    """Placeholder until commands are wired."""
