//! Types in stored descriptors: the object identifier and the modifiers, as PostgreSQL has them. Enumerations and their
//! arrays have the enumeration's number, and modifiers that no other type has.
//!
//! Written by hand because the derived form of a type that contains itself does not compile.

use std::mem::MaybeUninit;

use wincode::config::ConfigCore;
use wincode::error::{ReadError, ReadResult, WriteResult};
use wincode::io::{Reader, Writer};
use wincode::{SchemaRead, SchemaWrite};

use super::{EnumType, SqlType};

/// What stands for an enumeration instead of modifiers, and for its arrays.
const ENUM: i32 = -2;
const ENUM_ARRAY: i32 = -3;

/// Object identifier and modifiers.
type Stored = (u32, i32);

fn stored(ty: &SqlType) -> Stored {
    match (ty, ty.enumeration()) {
        (SqlType::Array(_), Some(element)) => (element.number(), ENUM_ARRAY),
        (_, Some(own)) => (own.number(), ENUM),
        (SqlType::Array(element), _) => (element.array_oid(), element.typmod()),
        (ty, _) => (ty.oid(), ty.typmod()),
    }
}

// SAFETY: `TYPE_META` is the default, and `size_of` and `write` are those of one and the same tuple.
#[expect(unsafe_code, reason = "the trait is declared unsafe; nothing unsafe is done")]
unsafe impl<C: ConfigCore> SchemaWrite<C> for SqlType
where
    Stored: SchemaWrite<C, Src = Stored>,
{
    type Src = Self;

    fn size_of(src: &Self) -> WriteResult<usize> {
        Stored::size_of(&stored(src))
    }

    fn write(writer: impl Writer, src: &Self) -> WriteResult<()> {
        Stored::write(writer, &stored(src))
    }
}

// SAFETY: `TYPE_META` is the default, and `dst` is written exactly where `Ok` is returned.
#[expect(unsafe_code, reason = "the trait is declared unsafe; nothing unsafe is done")]
unsafe impl<'de, C: ConfigCore> SchemaRead<'de, C> for SqlType
where
    Stored: SchemaRead<'de, C, Dst = Stored>,
{
    type Dst = Self;

    fn read(reader: impl Reader<'de>, dst: &mut MaybeUninit<Self>) -> ReadResult<()> {
        let (oid, typmod) = Stored::get(reader)?;
        dst.write(match typmod {
            ENUM => Self::Enum(EnumType::unknown(oid)),
            ENUM_ARRAY => Self::Enum(EnumType::unknown(oid)).array(),
            _ => Self::from_oid_typmod(oid, typmod).ok_or(ReadError::Custom("there is no such type"))?,
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{IntervalFields, IntervalLimits};

    #[test]
    fn types_come_back() {
        let all = [
            SqlType::Int4,
            SqlType::Numeric(None),
            SqlType::Numeric(Some((1_000, -3))),
            SqlType::Varchar(Some(10)),
            SqlType::Varchar(None),
            SqlType::Char(1),
            SqlType::Timestamptz(None),
            SqlType::Timestamp(Some(3)),
            SqlType::Time(Some(0)),
            SqlType::Interval(None),
            SqlType::Interval(Some(IntervalLimits { fields: Some(IntervalFields::YearToMonth), precision: None })),
            SqlType::Jsonb,
            SqlType::Regclass,
            SqlType::Varchar(Some(3)).array(),
            SqlType::Uuid.array(),
            SqlType::Inet,
            SqlType::Cidr.array(),
            SqlType::Enum(EnumType::unknown(16_384)),
            SqlType::Enum(EnumType::unknown(16_385)).array(),
        ];
        for ty in all {
            let bytes = wincode::serialize(&ty).unwrap();
            assert_eq!(bytes.len(), 8);
            assert_eq!(wincode::deserialize_exact::<SqlType>(&bytes).unwrap(), ty);
        }
        // As they were stored before types of time had modifiers.
        let bytes = [0x5a, 0x04, 0, 0, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(wincode::deserialize_exact::<SqlType>(&bytes).unwrap(), SqlType::Timestamp(None));
        assert!(wincode::deserialize_exact::<SqlType>(&[0xff; 8]).is_err());
    }
}
