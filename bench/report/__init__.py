"""Write tables, figures and a site from stored records; deterministic and offline."""
