"""The built-in methods, one file each. They are plugins like anyone else's: registered by entry point only."""
