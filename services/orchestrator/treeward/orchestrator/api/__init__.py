"""What orchestrators answer about a zone: state, tree, explain, queued. Gathering facts is apart from deciding."""
