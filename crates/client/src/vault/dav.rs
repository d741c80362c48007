//! A mounted vault by WebDAV (RFC 4918, classes 1 and 2), on loopback, for systems without FUSE.
//!
//! Any program of this machine may connect, and any page in a browser may send requests. So each is answered only if its
//! path begins with a secret, and only under this address: a name that was pointed here is refused.

mod answer;
#[cfg(any(test, feature = "conformance"))]
pub(crate) mod hostile;
mod locks;
mod request;
mod tree;

use self::answer::{Body, Properties, empty, multistatus};
use self::locks::Locks;
use self::request::{Depth, Wish, decode, encode, property_names, read_range};
use super::mount::{About, Changes, FileSystem, Kind, Trouble};
use crate::failure::failure as failed;
use crate::limits;
use crate::loopback::{self, Bounds};
use crate::os;
use crate::view::{Failure, FailureKind};
use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;

/// Bytes that are read for an answer at a time.
const PIECE: usize = 256 * 1024;
/// Pieces between the reading and the network.
const PIECES: usize = 2;

struct Served {
    files: Arc<FileSystem>,
    /// `127.0.0.1:PORT`.
    authority: String,
    /// The first part of each path.
    secret: String,
    locks: Mutex<Locks>,
}

/// Why a request was not answered as it wished.
enum Refused {
    Trouble(Trouble),
    Status(StatusCode),
}

impl From<Trouble> for Refused {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

impl From<StatusCode> for Refused {
    fn from(status: StatusCode) -> Self {
        Self::Status(status)
    }
}

impl Refused {
    fn status(&self) -> StatusCode {
        match self {
            Self::Status(status) => *status,
            Self::Trouble(trouble) => match trouble {
                Trouble::NotFound => StatusCode::NOT_FOUND,
                Trouble::Exists | Trouble::IsADirectory => StatusCode::METHOD_NOT_ALLOWED,
                Trouble::NotADirectory | Trouble::NotEmpty => StatusCode::CONFLICT,
                Trouble::ReadOnly | Trouble::NotHeld => StatusCode::FORBIDDEN,
                Trouble::TooLong | Trouble::Invalid => StatusCode::BAD_REQUEST,
                Trouble::NoRoom | Trouble::TooLarge => StatusCode::INSUFFICIENT_STORAGE,
                Trouble::Damaged => StatusCode::INTERNAL_SERVER_ERROR,
                Trouble::Io => StatusCode::SERVICE_UNAVAILABLE,
            },
        }
    }
}

type Answered = Result<Response<Body>, Refused>;

/// Serves a vault at an address of loopback until `stop`. Its URL goes to `tell`.
///
/// # Errors
/// [`Failure`]: the address is not of loopback, or taken.
pub async fn serve_dav(
    files: Arc<FileSystem>,
    address: SocketAddr,
    tell: impl FnOnce(String),
    stop: impl Future<Output = ()>,
) -> Result<(), Failure> {
    // SECURITY: nobody but this machine is served; `only_loopback_is_served` notices.
    if !address.ip().is_loopback() {
        let message = format!("{address} is not an address of this machine alone");
        let hint = "take 127.0.0.1 with a port";
        return Err(failed(FailureKind::Usage, message, Some(hint)));
    }
    let hint = "another program has the port: name another one";
    let (listener, address) = loopback::listen(address, hint).await?;
    let served = Arc::new(Served {
        files,
        authority: address.to_string(),
        secret: BASE64URL_NOPAD.encode(&os::random::<18>()),
        locks: Mutex::default(),
    });
    tell(format!("http://{address}/{}/", served.secret));
    let bounds = Bounds {
        connections: limits::DAV_CONNECTIONS,
        head: limits::STALL,
    };
    loopback::serve(listener, bounds, stop, move |request| {
        Arc::clone(&served).answer(request)
    })
    .await;
    Ok(())
}

/// Does something that may wait for disk and network.
async fn waiting<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refused> + Send + 'static,
) -> Result<T, Refused> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or(Err(Refused::Trouble(Trouble::Io)))
}

impl Served {
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response<Body> {
        match self.serve(request).await {
            Ok(answer) => answer,
            Err(refused) => empty(refused.status()),
        }
    }

