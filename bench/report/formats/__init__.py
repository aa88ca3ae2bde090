"""The forms a table is written in: `render(table)` of each module."""
