"""The pure core: values and rules that every layer may use. Standard library only, no I/O."""
