"""Every SELECT of listing, one module per aggregate."""
