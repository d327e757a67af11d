"""Names that class files of the Python service import."""
