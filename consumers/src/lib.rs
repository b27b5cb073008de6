//! The Kafka processes: command handler, projector, indexer, and the operator's tool.
