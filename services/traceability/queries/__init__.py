"""Every SELECT of traceability, one module per aggregate, each scoped by the caller: the first wall before the database's."""
