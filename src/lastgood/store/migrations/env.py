"""What Alembic runs for each upgrade: on the connection, and in the transaction, that ``store/migrate.py`` opened."""

from alembic import context

from lastgood.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
