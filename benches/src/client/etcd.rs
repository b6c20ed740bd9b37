//! etcd's gRPC, written directly on HTTP/2: one connection per client, one stream per call.
//!
//! The messages are those fields of etcd's `rpc.proto` and `kv.proto` that are used here; a message that holds one of
//! several others (`oneof`) is written as optional fields, which is the same on the wire.
//! gRPC over HTTP/2: <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>

use std::net::SocketAddr;
use std::ops::Range;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use h2::client::SendRequest;
use http::{HeaderMap, Request, Version};
use prost::Message;
use tokio::net::TcpStream;

use super::Refusal;
use crate::data::{ACCOUNTS, BALANCE, account, key};

#[derive(Clone, PartialEq, Message)]
struct RangeRequest {
    #[prost(bytes = "bytes", tag = "1")]
    key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    range_end: Bytes,
}

#[derive(Clone, PartialEq, Message)]
struct KeyValue {
    #[prost(int64, tag = "3")]
    mod_revision: i64,
    #[prost(bytes = "bytes", tag = "5")]
    value: Bytes,
}

#[derive(Clone, PartialEq, Message)]
struct RangeResponse {
    #[prost(message, repeated, tag = "2")]
    kvs: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct PutRequest {
    #[prost(bytes = "bytes", tag = "1")]
    key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

#[derive(Clone, PartialEq, Message)]
struct PutResponse {}

#[derive(Clone, PartialEq, Message)]
struct RequestOp {
    #[prost(message, optional, tag = "1")]
    range: Option<RangeRequest>,
    #[prost(message, optional, tag = "2")]
    put: Option<PutRequest>,
}

#[derive(Clone, PartialEq, Message)]
struct ResponseOp {
    #[prost(message, optional, tag = "1")]
    range: Option<RangeResponse>,
}

/// `result` is left at 0, which says "equal".
#[derive(Clone, PartialEq, Message)]
struct Compare {
    #[prost(int32, tag = "2")]
    target: i32,
    #[prost(bytes = "bytes", tag = "3")]
    key: Bytes,
    #[prost(int64, optional, tag = "6")]
    mod_revision: Option<i64>,
}

/// `target` of a comparison with the revision of the last change.
const MOD_REVISION: i32 = 2;

#[derive(Clone, PartialEq, Message)]
struct TxnRequest {
    #[prost(message, repeated, tag = "1")]
    compare: Vec<Compare>,
    #[prost(message, repeated, tag = "2")]
    success: Vec<RequestOp>,
}

#[derive(Clone, PartialEq, Message)]
struct TxnResponse {
    #[prost(bool, tag = "2")]
    succeeded: bool,
    #[prost(message, repeated, tag = "3")]
    responses: Vec<ResponseOp>,
}

impl RequestOp {
    fn get(key: Bytes) -> Self {
        Self { range: Some(RangeRequest { key, range_end: Bytes::new() }), put: None }
    }

    fn put(key: Bytes, value: String) -> Self {
        Self { range: None, put: Some(PutRequest { key, value: value.into() }) }
    }
}

/// A connection to one member.
pub struct Client {
    calls: SendRequest<Bytes>,
    /// What all calls have in common.
    template: Request<()>,
    address: SocketAddr,
}

impl From<h2::Error> for Refusal {
    fn from(error: h2::Error) -> Self {
        Self::Failed(format!("HTTP/2: {error}"))
    }
}

impl Client {
    /// Connects to a member.
    pub async fn connect(address: SocketAddr) -> Result<Self, Refusal> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (calls, connection) = h2::client::handshake(stream).await?;
        // It ends with its client; its errors are seen there.
        tokio::spawn(connection);
        let template = Request::post("/")
            .version(Version::HTTP_2)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .or_else(|error| Refusal::failed(error.to_string()))?;
        Ok(Self { calls, template, address })
    }

    /// See [`super::Client::load`].
    pub async fn load(&mut self, batch: &[(u32, String)]) -> Result<(), Refusal> {
        self.put_all(batch.iter().map(|(number, value)| RequestOp::put(key(*number).into(), value.clone()))).await
    }

    /// See [`super::Client::load_accounts`].
    pub async fn load_accounts(&mut self, accounts: Range<u32>) -> Result<(), Refusal> {
        self.put_all(accounts.map(|number| RequestOp::put(account(number).into(), BALANCE.to_string()))).await
    }

    async fn put_all(&mut self, puts: impl Iterator<Item = RequestOp>) -> Result<(), Refusal> {
        self.transact(TxnRequest { compare: Vec::new(), success: puts.collect() }).await?;
        Ok(())
    }

    /// See [`super::Client::put`].
    pub async fn put(&mut self, number: u32, value: &str) -> Result<(), Refusal> {
        let request = PutRequest { key: key(number).into(), value: Bytes::copy_from_slice(value.as_bytes()) };
        let PutResponse {} = self.call("Put", &request).await?;
        Ok(())
    }

    /// See [`super::Client::get`].
    pub async fn get(&mut self, number: u32) -> Result<usize, Refusal> {
        match self.range(key(number).into(), Bytes::new()).await?.as_slice() {
            [record] => Ok(record.value.len()),
            records => Refusal::failed(format!("{} records for one key", records.len())),
        }
    }

    /// See [`super::Client::transfer`].
    pub async fn transfer(&mut self, from: u32, to: u32, amount: i64) -> Result<(), Refusal> {
        let keys = [Bytes::from(account(from)), Bytes::from(account(to))];
        let reads = keys.clone().map(RequestOp::get);
        let answer = self.transact(TxnRequest { compare: Vec::new(), success: reads.into() }).await?;
        let records = answer.responses.into_iter().filter_map(|response| response.range).flat_map(|range| range.kvs);
        let Ok(records) = <[KeyValue; 2]>::try_from(records.collect::<Vec<_>>()) else {
            return Refusal::failed("an account is missing");
        };
        let mut request = TxnRequest::default();
        for ((key, record), change) in keys.into_iter().zip(records).zip([-amount, amount]) {
            let mod_revision = Some(record.mod_revision);
            request.compare.push(Compare { target: MOD_REVISION, key: key.clone(), mod_revision });
            request.success.push(RequestOp::put(key, (balance(&record)? + change).to_string()));
        }
        if self.transact(request).await?.succeeded { Ok(()) } else { Err(Refusal::Conflict) }
    }

    /// See [`super::Client::total`].
    pub async fn total(&mut self) -> Result<i64, Refusal> {
        let records = self.range(account(0).into(), account(ACCOUNTS).into()).await?;
        if records.len() != ACCOUNTS as usize {
            return Refusal::failed(format!("{} accounts instead of {ACCOUNTS}", records.len()));
        }
        records.iter().map(balance).sum()
    }

    async fn range(&mut self, key: Bytes, range_end: Bytes) -> Result<Vec<KeyValue>, Refusal> {
        let answer: RangeResponse = self.call("Range", &RangeRequest { key, range_end }).await?;
        Ok(answer.kvs)
    }

    async fn transact(&mut self, request: TxnRequest) -> Result<TxnResponse, Refusal> {
        self.call("Txn", &request).await
    }

    async fn call<A: Message + Default>(&mut self, method: &str, message: &impl Message) -> Result<A, Refusal> {
        let uri = format!("http://{}/etcdserverpb.KV/{method}", self.address);
        let mut request = self.template.clone();
        *request.uri_mut() = uri.parse().or_else(|_| Refusal::failed(format!("not an address: {uri}")))?;
        self.calls = self.calls.clone().ready().await?;
        let (answer, mut sender) = self.calls.send_request(request, false)?;
        sender.send_data(frame(message), true)?;
        let (head, mut body) = answer.await?.into_parts();
        let mut received = BytesMut::new();
        while let Some(part) = body.data().await {
            let part = part?;
            body.flow_control().release_capacity(part.len())?;
            received.extend_from_slice(&part);
        }
        // An error without an answer is told in the headers.
        check_status(&body.trailers().await?.unwrap_or(head.headers))?;
        unframe(received.freeze())
    }
}

fn balance(record: &KeyValue) -> Result<i64, Refusal> {
    let number = std::str::from_utf8(&record.value).ok().and_then(|text| text.parse().ok());
    number.map_or_else(|| Refusal::failed("a balance is not a number"), Ok)
}

/// A message as gRPC sends it: not compressed, its length, itself.
fn frame(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut bytes = BytesMut::with_capacity(5 + length);
    bytes.put_u8(0);
    bytes.put_u32(length as u32);
    bytes.put(message.encode_to_vec().as_slice());
    bytes.freeze()
}

fn unframe<A: Message + Default>(mut bytes: Bytes) -> Result<A, Refusal> {
    if bytes.len() < 5
        || bytes[0] != 0
        || bytes.len() - 5 != u32::from_be_bytes([bytes[1], bytes[2], bytes[3], bytes[4]]) as usize
    {
        return Refusal::failed("malformed gRPC answer");
    }
    bytes.advance(5);
    A::decode(bytes).or_else(|error| Refusal::failed(error.to_string()))
}

fn check_status(headers: &HeaderMap) -> Result<(), Refusal> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("missing");
    match text("grpc-status") {
        "0" => Ok(()),
        status => Refusal::failed(format!("gRPC status {status}: {}", text("grpc-message"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_the_bytes_of_the_protocol() {
        let compare = Compare { target: MOD_REVISION, key: Bytes::from_static(b"k"), mod_revision: Some(5) };
        assert_eq!(compare.encode_to_vec(), [0x10, 2, 0x1a, 1, b'k', 0x30, 5]);
        let put = RequestOp::put(Bytes::from_static(b"k"), "v".into());
        assert_eq!(put.encode_to_vec(), [0x12, 6, 0x0a, 1, b'k', 0x12, 1, b'v']);
    }

    #[test]
    fn only_whole_answers_are_read() {
        let answer = TxnResponse { succeeded: true, responses: Vec::new() };
        let bytes = frame(&answer);
        assert_eq!(bytes.as_ref(), [0, 0, 0, 0, 2, 0x10, 1]);
        assert_eq!(unframe::<TxnResponse>(bytes.clone()).unwrap(), answer);
        assert!(unframe::<TxnResponse>(bytes.slice(..6)).is_err());
        assert!(unframe::<TxnResponse>(Bytes::new()).is_err());
    }
}
