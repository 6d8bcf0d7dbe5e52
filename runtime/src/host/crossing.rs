//! How much crosses when a guest calls the host: what is copied out of its memory before the host's code begins, so that it is
//! paid for whatever is done with it. It copies nothing itself.

use wasmtime::component::Resource;

use super::bindings::sandbus::bus::types as wire;

/// What a guest gives to the host.
pub(in crate::host) trait Crossing {
    /// What its copy takes beside the place that it stands in, in bytes, about.
    fn bytes(&self) -> usize;
}

macro_rules! nothing_beside {
    ($($type:ty),*) => {
        $(impl Crossing for $type {
            fn bytes(&self) -> usize {
                0
            }
        })*
    };
}

nothing_beside!((), u8, u32, u64, i64);

impl<T: 'static> Crossing for Resource<T> {
    fn bytes(&self) -> usize {
        0
    }
}

impl Crossing for String {
    fn bytes(&self) -> usize {
        self.len()
    }
}

impl<T: Crossing> Crossing for Vec<T> {
    fn bytes(&self) -> usize {
        size_of::<T>() * self.len() + self.iter().map(T::bytes).sum::<usize>()
    }
}

impl<T: Crossing> Crossing for Option<T> {
    fn bytes(&self) -> usize {
        self.as_ref().map_or(0, T::bytes)
    }
}

macro_rules! tuples {
    ($(($($name:ident),+))*) => {
        $(impl<$($name: Crossing),+> Crossing for ($($name,)+) {
            fn bytes(&self) -> usize {
                #[allow(non_snake_case, reason = "the names of the types, once more")]
                let ($($name,)+) = self;
                0 $(+ $name.bytes())+
            }
        })*
    };
}

tuples!((A)(A, B)(A, B, C)(A, B, C, D));

impl Crossing for wire::Value {
    fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.bytes(),
            Self::Bytes(bytes) => bytes.bytes(),
            Self::Boolean(_) | Self::Integer(_) | Self::Float(_) => 0,
        }
    }
}

impl Crossing for wire::Reply {
    fn bytes(&self) -> usize {
        let Self { payload, content_type, values } = self;
        payload.bytes() + content_type.bytes() + values.bytes()
    }
}

impl Crossing for wire::Outgoing {
    fn bytes(&self) -> usize {
        let Self { payload, content_type, values, response_destination, response_id, options } = self;
        let keys =
            options.as_ref().map_or(0, |options| options.ordering_key.bytes() + options.dedup_key.bytes());
        let texts = content_type.bytes() + response_destination.bytes() + response_id.bytes() + keys;
        payload.bytes() + values.bytes() + texts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_copied_counts() {
        assert_eq!(((), 7_u64).bytes(), 0);
        assert_eq!((String::from("key"), vec![0_u8; 100]).bytes(), 103);
        assert_eq!(vec![String::from("a"), String::new()].bytes(), 1 + 2 * size_of::<String>());
        assert_eq!(Some(wire::Value::Bytes(vec![0; 9])).bytes(), 9);
        assert_eq!(Some(wire::Value::Integer(9)).bytes(), 0);
    }
}
