"""The Python interface: run a comparison, open a bank, evaluate methods on it. The command line uses it as well."""
