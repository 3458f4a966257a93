//! A proxy that breaks one connection at one message.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// Who sends the message that something happens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    Client,
    Server,
}

/// What happens to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It arrives, and then the connection is gone.
    Cut,
    /// Half of it arrives, and then the connection is gone.
    Halve,
    /// It arrives late.
    Delay,
    /// One bit of it is another: of the client's the kind, so that no other statement is
    /// run; of the server's any, at this place. Nobody may wait for ever after that.
    Garble(usize),
}

/// Where what happens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) from: From,
    /// The number of the message, from 1.
    pub(super) message: usize,
    pub(super) fault: Fault,
}

/// A proxy in front of a port of this machine.
pub(super) struct Proxy {
    pub(super) port: u16,
    plan: Arc<Mutex<Option<Plan>>>,
    counts: Arc<[AtomicUsize; 2]>,
}

impl Proxy {
    pub(super) fn to(server: u16) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let plan = Arc::new(Mutex::new(None));
        let counts = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
        let (shared_plan, shared_counts) = (plan.clone(), counts.clone());
        thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { return };
                let Ok(server) = TcpStream::connect(("127.0.0.1", server)) else { return };
                client.set_nodelay(true).unwrap();
                server.set_nodelay(true).unwrap();
                // The first connection only: the next one may be a cancel request.
                let plan = shared_plan.lock().unwrap().take();
                copy(&client, &server, From::Client, plan, &shared_counts);
                copy(&server, &client, From::Server, plan, &shared_counts);
            }
        });
        Proxy { port, plan, counts }
    }

    /// Breaks the next connection like this.
    pub(super) fn plan(&self, plan: Plan) {
        *self.plan.lock().unwrap() = Some(plan);
    }

    /// How many messages client and server have sent since the last call.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.counts[0].swap(0, Ordering::SeqCst), self.counts[1].swap(0, Ordering::SeqCst))
    }
}

fn copy(
    source: &TcpStream,
    sink: &TcpStream,
    from: From,
    plan: Option<Plan>,
    counts: &Arc<[AtomicUsize; 2]>,
) {
    let (source, mut sink) = (source.try_clone().unwrap(), sink.try_clone().unwrap());
    let (plan, counts) = (plan.filter(|plan| plan.from == from), counts.clone());
    thread::spawn(move || {
        let mut reader = std::io::BufReader::new(&source);
        for number in 1.. {
            let Some(mut message) = read(&mut reader, from == From::Client && number == 1) else { break };
            counts[usize::from(from == From::Server)].fetch_add(1, Ordering::SeqCst);
            let fault = plan.filter(|plan| plan.message == number).map(|plan| plan.fault);
            let length = message.len();
            match fault {
                Some(Fault::Delay) => thread::sleep(Duration::from_millis(30)),
                Some(Fault::Halve) => message.truncate(length / 2),
                Some(Fault::Garble(place)) => {
                    let place = if from == From::Client { 0 } else { place % length };
                    message[place] ^= 0x80;
                    let (source, sink) = (source.try_clone().unwrap(), sink.try_clone().unwrap());
                    thread::spawn(move || {
                        thread::sleep(Duration::from_millis(150));
                        close(&source, &sink);
                    });
                }
                _ => {}
            }
            if sink.write_all(&message).is_err() || matches!(fault, Some(Fault::Cut | Fault::Halve)) {
                break;
            }
        }
        close(&source, &sink);
    });
}

fn close(one: &TcpStream, other: &TcpStream) {
    let _ = one.shutdown(Shutdown::Both);
    let _ = other.shutdown(Shutdown::Both);
}

/// One message: a letter, but not in front of the first one, its length, and the rest.
fn read(reader: &mut impl Read, first: bool) -> Option<Vec<u8>> {
    let head = if first { 4 } else { 5 };
    let mut message = vec![0; head];
    reader.read_exact(&mut message).ok()?;
    let length = u32::from_be_bytes(message[head - 4..].try_into().unwrap());
    let length = usize::try_from(length).unwrap().saturating_sub(4);
    message.resize(head + length, 0);
    reader.read_exact(&mut message[head..]).ok()?;
    Some(message)
}
