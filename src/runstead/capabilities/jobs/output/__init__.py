"""What a job prints: lines with numbers, kept in memory and in files, shown to whoever watches."""
