"""Problems of a document in words."""
