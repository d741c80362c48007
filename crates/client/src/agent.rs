//! The agent: whoever holds a home's lock answers the requests of the other processes of the same user.
//!
//! ```text
//! HOME/agent.sock, a Unix stream socket; one JSON object a line
//!   to the agent:    {"id": BASE32 of 16 bytes, "request": "...", ...}      an api::Request and its id; while a link
//!                                                                           or a comparison is under way also
//!                                                                           `link_compared`, `sas_compared`
//!   from the agent:  {"answer": "...", ...}                                 api::Answers; `done` or `failed` ends them
//!                    {"moved": true}                                        the agent ends: take the lock, ask again
//! ```
//!
//! The id makes a repeated `send` the same letter.

use crate::api::{Answer, Request};
use crate::failure::failure;
use crate::limits;
use crate::os;
use crate::view::FailureKind;
use keys::LetterId;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::{
    AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader,
};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

/// A request on its way to whoever holds the lock.
pub(crate) struct Call {
    /// Becomes the letter's id where the request sends one.
    pub(crate) id: LetterId,
    /// What is wanted.
    pub(crate) request: Request,
    /// Who listens.
    pub(crate) answers: mpsc::Sender<Answer>,
}

#[derive(Serialize, Deserialize)]
struct Question {
    id: String,
    #[serde(flatten)]
    request: Request,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Moved { moved: bool },
    Answer(Box<Answer>),
}

/// How asking an agent ended.
pub(crate) enum Asked {
    /// The last answer came.
    Ended,
    /// The agent is gone, or about to go: ask again, elsewhere.
    Gone {
        /// Nothing came before.
        unanswered: bool,
    },
}

fn socket(home: &Path) -> PathBuf {
    home.join("agent.sock")
}

/// The socket's path in a form that is short enough for the system, whatever the home's path is. The directory
/// stays open as long as the path is in use.
fn short(home: &Path) -> io::Result<(Option<std::os::fd::OwnedFd>, PathBuf)> {
    use std::os::fd::AsRawFd as _;
    let path = socket(home);
    if path.as_os_str().len() < 100 {
        return Ok((None, path));
    }
    let flags =
        rustix::fs::OFlags::PATH | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC;
    let directory = rustix::fs::open(home, flags, rustix::fs::Mode::empty())?;
    let path = PathBuf::from(format!(
        "/proc/self/fd/{}/agent.sock",
        directory.as_raw_fd()
    ));
    Ok((Some(directory), path))
}

/// Connects to the agent of a home.
///
/// # Errors
/// There is none.
pub(crate) async fn connect(home: &Path) -> io::Result<UnixStream> {
    let (_directory, path) = short(home)?;
    let stream = UnixStream::connect(path).await?;
    same_user(&stream)?;
    Ok(stream)
}

/// Passes a call to the agent and its answers back. What a person says about the link or comparison that the call is
/// for goes the same way: an agent that is about to end takes no other connection.
pub(crate) async fn ask(
    stream: UnixStream,
    call: &Call,
    said: Option<mpsc::Receiver<Request>>,
) -> Asked {
    let (reader, mut writer) = stream.into_split();
    let question = Question {
        id: call.id.to_string(),
        request: call.request.clone(),
    };
    let mut unanswered = true;
    let Ok(line) = line(&question) else {
        let hint = "give the file a name that is UTF-8";
        let refusal = failure(
            FailureKind::Usage,
            "the request cannot be passed on",
            Some(hint),
        );
        let _ = call.answers.send(Answer::Failed(refusal)).await;
        return Asked::Ended;
    };
    if writer.write_all(&line).await.is_err() {
        return Asked::Gone { unanswered };
    }
    let mut talk = JoinSet::new();
    talk.spawn(pass_words(writer, call.id, said));
    let mut reader = BufReader::new(reader);
    loop {
        let line = tokio::select! {
            line = read_line(&mut reader) => line,
            () = call.answers.closed() => return Asked::Ended,
        };
        let Ok(Some(line)) = line else {
            return Asked::Gone { unanswered };
        };
        match serde_json::from_slice(&line) {
            Ok(Line::Answer(answer)) => {
                unanswered = false;
                let last = matches!(*answer, Answer::Done | Answer::Failed(_));
                if call.answers.send(*answer).await.is_err() || last {
                    return Asked::Ended;
                }
            }
            Ok(Line::Moved { moved: true }) => return Asked::Gone { unanswered },
            // An agent of a newer version may say more than this one understands.
            Ok(Line::Moved { .. }) | Err(_) => {}
        }
    }
}

