"""Alembic's entry: runs migrations on the connection, and in the transaction, that the caller provides."""

from alembic import context

from storage.tables import Table

context.configure(connection=context.config.attributes["connection"], target_metadata=Table.metadata)
context.run_migrations()
