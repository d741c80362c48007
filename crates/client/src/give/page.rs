//! The page that takes links of `give --link`, served by the receiver's own program on loopback and by nobody else.
//!
//! Other pages in the same browser may send requests here. So each is answered only with the token that stands in the page,
//! which another origin cannot read, and only under this address: a name that was pointed here is refused.

use super::fetch::Place;
use super::taker::Take;
use super::{by_link, failure};
use crate::limits;
use crate::loopback::{self, Bounds};
use crate::os;
use crate::sealed::Work;
use crate::view::Failure;
use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode, header};
use serde::Serialize;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Notify, mpsc};

const HTML: &str = include_str!("page.html");
/// What a request shows.
const TOKEN: &str = "x-letterlock";

/// Where links are taken to.
pub struct Page {
    /// The port of loopback; 0 takes a free one.
    pub port: u16,
    /// The directory.
    pub into: PathBuf,
    /// Whether files that exist are replaced.
    pub replace: bool,
    /// Where it is noted how far a transfer is.
    pub state: PathBuf,
}

struct Served {
    page: Page,
    /// `127.0.0.1:PORT`.
    authority: String,
    token: String,
    work: Mutex<Arc<Work>>,
    stopped: Notify,
}

#[derive(Serialize)]
struct Progress {
    done: u64,
    total: u64,
}

/// Serves the page until `stop`. Its address goes to `tell`.
///
/// # Errors
/// [`Failure`]: the port is taken.
pub async fn serve_page(
    page: Page,
    tell: mpsc::UnboundedSender<String>,
    stop: impl Future<Output = ()>,
) -> Result<(), Failure> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, page.port));
    let hint = "another `letterlock take --page` runs, or another program has the port: --port names another one";
    let (listener, address) = loopback::listen(address, hint).await?;
    let served = Arc::new(Served {
        page,
        authority: address.to_string(),
        token: BASE64URL_NOPAD.encode(&os::random::<32>()),
        work: Mutex::default(),
        stopped: Notify::new(),
    });
    let _ = tell.send(format!("http://{address}/"));
    let bounds = Bounds {
        connections: limits::PAGE_CONNECTIONS,
        head: limits::CONNECT,
    };
    let stop = async {
        stop.await;
        // A transfer that is under way leaves nothing.
        served.stopped.notify_waiters();
    };
    let answering = Arc::clone(&served);
    loopback::serve(listener, bounds, stop, move |request| {
        Arc::clone(&answering).answer(request)
    })
    .await;
    Ok(())
}

impl Served {
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let head = |name: &str| request.headers().get(name).and_then(|it| it.to_str().ok());
        // SECURITY: a name that somebody pointed at this address is another origin; `a_page_under_another_name_is_refused`
        // notices.
        if head("host") != Some(self.authority.as_str()) {
            return plain(StatusCode::MISDIRECTED_REQUEST, Vec::new());
        }
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        if (method.clone(), path.as_str()) == (Method::GET, "/") {
            return self.html();
        }
        // SECURITY: only this page knows the token; `another_page_takes_nothing` notices.
        let shown = head(TOKEN).unwrap_or_default();
        if !keys::ct_eq(shown.as_bytes(), self.token.as_bytes()) {
            return plain(StatusCode::FORBIDDEN, Vec::new());
        }
        match (method, path.as_str()) {
            (Method::GET, "/progress") => {
                let (done, total) = self.work().progress();
                json(&Progress { done, total })
            }
            (Method::POST, "/take") => {
                let body = Limited::new(request.into_body(), limits::HTTP_HEAD_BYTES);
                let body = body.collect().await.map(|body| body.to_bytes().to_vec());
                let link = body.ok().and_then(|body| String::from_utf8(body).ok());
                match link {
                    Some(link) => self.take(link).await,
                    None => plain(StatusCode::BAD_REQUEST, Vec::new()),
                }
            }
            _ => plain(StatusCode::NOT_FOUND, Vec::new()),
        }
    }

    fn work(&self) -> Arc<Work> {
        Arc::clone(&self.work.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn take(&self, link: String) -> Response<Full<Bytes>> {
        let work = Arc::new(Work::default());
        *self.work.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&work);
        let wish = Take {
            code: link.into(),
            relay: String::new(),
            place: Place {
                into: self.page.into.clone(),
                replace: self.page.replace,
            },
            state: self.page.state.clone(),
        };
        match by_link::take_link(wish, work, self.stopped.notified()).await {
            Ok(Some(taken)) => json(&taken),
            Ok(None) => json(&failure::ended()),
            Err(failure) => json(&failure),
        }
    }

    fn html(&self) -> Response<Full<Bytes>> {
        let nonce = BASE64URL_NOPAD.encode(&os::random::<16>());
        let into = self.page.into.display().to_string();
        // As a string of JSON in a script: nothing in it ends the script.
        let into = serde_json::to_string(&into).unwrap_or_default();
        let into = into.replace('<', "\\u003c");
        let page = HTML
            .replace("@NONCE@", &nonce)
            .replace("@TOKEN@", &self.token)
            .replace("@INTO@", &into);
        let policy = format!(
            "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        let mut answer = plain(StatusCode::OK, page.into_bytes());
        let headers = answer.headers_mut();
        for (name, value) in [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::CONTENT_SECURITY_POLICY, policy.as_str()),
            (header::X_FRAME_OPTIONS, "DENY"),
            (header::REFERRER_POLICY, "no-referrer"),
        ] {
            if let Ok(value) = header::HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        }
        answer
    }
}

fn json(value: &impl Serialize) -> Response<Full<Bytes>> {
    let mut answer = plain(
        StatusCode::OK,
        serde_json::to_vec(value).unwrap_or_default(),
    );
    let json = header::HeaderValue::from_static("application/json");
    answer.headers_mut().insert(header::CONTENT_TYPE, json);
    answer
}

fn plain(status: StatusCode, body: Vec<u8>) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(
        header::CACHE_CONTROL,
        header::HeaderValue::from_static("no-store"),
    );
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        header::HeaderValue::from_static("nosniff"),
    );
    answer
}
