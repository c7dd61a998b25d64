"""How often the diagnosis of a failure names its cause: on the mutants of benchmarks/detection."""
