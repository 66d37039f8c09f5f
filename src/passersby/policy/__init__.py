"""Licences, the impact assessment, and the decision whether a question may be asked."""
