"""The adapters that come with the guard; others are found by the entry points `treeward.adapters`."""
