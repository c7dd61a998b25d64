"""Built-in operators, one file a family; `BUILTIN_OPS` has them all by name."""
