//! Values cross as text: the server's own input and output functions then do what they do for `pg`.

use std::error::Error as StdError;

use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{Format, FromSql, IsNull, ToSql, Type, to_sql_checked};
use uuid::Uuid;

/// One parameter of a field: sent in text format, whatever the column's type, so that the server reads it as it would
/// read a literal. Bytes go in binary format, as `pg` sends a Buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldValue {
    /// SQL NULL.
    Null,
    /// The value's text.
    Text(String),
    /// The value's bytes, in the binary format of the column's type.
    Bytes(Vec<u8>),
}

impl FieldValue {
    /// How much of a batch's size limit the value takes.
    pub(crate) fn weight(&self) -> usize {
        match self {
            FieldValue::Null => 0,
            FieldValue::Text(text) => text.len(),
            FieldValue::Bytes(bytes) => bytes.len(),
        }
    }
}

impl ToSql for FieldValue {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        match self {
            FieldValue::Null => return Ok(IsNull::Yes),
            FieldValue::Text(text) => out.extend_from_slice(text.as_bytes()),
            FieldValue::Bytes(bytes) => out.extend_from_slice(bytes),
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        match self {
            FieldValue::Bytes(_) => Format::Binary,
            FieldValue::Null | FieldValue::Text(_) => Format::Text,
        }
    }

    to_sql_checked!();
}

/// A column as it came, in the binary format of its type.
#[derive(Debug)]
pub(crate) struct Raw<'a>(pub(crate) &'a [u8]);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(Self(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// Whether [`write_output`] can make the type's output text from its binary format. All other types are turned into
/// text by the server.
pub(crate) fn has_simple_output(oid: u32) -> bool {
    Type::from_oid(oid).is_some_and(|ty| {
        matches!(
            ty,
            Type::BOOL
                | Type::INT2
                | Type::INT4
                | Type::INT8
                | Type::OID
                | Type::TEXT
                | Type::VARCHAR
                | Type::BPCHAR
                | Type::NAME
                | Type::JSON
                | Type::JSONB
                | Type::UUID
        )
    })
}

/// Appends what the type's output function would give for a value in binary format.
///
/// `None`: the bytes are not of this type.
pub(crate) fn write_output(ty: &Type, raw: &[u8], out: &mut String) -> Option<()> {
    match *ty {
        Type::BOOL => out.push(if raw.first()? == &0 { 'f' } else { 't' }),
        Type::INT2 => write_number(out, i16::from_be_bytes(raw.try_into().ok()?)),
        Type::INT4 => write_number(out, i32::from_be_bytes(raw.try_into().ok()?)),
        Type::INT8 => write_number(out, i64::from_be_bytes(raw.try_into().ok()?)),
        Type::OID => write_number(out, u32::from_be_bytes(raw.try_into().ok()?)),
        Type::UUID => {
            let mut buffer = [0; 36];
            out.push_str(Uuid::from_slice(raw).ok()?.hyphenated().encode_lower(&mut buffer));
        }
        // The first byte is the version of the format, always 1.
        Type::JSONB => out.push_str(&String::from_utf8_lossy(raw.get(1..)?)),
        // Its column was changed after the set-up; whatever the server turned into text is of type text.
        _ if !has_simple_output(ty.oid()) => return None,
        // Lossy as in pg: a "char" can hold a byte that is no character.
        _ => out.push_str(&String::from_utf8_lossy(raw)),
    }
    Some(())
}

/// Appends a number in digits.
pub(crate) fn write_number(out: &mut String, number: impl itoa::Integer) {
    out.push_str(itoa::Buffer::new().format(number));
}

/// Bytes as two digits each.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Two digits each as bytes; what are none is left out.
pub(crate) fn from_hex(digits: &str) -> Vec<u8> {
    let pair = |pair: &[u8]| {
        let text = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(text, 16).ok()
    };
    digits.as_bytes().chunks_exact(2).filter_map(pair).collect()
}

/// A name as SQL: in double quotes, quotes in it doubled.
pub(crate) fn quote_name(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn output(ty: &Type, raw: &[u8]) -> Option<String> {
        let mut out = String::new();
        write_output(ty, raw, &mut out).map(|()| out)
    }

    proptest! {
        #[test]
        fn bytes_are_read_back_from_their_digits(bytes: Vec<u8>) {
            prop_assert_eq!(from_hex(&hex(&bytes)), bytes);
        }

        #[test]
        fn any_text_is_taken_for_digits_without_a_panic(text: String) {
            prop_assert!(from_hex(&text).len() <= text.len() / 2);
        }

        #[test]
        fn numbers_and_texts_are_written_as_they_are(number: i64, text: String) {
            prop_assert_eq!(output(&Type::INT8, &number.to_be_bytes()), Some(number.to_string()));
            prop_assert_eq!(output(&Type::TEXT, text.as_bytes()), Some(text.clone()));
            prop_assert_eq!(output(&Type::JSONB, &[&[1], text.as_bytes()].concat()), Some(text));
        }

        /// A column may be of another type since the set-up, so any bytes may come.
        #[test]
        fn any_bytes_are_written_or_refused(oid in 0_u32..4_000, raw in prop::collection::vec(any::<u8>(), 0..40)) {
            let Some(ty) = Type::from_oid(oid) else { return Ok(()) };
            let written = output(&ty, &raw);
            prop_assert!(written.is_none() || has_simple_output(oid));
            for (of, size) in [(Type::INT2, 2), (Type::INT4, 4), (Type::OID, 4), (Type::INT8, 8), (Type::UUID, 16)] {
                prop_assert_eq!(output(&of, &raw).is_some(), raw.len() == size);
            }
        }
    }
}
