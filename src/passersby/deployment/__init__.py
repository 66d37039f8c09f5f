"""One installation of Passersby: made, opened, and everything that its commands do with it."""