/// Holds the way to the agent open, and passes on what a person says.
async fn pass_words(
    mut writer: OwnedWriteHalf,
    id: LetterId,
    said: Option<mpsc::Receiver<Request>>,
) {
    if let Some(mut said) = said {
        while let Some(request) = said.recv().await {
            let id = id.to_string();
            let question = Question { id, request };
            if write_line(&mut writer, &question).await.is_err() {
                return;
            }
        }
    }
    std::future::pending::<()>().await;
}

/// The serving side; it ends with [`Agent::close`].
pub(crate) struct Agent {
    home: PathBuf,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl Agent {
    /// Serves a home whose lock this process holds.
    ///
    /// # Errors
    /// The socket cannot be made.
    pub(crate) fn serve(home: &Path, calls: mpsc::Sender<Call>) -> io::Result<Self> {
        os::remove(&socket(home)); // Left over by a process that was killed: we hold the lock.
        let (_directory, path) = short(home)?;
        let listener = UnixListener::bind(path)?;
        os::make_private(&socket(home))?;
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(accept(listener, calls, stopped));
        Ok(Self {
            home: home.to_owned(),
            stop,
            task,
        })
    }

    /// Takes no more requests, sends those who only listen to the next holder of the lock, and waits for the rest.
    pub(crate) async fn close(self) {
        os::remove(&socket(&self.home));
        let _ = self.stop.send(true);
        let _ = self.task.await;
    }
}

async fn accept(
    listener: UnixListener,
    calls: mpsc::Sender<Call>,
    mut stopped: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(limits::AGENT_CONNECTIONS));
    let mut served = JoinSet::new();
    loop {
        let stream = tokio::select! {
            stream = listener.accept() => stream,
            _ = stopped.wait_for(|stop| *stop) => break,
        };
        while served.try_join_next().is_some() {}
        match stream {
            Ok((stream, _)) if same_user(&stream).is_ok() => {
                let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                    continue;
                };
                let (calls, stopped) = (calls.clone(), stopped.clone());
                served.spawn(async move {
                    serve_one(stream, calls, stopped).await;
                    drop(place);
                });
            }
            Ok(_) => {}
            // Out of file descriptors, for example: let others close theirs.
            Err(_) => tokio::time::sleep(limits::LOCK_POLL).await,
        }
    }
    while served.join_next().await.is_some() {}
}

async fn serve_one(
    stream: UnixStream,
    calls: mpsc::Sender<Call>,
    mut stopped: watch::Receiver<bool>,
) {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    loop {
        let line = tokio::select! {
            line = read_line(&mut reader) => line,
            _ = stopped.wait_for(|stop| *stop) => return,
        };
        let Ok(Some(line)) = line else { return };
        let question = serde_json::from_slice::<Question>(&line).ok();
        let Some((id, question)) =
            question.and_then(|asked| Some((LetterId::from_text(&asked.id)?, asked)))
        else {
            let hint = "both processes should be of the same version";
            let refusal = failure(
                FailureKind::Usage,
                "the agent does not understand this request",
                Some(hint),
            );
            let _ = write_line(&mut writer, &Answer::Failed(refusal)).await;
            return;
        };
        // Those who only listen can listen elsewhere; others are seen to their end.
        let movable = matches!(
            question.request,
            Request::Receive { .. } | Request::VaultNewer { .. }
        );
        let (answers, heard) = mpsc::channel(limits::ANSWERS);
        if calls
            .send(Call {
                id,
                request: question.request,
                answers,
            })
            .await
            .is_err()
        {
            return;
        }
        if !pass_on(
            heard,
            &mut reader,
            &mut writer,
            movable.then_some(&mut stopped),
            &calls,
        )
        .await
        {
            return;
        }
    }
}

