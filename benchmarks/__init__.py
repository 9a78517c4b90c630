"""What a reader can rerun: each benchmark prints what it measured, losses included."""
