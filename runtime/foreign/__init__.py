"""Files from elsewhere: read as data first, and tried in a child that may die."""
