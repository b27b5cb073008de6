//! HTTP/1.1 for next to no processor time: requests are written beforehand, and of an answer no more
//! is looked at than is needed.

use anyhow::{Context, Result, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// An answer that is larger is none that was asked for.
const LARGEST: usize = 4 << 20;

/// One connection, which carries one request at a time.
pub(crate) struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// A request to `address`, such as `127.0.0.1:8080`.
pub(crate) fn request(address: &str, line: &str, key: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "{line} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

impl Wire {
    pub(crate) async fn connect(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![] })
    }

    /// Sends a request and reads its answer; the status and the code where it is not 200. A refusal
    /// says when to come back.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<Option<String>> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            if let Some((head, body)) = whole(&self.buffer)? {
                let status = head.get(9..12).context("no status")?;
                if status == "200" {
                    return Ok(None);
                }
                let body = String::from_utf8_lossy(body);
                let may_come_back = ["202", "429", "503"].contains(&status);
                ensure!(!may_come_back || head.contains("retry-after: "), "{head}{body}");
                let code =
                    body.split_once("\"code\":\"").and_then(|(_, rest)| rest.split_once('"'));
                let code = code.map_or("", |(code, _)| code);
                return Ok(Some(format!("{status} {code}").trim_end().to_owned()));
            }
            ensure!(self.buffer.len() < LARGEST, "an answer without an end");
            ensure!(self.stream.read_buf(&mut self.buffer).await? > 0, "the connection was closed");
        }
    }
}

/// The head and the body of an answer that is there to its end.
fn whole(buffer: &[u8]) -> Result<Option<(&str, &[u8])>> {
    let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&buffer[..end])?;
    let (_, rest) = head.split_once("content-length: ").context("an answer of unknown length")?;
    let length: usize = rest.split("\r\n").next().context("no length")?.parse()?;
    let body = &buffer[end + 4..];
    Ok((body.len() >= length).then_some((head, body)))
}
