"""Every SELECT of settlement and the statements that change many rows, one module per aggregate."""
