//! What librdkafka offers and rdkafka hides. The only unsafe code of this room.
#![allow(unsafe_code)]

use std::{
    ffi::{CStr, CString},
    net::{TcpStream, ToSocketAddrs as _},
    ptr, slice,
    time::Duration,
};

use rdkafka::{
    bindings as sys,
    client::{Client, ClientContext},
    consumer::{BaseConsumer, Consumer, ConsumerContext, ConsumerGroupMetadata},
    message::BorrowedHeaders,
};

/// A consumer's membership at one moment: the fence of every commit made on its behalf.
pub struct Membership {
    /// What `send_offsets_to_transaction` takes.
    pub metadata: ConsumerGroupMetadata,
    /// The group's generation; grows with every rebalance.
    pub generation: i32,
}

impl Membership {
    /// Captures the membership; `None` while the consumer is in no generation.
    ///
    /// To be called inside the assign callback only: later calls may describe a later generation
    /// than the one whose partitions are held, and between polls librdkafka does set -1, which the
    /// broker would accept as an unfenced commit.
    pub fn capture<C: ConsumerContext>(consumer: &BaseConsumer<C>) -> Option<Self> {
        let generation = generation(consumer);
        #[expect(clippy::disallowed_methods, reason = "its one place, called while assigning")]
        let metadata = consumer.group_metadata()?;
        // The same before and after, so the metadata between is of that generation.
        let settled = generation >= 0 && self::generation(consumer) == generation;
        settled.then_some(Self { metadata, generation })
    }
}

fn generation<C: ConsumerContext>(consumer: &BaseConsumer<C>) -> i32 {
    // SAFETY: the client outlives the call; the metadata is ours and destroyed exactly once.
    unsafe {
        let metadata = sys::rd_kafka_consumer_group_metadata(consumer.client().native_ptr());
        if metadata.is_null() {
            return -1;
        }
        let generation = sys::rd_kafka_consumer_group_metadata_generation_id(metadata);
        sys::rd_kafka_consumer_group_metadata_destroy(metadata);
        generation
    }
}

/// Tells a client again where the brokers are, if it does not find them although they are there.
///
/// A lone broker that starts may answer a question for metadata with no broker at all. librdkafka
/// then forgets those that it knew, the bootstrap servers among them, and never asks again (its
/// issue 5301). Blocks for about a second where the brokers are away.
pub fn show_brokers<C: ClientContext>(client: &Client<C>, bootstrap: &str) {
    let finds_them = finds_brokers(client, None);
    if finds_them || !bootstrap.split(',').any(is_there) {
        return;
    }
    let Ok(servers) = CString::new(bootstrap) else { return };
    tracing::warn!("a client has forgotten all brokers: they are shown to it again");
    // SAFETY: the client outlives the call, and the text is copied.
    unsafe { sys::rd_kafka_brokers_add(client.native_ptr(), servers.as_ptr()) };
}

/// Whether a client is told of a broker within a second; `topic` is all that is asked of, or every
/// one is.
pub fn finds_brokers<C: ClientContext>(client: &Client<C>, topic: Option<&str>) -> bool {
    let answer = client.fetch_metadata(topic, Duration::from_secs(1));
    answer.is_ok_and(|cluster| !cluster.brokers().is_empty())
}

fn is_there(server: &str) -> bool {
    let addresses = server.trim().to_socket_addrs().into_iter().flatten();
    addresses
        .into_iter()
        .any(|at| TcpStream::connect_timeout(&at, Duration::from_millis(300)).is_ok())
}

/// The ids that the cluster gave `topics`, as base64 text, in their order: a topic that was
/// deleted and made anew has another one.
///
/// # Errors
/// A text saying which topic could not be described, and why.
pub fn topic_ids<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topics: &[&str],
    timeout_ms: i32,
) -> Result<Vec<String>, String> {
    let names = topics
        .iter()
        .map(|topic| CString::new(*topic).map_err(|error| error.to_string()))
        .collect::<Result<Vec<_>, _>>()?;
    let mut pointers: Vec<_> = names.iter().map(|name| name.as_ptr()).collect();
    let client = consumer.client().native_ptr();
    // SAFETY: every object made here is destroyed before the function returns, and texts are
    // copied before the event that owns them is destroyed.
    unsafe {
        let collection =
            sys::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len());
        let queue = sys::rd_kafka_queue_new(client);
        let options = sys::rd_kafka_AdminOptions_new(
            client,
            sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS,
        );
        sys::rd_kafka_DescribeTopics(client, collection, options, queue);
        let event = sys::rd_kafka_queue_poll(queue, timeout_ms);
        let ids = described(event);
        if !event.is_null() {
            sys::rd_kafka_event_destroy(event);
        }
        sys::rd_kafka_AdminOptions_destroy(options);
        sys::rd_kafka_queue_destroy(queue);
        sys::rd_kafka_TopicCollection_destroy(collection);
        ids
    }
}

