"""What every capability stands on. It imports the kernel and never a capability."""
