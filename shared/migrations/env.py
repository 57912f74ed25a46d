"""What alembic runs; the connection and the tables are handed over by `shared.migrations`."""

from alembic import context

config = context.config
context.configure(
    connection=config.attributes["connection"],
    target_metadata=config.attributes["metadata"],
    compare_type=True,
    transaction_per_migration=True,
    include_name=config.attributes["include_name"],
)
with context.begin_transaction():
    context.run_migrations()