/// # Safety
/// `event` is null or a live event of a describe-topics request.
unsafe fn described(event: *mut sys::rd_kafka_event_t) -> Result<Vec<String>, String> {
    // SAFETY: results and what they hold live as long as the event.
    unsafe {
        if event.is_null() {
            return Err("the brokers did not describe the topics in time".to_owned());
        }
        let code = sys::rd_kafka_event_error(event);
        if code != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Err(text(sys::rd_kafka_err2str(code)));
        }
        let result = sys::rd_kafka_event_DescribeTopics_result(event);
        let mut count = 0;
        let topics = sys::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
        (0..count).map(|at| topic_id(*topics.add(at))).collect()
    }
}

/// # Safety
/// `topic` is a live topic description.
unsafe fn topic_id(topic: *const sys::rd_kafka_TopicDescription_t) -> Result<String, String> {
    // SAFETY: as above.
    unsafe {
        let error = sys::rd_kafka_TopicDescription_error(topic);
        if sys::rd_kafka_error_code(error) != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            let name = text(sys::rd_kafka_TopicDescription_name(topic));
            return Err(format!("{name}: {}", text(sys::rd_kafka_error_string(error))));
        }
        Ok(text(sys::rd_kafka_Uuid_base64str(sys::rd_kafka_TopicDescription_topic_id(topic))))
    }
}

/// # Safety
/// `pointer` is null or a live C string.
unsafe fn text(pointer: *const std::ffi::c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: checked above; the caller vouches for the rest.
    unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned()
}

/// Each header in its order, with its name as it came: a stranger's need not be text, and rdkafka
/// panics over one that is none.
pub fn headers(
    headers: &BorrowedHeaders,
) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> + use<'_> {
    (0..).map_while(|at| header(headers, at))
}

fn header(headers: &BorrowedHeaders, at: usize) -> Option<(&[u8], Option<&[u8]>)> {
    // rdkafka's type is this pointer, and nothing else.
    let native = ptr::from_ref(headers).cast::<sys::rd_kafka_headers_t>();
    let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
    // SAFETY: name and value live in the headers, as long as these are borrowed, and are set
    // wherever no error is told; a header without a value has a null one.
    unsafe {
        let told =
            sys::rd_kafka_header_get_all(native, at, &raw mut name, &raw mut value, &raw mut size);
        if told != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return None;
        }
        let value = (!value.is_null()).then(|| slice::from_raw_parts(value.cast::<u8>(), size));
        Some((CStr::from_ptr(name).to_bytes(), value))
    }
}

/// Does to a producer what an error does that its idempotence does not survive.
#[cfg(test)]
pub(crate) fn fail_for_good<C: ClientContext>(client: &Client<C>) {
    let error = sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
    // SAFETY: the client outlives the call, and the text is copied.
    unsafe { sys::rd_kafka_test_fatal_error(client.native_ptr(), error, c"a test".as_ptr()) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_headers_name_may_be_no_text() {
        let given: [(&[u8], Option<&[u8]>); 4] =
            [(b"mark", Some(b"1")), (b"m\xff", Some(b"\0\xfe")), (b"none", None), (b"", Some(b""))];
        // SAFETY: everything is copied into the headers, which are destroyed once, after their
        // last use; rdkafka's type is this pointer, and nothing else.
        unsafe {
            let native = sys::rd_kafka_headers_new(4);
            for (name, value) in given {
                let (start, size) = value.map_or((ptr::null(), 0), |v| (v.as_ptr(), v.len()));
                let size = isize::try_from(size).unwrap();
                let length = isize::try_from(name.len()).unwrap();
                sys::rd_kafka_header_add(native, name.as_ptr().cast(), length, start.cast(), size);
            }
            let borrowed = &*native.cast::<BorrowedHeaders>();
            assert_eq!(headers(borrowed).collect::<Vec<_>>(), given);
            sys::rd_kafka_headers_destroy(native);
        }
    }
}
