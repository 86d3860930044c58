"""Results in the forms that people and machines read: JSON, HTML, Markdown, JUnit, plots."""
