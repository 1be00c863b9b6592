"""One step of the tables a module, by Alembic. A step that was released does not change any more."""
