"""What a notebook needs: run a comparison, open a bank, evaluate a method on it. The command line uses it as well."""
