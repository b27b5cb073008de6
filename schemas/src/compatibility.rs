//! Whether two versions of a record read each other, as the registry judges it under
//! FULL_TRANSITIVE.

use apache_avro::{
    Schema,
    schema::{RecordSchema, UnionSchema},
    schema_compatibility::SchemaCompatibility,
};

/// Whether each of two versions reads whatever the other wrote.
///
/// # Errors
/// What stands against it.
pub fn read_each_other(one: &Schema, other: &Schema) -> Result<(), String> {
    reads(one, other)?;
    reads(other, one)
}

/// Whether `reader` reads all that `writer` may write. The library is content where a union's
/// value may be read; the registry, and a reader at run time, want all of them to be.
fn reads(writer: &Schema, reader: &Schema) -> Result<(), String> {
    SchemaCompatibility::can_read(writer, reader).map_err(|error| error.to_string())?;
    reads_every_branch(writer, reader)
}

fn reads_every_branch(writer: &Schema, reader: &Schema) -> Result<(), String> {
    match (writer, reader) {
        (Schema::Union(writer), Schema::Union(reader)) => {
            writer.variants().iter().try_for_each(|branch| one_reads(branch, reader))
        }
        (Schema::Union(writer), reader) => {
            writer.variants().iter().try_for_each(|branch| reads_branch(branch, reader))
        }
        (writer, Schema::Union(reader)) => one_reads(writer, reader),
        (Schema::Record(writer), Schema::Record(reader)) => reads_fields(writer, reader),
        (Schema::Array(writer), Schema::Array(reader)) => reads(&writer.items, &reader.items),
        (Schema::Map(writer), Schema::Map(reader)) => reads(&writer.types, &reader.types),
        _ => Ok(()),
    }
}

fn one_reads(writer: &Schema, readers: &UnionSchema) -> Result<(), String> {
    let fits = |reader: &&Schema| reads_branch(writer, reader).is_ok();
    let found = readers.variants().iter().find(fits);
    found.map(|_| ()).ok_or_else(|| format!("nothing of the union reads {writer:?}"))
}

/// A named type stands in full where it is first met, and was compared there.
fn reads_branch(writer: &Schema, reader: &Schema) -> Result<(), String> {
    match (writer, reader) {
        (Schema::Ref { name }, Schema::Ref { name: other }) if name == other => Ok(()),
        _ => reads(writer, reader),
    }
}

fn reads_fields(writer: &RecordSchema, reader: &RecordSchema) -> Result<(), String> {
    for field in &reader.fields {
        let written = writer.fields.iter().find(|written| written.name == field.name);
        if let Some(written) = written {
            reads_every_branch(&written.schema, &field.schema)
                .map_err(|why| format!("the field {}: {why}", field.name))?;
        }
    }
    Ok(())
}
