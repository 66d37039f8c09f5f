"""The story that `make demo` tells: generate, take in, ask, be refused, check; then one offline page."""