    /// The names in a path. Whoever does not know the secret is told of nothing.
    fn names(&self, path: &str) -> Result<Vec<Vec<u8>>, Refused> {
        let rest = path.strip_prefix('/').unwrap_or(path);
        let (secret, rest) = rest.split_once('/').unwrap_or((rest, ""));
        // SECURITY: only whoever was told the URL knows the secret; `a_wrong_secret_is_told_nothing` notices.
        if !keys::ct_eq(secret.as_bytes(), self.secret.as_bytes()) {
            return Err(StatusCode::NOT_FOUND.into());
        }
        let names = rest.split('/').filter(|name| !name.is_empty());
        let names: Option<Vec<Vec<u8>>> = names.map(decode).collect();
        names.ok_or_else(|| StatusCode::BAD_REQUEST.into())
    }

    async fn serve(self: Arc<Self>, request: Request<Incoming>) -> Answered {
        let head = |name: &str| request.headers().get(name).and_then(|it| it.to_str().ok());
        // SECURITY: a name that somebody pointed at this address is another origin; `another_host_is_refused` notices.
        if head("host") != Some(self.authority.as_str()) {
            return Err(StatusCode::MISDIRECTED_REQUEST.into());
        }
        // No program that mounts says where a page came from: only browsers do.
        if head("origin").is_some() {
            return Err(StatusCode::FORBIDDEN.into());
        }
        let names = self.names(request.uri().path())?;
        let wish = Wish::of(&request, names);
        let method = request.method().clone();
        if Wish::writes(&method) {
            self.may_write(&method, &wish)?;
        }
        match method {
            Method::OPTIONS => Ok(answer::options()),
            Method::GET | Method::HEAD => self.get(method == Method::HEAD, wish).await,
            Method::PUT => self.put(wish, request.into_body()).await,
            _ => {
                let body = Limited::new(request.into_body(), limits::DAV_BODY_BYTES);
                let body = body
                    .collect()
                    .await
                    .map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?;
                let body = body.to_bytes();
                waiting(move || self.other(&method, &wish, &body)).await
            }
        }
    }

    /// Whether a lock of somebody else is in the way.
    fn may_write(&self, method: &Method, wish: &Wish) -> Result<(), Refused> {
        let mut locks = self.locks();
        let mut free = locks.is_free(&wish.names, &wish.shown);
        if method == "MOVE" || method == "COPY" {
            let to = self.destination(wish)?;
            free &= locks.is_free(&to, &wish.shown);
        }
        match free {
            true => Ok(()),
            false => Err(StatusCode::LOCKED.into()),
        }
    }

    fn locks(&self) -> std::sync::MutexGuard<'_, Locks> {
        self.locks
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Where something is to be moved or copied to.
    fn destination(&self, wish: &Wish) -> Result<Vec<Vec<u8>>, Refused> {
        let to = wish.destination.as_deref().ok_or(StatusCode::BAD_REQUEST)?;
        let path = match to.split_once("://") {
            None => to,
            Some((_, rest)) => {
                let (host, _) = rest.split_once('/').ok_or(StatusCode::BAD_REQUEST)?;
                if host != self.authority {
                    return Err(StatusCode::BAD_GATEWAY.into());
                }
                rest.get(host.len()..).unwrap_or_default()
            }
        };
        self.names(path)
    }

    async fn get(self: Arc<Self>, head: bool, wish: Wish) -> Answered {
        let this = Arc::clone(&self);
        let names = wish.names.clone();
        let (about, handle) = waiting(move || {
            let found = tree::find(&this.files, &names)?;
            if found.about.kind != Kind::File {
                return Err(StatusCode::METHOD_NOT_ALLOWED.into());
            }
            let handle = this.files.open(found.about.number, false)?;
            Ok((found.about, handle))
        })
        .await?;
        let range = match read_range(wish.range.as_deref(), about.size) {
            Ok(range) => range,
            Err(status) => {
                self.files.close(handle);
                return Err(status.into());
            }
        };
        let (start, length) = range.unwrap_or((0, about.size));
        let (pieces, body) = mpsc::channel(PIECES);
        match head {
            true => self.files.close(handle),
            false => {
                let files = Arc::clone(&self.files);
                tokio::task::spawn_blocking(move || {
                    send(&files, handle, (start, length), &pieces);
                    files.close(handle);
                });
            }
        }
        let body = match head {
            true => Body::empty_of(length),
            false => Body::pieces(body, length),
        };
        Ok(answer::file(&about, range, body))
    }

