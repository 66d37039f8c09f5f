"""Individual accounts: who a person is, proven by their own key, and which roles they have."""
