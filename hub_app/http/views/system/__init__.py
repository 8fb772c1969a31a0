"""View of broker and hub: its figures, its page, and the support bundle."""
