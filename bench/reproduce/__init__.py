"""Published experiments run again here, where weights and data are at hand, beside the numbers that were published."""
