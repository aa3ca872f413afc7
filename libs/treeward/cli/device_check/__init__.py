"""`treeward device check`: whether whoever serves the device protocol at an address may be trusted."""
