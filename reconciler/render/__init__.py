"""Values in, text out: plans, events, diagnostics and tables, for people and for machines. Nothing here decides or does anything."""
