"""Tables, figures and site from records alone: deterministic and offline."""
