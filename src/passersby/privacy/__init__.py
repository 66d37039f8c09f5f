"""What makes an answer private: bounded contributions, noise, hierarchy, ledger and label."""
