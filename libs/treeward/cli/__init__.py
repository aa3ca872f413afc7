"""The command `treeward`: one module for each sub-command, imported when it is used (docs/cli.md)."""
