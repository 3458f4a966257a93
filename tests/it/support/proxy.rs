//! A TCP proxy that counts connections and turns: how often the client waited for
//! the server.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// PostgreSQL's Terminate message: said in leaving, and never answered.
const TERMINATE: [u8; 5] = [b'X', 0, 0, 0, 4];

type Deed = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Counts {
    connections: AtomicUsize,
    turns: AtomicUsize,
    sent: Mutex<Vec<u8>>,
    /// What happens before a turn of the client's reaches the server.
    first: Mutex<Option<(usize, Deed)>>,
}

/// A proxy in front of a port of this machine.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    counts: Arc<Counts>,
}

impl Proxy {
    pub(crate) fn to(server: u16) -> Proxy {
        Proxy::at(0, server)
    }

    /// The same at this port.
    pub(crate) fn at(port: u16, server: u16) -> Proxy {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let counts = Arc::new(Counts::default());
        let shared = counts.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { return };
                let Ok(server) = TcpStream::connect(("127.0.0.1", server)) else { return };
                shared.connections.fetch_add(1, Ordering::SeqCst);
                serve(&client, &server, &shared);
            }
        });
        Proxy { port, counts }
    }

    /// Does this first, and only then lets this turn through, counted from the last call of
    /// [`Proxy::counts`].
    pub(crate) fn before(&self, turn: usize, what: impl FnOnce() + Send + 'static) {
        *self.counts.first.lock().unwrap() = Some((turn, Box::new(what)));
    }

    /// All that the clients have sent.
    pub(crate) fn sent(&self) -> Vec<u8> {
        self.counts.sent.lock().unwrap().clone()
    }

    /// Connections and turns since the last call.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.counts.connections.swap(0, Ordering::SeqCst), self.counts.turns.swap(0, Ordering::SeqCst))
    }
}

fn serve(client: &TcpStream, server: &TcpStream, counts: &Arc<Counts>) {
    // Whether the last word was the server's.
    let answered = Arc::new(AtomicBool::new(true));
    let (seen, counts) = (answered.clone(), counts.clone());
    let mut messages = Messages::default();
    copy(client, server, move |bytes| {
        counts.sent.lock().unwrap().extend_from_slice(bytes);
        // The end of an answer can be late: it does not make two turns of one message.
        if messages.begins(bytes) && bytes != TERMINATE && seen.swap(false, Ordering::SeqCst) {
            let turn = 1 + counts.turns.fetch_add(1, Ordering::SeqCst);
            let mut first = counts.first.lock().unwrap();
            if first.as_ref().is_some_and(|(wanted, _)| *wanted == turn) {
                first.take().unwrap().1();
            }
        }
    });
    copy(server, client, move |_| answered.store(true, Ordering::SeqCst));
}

/// Where the messages of a client begin. Without TLS.
#[derive(Default)]
struct Messages {
    /// The first one has no letter in front of its length.
    started: bool,
    head: Vec<u8>,
    left: usize,
}

impl Messages {
    /// Whether a message begins in these bytes, which follow on those before.
    fn begins(&mut self, bytes: &[u8]) -> bool {
        let mut begins = false;
        for byte in bytes {
            if self.left > 0 {
                self.left -= 1;
                continue;
            }
            begins |= self.head.is_empty();
            self.head.push(*byte);
            let letter = usize::from(self.started);
            if self.head.len() == letter + 4 {
                let length = u32::from_be_bytes(self.head[letter..].try_into().unwrap());
                self.left = usize::try_from(length).unwrap().saturating_sub(4);
                self.started = true;
                self.head.clear();
            }
        }
        begins
    }
}

fn copy(from: &TcpStream, to: &TcpStream, mut look: impl FnMut(&[u8]) + Send + 'static) {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(length) = from.read(&mut buffer) {
            if length == 0 {
                break;
            }
            look(&buffer[..length]);
            if to.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
}
