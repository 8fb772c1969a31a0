"""Records of plugins that nodes sent, for download."""
