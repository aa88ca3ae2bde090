"""Statistics of records: frontiers, intervals over seeds and samples, comparisons, ranks and flags."""
