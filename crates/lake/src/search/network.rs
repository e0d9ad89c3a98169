//! `in_network(address, network)`, for SQL too.

use std::net::IpAddr;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray as _, BooleanBuilder};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};
use datafusion::scalar::ScalarValue;

/// A network: its first address and the bits that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    /// `10.0.0.0/8`, `2001:db8::/32`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        let address: IpAddr = address.parse().ok()?;
        let bits: u32 = bits.parse().ok()?;
        (bits <= if address.is_ipv4() { 32 } else { 128 }).then_some(Self { address, bits })
    }

    fn has(&self, text: &str) -> bool {
        match (self.address, text.parse().map(|address: IpAddr| address.to_canonical())) {
            (IpAddr::V4(own), Ok(IpAddr::V4(other))) => {
                let differ = u32::from(own) ^ u32::from(other);
                differ.checked_shr(32 - self.bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), Ok(IpAddr::V6(other))) => {
                let differ = u128::from(own) ^ u128::from(other);
                differ.checked_shr(128 - self.bits).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

/// Whether an address, as text, is in a network, as text that is the same for all rows. Null for no address.
pub(crate) fn in_network() -> ScalarUDF {
    let arguments = vec![DataType::Utf8, DataType::Utf8];
    create_udf("in_network", arguments, DataType::Boolean, Volatility::Immutable, Arc::new(invoke))
}

fn invoke(arguments: &[ColumnarValue]) -> Result<ColumnarValue> {
    let [addresses, ColumnarValue::Scalar(ScalarValue::Utf8(Some(network)))] = arguments else {
        return Err(DataFusionError::Plan("in_network takes an address and a network such as '10.0.0.0/8'".into()));
    };
    let network = Network::parse(network).ok_or_else(|| {
        DataFusionError::Plan(format!("`{network}` is no network; write 10.0.0.0/8 or 2001:db8::/32"))
    })?;
    let rows = match addresses {
        ColumnarValue::Array(array) => array.len(),
        ColumnarValue::Scalar(_) => 1,
    };
    let addresses = cast(&addresses.to_array(rows)?, &DataType::Utf8)?;
    let addresses = addresses.as_string::<i32>();
    let mut found = BooleanBuilder::with_capacity(rows);
    for row in 0..addresses.len() {
        found.append_option((!addresses.is_null(row)).then(|| network.has(addresses.value(row))));
    }
    Ok(ColumnarValue::Array(Arc::new(found.finish()) as ArrayRef))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_have_their_addresses() {
        for (network, address, has) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/0", "200.0.0.1", true),
            ("10.0.0.7/32", "10.0.0.7", true),
            ("10.0.0.7/32", "10.0.0.6", false),
            ("10.0.0.0/8", "::ffff:10.1.1.1", true),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::/0", "2001:db9::1", true),
            ("10.0.0.0/8", "host", false),
        ] {
            assert_eq!(Network::parse(network).unwrap().has(address), has, "{network} {address}");
        }
        for wrong in ["10.0.0.0", "10.0.0.0/33", "x/8", "::/129", "10.0.0.0/"] {
            assert_eq!(Network::parse(wrong), None, "{wrong}");
        }
    }
}
