"""What every service stands on: events, bus, database, identity, the codes and clocks of the field. Imports no service."""
