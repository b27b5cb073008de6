//! Who is in a consumer group, and what each member owns.

use anyhow::Context as _;
use rdkafka::{
    consumer::{BaseConsumer, Consumer},
    groups::GroupMemberInfo,
};
use serde::Serialize;

use super::ANSWER;

/// A member of a group.
#[derive(Clone, Debug, Serialize)]
pub struct Owner {
    /// What the process calls itself.
    pub client: String,
    /// Where it runs.
    pub host: String,
    /// The partitions that it owns.
    pub partitions: Vec<i32>,
}

/// The members of the groups that `is_it`, of one group or of all; none where there is no such.
pub(super) fn of(
    client: &BaseConsumer,
    group: Option<&str>,
    is_it: impl Fn(&str) -> bool,
) -> anyhow::Result<Vec<Owner>> {
    let found = client.fetch_group_list(group, ANSWER).context("the members of the groups")?;
    let found = found.groups().iter().filter(|group| is_it(group.name()));
    Ok(found.flat_map(|group| group.members()).map(owner).collect())
}

fn owner(member: &GroupMemberInfo) -> Owner {
    Owner {
        client: member.client_id().to_owned(),
        host: member.client_host().trim_start_matches('/').to_owned(),
        partitions: member.assignment().and_then(assigned).unwrap_or_default(),
    }
}

/// The partitions in an assignment of Kafka's consumer protocol, version 0 on: a version, then for
/// each topic its name and its partitions; all lengths and numbers big-endian.
fn assigned(mut bytes: &[u8]) -> Option<Vec<i32>> {
    let rest = &mut bytes;
    take::<2>(rest)?;
    let mut partitions = vec![];
    for _ in 0..i32::from_be_bytes(take(rest)?) {
        let name = usize::try_from(i16::from_be_bytes(take(rest)?)).ok()?;
        *rest = rest.get(name..)?;
        for _ in 0..i32::from_be_bytes(take(rest)?) {
            partitions.push(i32::from_be_bytes(take(rest)?));
        }
    }
    Some(partitions)
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_names_partitions() {
        let bytes = b"\0\x01\0\0\0\x01\0\x02ab\0\0\0\x02\0\0\0\x03\0\0\0\x05\xff\xff\xff\xff";
        assert_eq!(assigned(bytes), Some(vec![3, 5]));
        assert_eq!(assigned(b"\0\x01\0\0\0\x01\0\x09ab"), None);
    }
}
