"""The node's parameters: declared once, read from a file, a node, or a command line."""
