"""Write-once blobs under keys."""