/// Writes the answers to one request; false if the connection ends with it.
async fn pass_on(
    mut answers: mpsc::Receiver<Answer>,
    reader: &mut BufReader<OwnedReadHalf>,
    writer: &mut OwnedWriteHalf,
    mut stopped: Option<&mut watch::Receiver<bool>>,
    calls: &mpsc::Sender<Call>,
) -> bool {
    loop {
        let answer = tokio::select! {
            answer = answers.recv() => answer,
            heard = reader.fill_buf() => {
                // The other side hung up, or talks out of turn: whoever asked is gone.
                if !heard.is_ok_and(|bytes| !bytes.is_empty()) || !pass_word(reader, calls).await {
                    return false;
                }
                continue;
            }
            () = stop(&mut stopped) => {
                let _ = writer.write_all(b"{\"moved\":true}\n").await;
                return false;
            }
        };
        let Some(answer) = answer else { return false };
        if write_line(writer, &answer).await.is_err() {
            return false;
        }
        if matches!(answer, Answer::Done | Answer::Failed(_)) {
            return true;
        }
    }
}

/// Passes on what a person says about what is under way; false for anything else.
async fn pass_word(reader: &mut BufReader<OwnedReadHalf>, calls: &mpsc::Sender<Call>) -> bool {
    let Ok(Some(line)) = read_line(reader).await else {
        return false;
    };
    let Ok(Question { id, request }) = serde_json::from_slice(&line) else {
        return false;
    };
    let (Some(id), true) = (LetterId::from_text(&id), request.is_word()) else {
        return false;
    };
    // What becomes of it the answers to the request under way say.
    let (answers, _) = mpsc::channel(1);
    let call = Call {
        id,
        request,
        answers,
    };
    calls.send(call).await.is_ok()
}

async fn stop(stopped: &mut Option<&mut watch::Receiver<bool>>) {
    match stopped {
        Some(stopped) => {
            let _ = stopped.wait_for(|stop| *stop).await;
        }
        None => std::future::pending().await,
    }
}

/// Only this user's processes are served, and asked.
fn same_user(stream: &UnixStream) -> io::Result<()> {
    // SECURITY: the socket is for its owner alone, and so is what it says; root may read the home anyway.
    if stream.peer_cred()?.uid() == os::user() {
        Ok(())
    } else {
        Err(io::Error::from(io::ErrorKind::PermissionDenied))
    }
}

async fn write_line(writer: &mut OwnedWriteHalf, value: &impl Serialize) -> io::Result<()> {
    writer.write_all(&line(value)?).await
}

fn line(value: &impl Serialize) -> io::Result<zeroize::Zeroizing<Vec<u8>>> {
    let mut line = zeroize::Zeroizing::new(serde_json::to_vec(value)?);
    line.push(b'\n');
    Ok(line)
}

