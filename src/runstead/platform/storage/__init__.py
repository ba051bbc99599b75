"""Where things are kept: rows in `sql`, write-once blobs in `objects`."""
