"""Everything that knows no pytest: cases, references, verdicts, the store and the daemon."""
