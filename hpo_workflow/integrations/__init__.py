"""Bridges to other libraries. Nothing here is imported unless somebody asks for it: each needs an extra."""