/// Reads a line of bounded length; nothing at the end of the stream.
async fn read_line(
    reader: &mut (impl AsyncBufRead + Unpin),
) -> io::Result<Option<zeroize::Zeroizing<Vec<u8>>>> {
    let mut line = zeroize::Zeroizing::new(Vec::new());
    let limit = limits::LINE_BYTES as u64;
    reader.take(limit).read_until(b'\n', &mut line).await?;
    match line.pop() {
        Some(b'\n') => Ok(Some(line)),
        Some(_) => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]
    use super::*;

    /// An agent whose only answer is an error, and what it was asked.
    fn served() -> (tempfile::TempDir, Agent, mpsc::Receiver<LetterId>) {
        let home = tempfile::tempdir().unwrap();
        let (calls, mut called) = mpsc::channel::<Call>(8);
        let (asked, ids) = mpsc::channel(8);
        let agent = Agent::serve(home.path(), calls).unwrap();
        tokio::spawn(async move {
            let mut linking = None;
            while let Some(call) = called.recv().await {
                asked.send(call.id).await.unwrap();
                match call.request {
                    Request::DeviceLink { .. } => linking = Some(call.answers),
                    Request::LinkCompared { .. } => {
                        let waiting = linking.take().unwrap();
                        waiting.send(Answer::Done).await.unwrap();
                    }
                    // Listens for as long as somebody is there.
                    Request::Receive { .. } => {
                        drop(tokio::spawn(async move { call.answers.closed().await }))
                    }
                    _ => call.answers.send(Answer::Done).await.unwrap(),
                }
            }
        });
        (home, agent, ids)
    }

    fn call(request: Request) -> (Call, mpsc::Receiver<Answer>) {
        let (answers, heard) = mpsc::channel(8);
        (
            Call {
                id: LetterId::from_bytes([7; 16]),
                request,
                answers,
            },
            heard,
        )
    }

    fn receive() -> Request {
        Request::Receive {
            follow: true,
            timeout_ms: None,
            save: None,
        }
    }

    #[tokio::test]
    async fn several_processes_are_served_at_a_time_and_ids_are_kept() {
        let (home, _agent, mut ids) = served();
        let (listening, _heard) = call(receive());
        let stream = connect(home.path()).await.unwrap();
        tokio::spawn(async move { ask(stream, &listening, None).await });
        assert_eq!(ids.recv().await, Some(LetterId::from_bytes([7; 16])));
        for _ in 0..3 {
            let (asked, mut heard) = call(Request::AccountShow);
            assert!(matches!(
                ask(connect(home.path()).await.unwrap(), &asked, None).await,
                Asked::Ended
            ));
            assert!(matches!(heard.recv().await, Some(Answer::Done)));
        }
    }

    #[tokio::test]
    async fn a_listener_is_told_to_move_when_the_agent_ends() {
        let (home, agent, mut ids) = served();
        let (listening, _heard) = call(receive());
        let stream = connect(home.path()).await.unwrap();
        let asked = tokio::spawn(async move {
            matches!(
                ask(stream, &listening, None).await,
                Asked::Gone { unanswered: true }
            )
        });
        ids.recv().await.unwrap();
        agent.close().await;
        assert!(asked.await.unwrap());
        assert!(connect(home.path()).await.is_err());
    }

    #[tokio::test]
    async fn the_word_on_a_link_reaches_an_agent_that_is_about_to_end() {
        let (home, agent, mut ids) = served();
        let (linking, mut heard) = call(Request::DeviceLink { timeout_ms: 1 });
        let (say, said) = mpsc::channel(1);
        let stream = connect(home.path()).await.unwrap();
        let asked = tokio::spawn(async move { ask(stream, &linking, Some(said)).await });
        ids.recv().await.unwrap();
        let closed = tokio::spawn(agent.close());
        while connect(home.path()).await.is_ok() {
            tokio::task::yield_now().await;
        }
        say.try_send(Request::LinkCompared { same: true }).unwrap();
        assert!(ids.recv().await.is_some());
        assert!(matches!(heard.recv().await, Some(Answer::Done)));
        assert!(matches!(asked.await.unwrap(), Asked::Ended));
        closed.await.unwrap();
    }

    #[tokio::test]
    async fn nonsense_and_endless_lines_end_their_connection_only() {
        let (home, _agent, _ids) = served();
        let mut stream = connect(home.path()).await.unwrap();
        stream.write_all(b"{\"id\":1}\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.contains("\"failed\""), "{answer}");
        let mut stream = connect(home.path()).await.unwrap();
        // The agent hangs up before all is written, or right after.
        let _ = stream
            .write_all(&vec![b'x'; limits::LINE_BYTES.saturating_add(1)])
            .await;
        let _ = stream.read_to_string(&mut answer).await;
        let (asked, _heard) = call(Request::AccountShow);
        assert!(matches!(
            ask(connect(home.path()).await.unwrap(), &asked, None).await,
            Asked::Ended
        ));
    }

    #[tokio::test]
    async fn a_home_with_a_long_path_is_served_too() {
        let directory = tempfile::tempdir().unwrap();
        let home = directory.path().join("a".repeat(120));
        os::create_home(&home).unwrap();
        let (calls, _called) = mpsc::channel(1);
        let _agent = Agent::serve(&home, calls).unwrap();
        assert!(connect(&home).await.is_ok());
    }
}
