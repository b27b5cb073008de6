//! A transaction of records alone, by somebody who owns no partition.

use rdkafka::producer::Producer as _;

use super::{CommitError, Delivered, Kafka, Outgoing, STEP, open, send};

/// Writes all of `records`, or none of them, and returns where they stand.
///
/// # Errors
/// [`CommitError::Aborted`] when nothing was written; after [`CommitError::Unknown`] either all of
/// them were, or none.
pub fn write_together(kafka: &Kafka, records: &[Outgoing]) -> Result<Delivered, CommitError> {
    let producer = open(kafka).map_err(CommitError::Aborted)?;
    producer.begin_transaction().map_err(CommitError::Aborted)?;
    let deliveries = producer.context();
    deliveries.expect(0, records.len());
    let sent = records.iter().enumerate().try_for_each(|(at, record)| send(&producer, at, record));
    match sent.and_then(|()| deliveries.wait()) {
        Ok(delivered) => {
            #[expect(clippy::disallowed_methods, reason = "nobody's latency depends on its flush")]
            let committed = producer.commit_transaction(STEP);
            committed.map(|()| delivered).map_err(CommitError::Unknown)
        }
        Err(error) => {
            // Should this fail, the brokers abort it once it has been open for too long.
            let _ = producer.abort_transaction(STEP);
            Err(CommitError::Aborted(error))
        }
    }
}
