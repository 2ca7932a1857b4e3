"""What is measured and published: how fast it is, and how well it learns."""
