//! The read side: read models in MySQL, documents in OpenSearch.