    async fn put(self: Arc<Self>, wish: Wish, mut body: Incoming) -> Answered {
        let this = Arc::clone(&self);
        let Wish {
            names, none_match, ..
        } = wish;
        let (mut file, names, there) = waiting(move || {
            let (parent, name) = tree::parent(&this.files, &names)?;
            let there = tree::child(&this.files, &parent, &name)?;
            match there.as_ref().map(|found| found.about.kind) {
                Some(Kind::Directory) => return Err(StatusCode::METHOD_NOT_ALLOWED.into()),
                Some(_) if none_match => return Err(StatusCode::PRECONDITION_FAILED.into()),
                _ => {}
            }
            let mode = there.as_ref().map_or(0o644, |found| found.about.mode);
            let is_there = there.is_some();
            Ok((this.files.begin_file(mode)?, names, is_there))
        })
        .await?;
        // What is not whole comes to nothing.
        let mut offset: u64 = 0;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| StatusCode::BAD_REQUEST)?;
            let Ok(bytes) = frame.into_data() else {
                continue;
            };
            let this = Arc::clone(&self);
            let length = bytes.len() as u64;
            file = waiting(move || {
                this.files.add_to(&file, offset, &bytes)?;
                Ok(file)
            })
            .await?;
            offset = offset.saturating_add(length);
        }
        let this = Arc::clone(&self);
        waiting(move || {
            let (parent, name) = tree::parent(&this.files, &names)?;
            this.files.end_file(parent.number(), &name, file)?;
            Ok(())
        })
        .await?;
        Ok(empty(match there {
            true => StatusCode::NO_CONTENT,
            false => StatusCode::CREATED,
        }))
    }

    /// What neither reads nor writes contents of any length.
    fn other(&self, method: &Method, wish: &Wish, body: &Bytes) -> Answered {
        match method.as_str() {
            "PROPFIND" => self.find_properties(wish, body),
            "PROPPATCH" => self.set_properties(wish, body),
            "MKCOL" if !body.is_empty() => Err(StatusCode::UNSUPPORTED_MEDIA_TYPE.into()),
            "MKCOL" => {
                let (parent, name) = tree::parent(&self.files, &wish.names)?;
                let made = self.files.make_directory(parent.number(), &name, 0o755)?;
                self.files.forget(made.number, 1);
                Ok(empty(StatusCode::CREATED))
            }
            "DELETE" => {
                let (parent, name) = tree::parent(&self.files, &wish.names)?;
                self.files.remove_all(parent.number(), &name)?;
                self.locks().forget(&wish.names);
                Ok(empty(StatusCode::NO_CONTENT))
            }
            "MOVE" | "COPY" => self.relocate(method.as_str() == "MOVE", wish),
            "LOCK" => self.lock(wish, body),
            "UNLOCK" => match self.locks().unlock(&wish.names, &wish.shown) {
                true => Ok(empty(StatusCode::NO_CONTENT)),
                false => Err(StatusCode::CONFLICT.into()),
            },
            _ => Err(StatusCode::METHOD_NOT_ALLOWED.into()),
        }
    }

    fn relocate(&self, moves: bool, wish: &Wish) -> Answered {
        let to = self.destination(wish)?;
        let found = tree::find(&self.files, &wish.names)?;
        if to.starts_with(&wish.names) || wish.names.starts_with(&to) {
            return Err(StatusCode::FORBIDDEN.into());
        }
        let (parent, name) = tree::parent(&self.files, &to)?;
        let there = tree::child(&self.files, &parent, &name)?.is_some();
        if there && !wish.overwrite {
            return Err(StatusCode::PRECONDITION_FAILED.into());
        }
        if moves {
            let (from, old) = tree::parent(&self.files, &wish.names)?;
            let directory = found.about.kind == Kind::Directory;
            let plain = !there || (!directory && !tree::is_directory(&self.files, &to)?);
            if !plain {
                self.files.remove_all(parent.number(), &name)?;
            }
            let (from, to) = ((from.number(), &old[..]), (parent.number(), &name[..]));
            self.files.rename(from, to, true)?;
            self.locks().forget(&wish.names);
        } else {
            if there {
                self.files.remove_all(parent.number(), &name)?;
            }
            let deep = wish.depth != Depth::Zero;
            tree::copy(&self.files, &found.about, (parent.number(), &name), deep)?;
        }
        Ok(empty(match there {
            true => StatusCode::NO_CONTENT,
            false => StatusCode::CREATED,
        }))
    }

    fn find_properties(&self, wish: &Wish, body: &[u8]) -> Answered {
        let wanted = property_names(body).ok_or(StatusCode::BAD_REQUEST)?;
        let found = tree::find(&self.files, &wish.names)?;
        let inner = match (wish.depth, found.about.kind) {
            // RFC 4918, section 9.1: a server need not go through everything.
            (Depth::Infinity, Kind::Directory) => return Err(StatusCode::FORBIDDEN.into()),
            (Depth::One, Kind::Directory) => self.files.list(found.about.number)?,
            _ => Vec::new(),
        };
        let room = self.files.room();
        let mut all = vec![(wish.names.clone(), found.about)];
        for (name, about) in inner {
            // A link that leads anywhere is not followed by a server.
            if about.kind != Kind::Link {
                all.push((
                    [&wish.names[..], &[name.as_bytes().to_vec()]].concat(),
                    about,
                ));
            }
        }
        let locks = self.locks();
        let properties = Properties {
            wanted: &wanted,
            room,
        };
        let answers = all.iter().map(|(names, about)| {
            let name = names.last().map_or(&b""[..], Vec::as_slice);
            let path = self.shown(names, about);
            properties.of(&path, name, about, locks.at(names))
        });
        Ok(multistatus(answers.collect()))
    }

    /// A path as it stands in answers; of a directory it ends with `/`.
    fn shown(&self, names: &[Vec<u8>], about: &About) -> String {
        let mut path = format!("/{}", self.secret);
        for name in names {
            path.push('/');
            path.push_str(&encode(name));
        }
        if about.kind == Kind::Directory {
            path.push('/');
        }
        path
    }

    fn set_properties(&self, wish: &Wish, body: &[u8]) -> Answered {
        let found = tree::find(&self.files, &wish.names)?;
        let wanted = request::properties_to_set(body).ok_or(StatusCode::BAD_REQUEST)?;
        for (name, value) in &wanted {
            if name.is_modified()
                && let Some(seconds) = answer::read_date(value)
            {
                let changes = Changes {
                    modified: Some((seconds, 0)),
                    ..Changes::default()
                };
                self.files.set(found.about.number, changes)?;
            }
        }
        let path = self.shown(&wish.names, &found.about);
        let names = wanted.iter().map(|(name, _)| name);
        Ok(multistatus(vec![answer::was_set(&path, names)]))
    }

    fn lock(&self, wish: &Wish, body: &[u8]) -> Answered {
        if body.is_empty() {
            let token = self.locks().refresh(&wish.names, &wish.shown);
            let token = token.ok_or(StatusCode::PRECONDITION_FAILED)?;
            return Ok(answer::locked(StatusCode::OK, &token));
        }
        if self.files.is_read_only() {
            return Err(StatusCode::FORBIDDEN.into());
        }
        let there = match tree::find(&self.files, &wish.names) {
            Ok(_) => true,
            Err(Trouble::NotFound) => false,
            Err(trouble) => return Err(trouble.into()),
        };
        let taken = self.locks().lock(&wish.names, &wish.shown);
        let token = taken.ok_or(StatusCode::LOCKED)?;
        if !there {
            // RFC 4918, section 7.3: a name that is locked is that of an empty file.
            let (parent, name) = tree::parent(&self.files, &wish.names)?;
            let file = self.files.begin_file(0o644)?;
            self.files.end_file(parent.number(), &name, file)?;
        }
        let status = match there {
            true => StatusCode::OK,
            false => StatusCode::CREATED,
        };
        Ok(answer::locked(status, &token))
    }
}

/// Sends a range of a file. Where it cannot be read the answer is cut off.
fn send(
    files: &FileSystem,
    handle: u64,
    (start, length): (u64, u64),
    pieces: &mpsc::Sender<Bytes>,
) {
    let mut done: u64 = 0;
    while done < length {
        let wanted = usize::try_from(length.saturating_sub(done)).unwrap_or(PIECE);
        let at = start.saturating_add(done);
        let Ok(bytes) = files.read(handle, at, wanted.min(PIECE)) else {
            return;
        };
        done = done.saturating_add(bytes.len() as u64);
        if bytes.is_empty() || pieces.blocking_send(bytes.into()).is_err() {
            return;
        }
    }
}
