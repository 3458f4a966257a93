//! What is no server, or a broken one: an error in time, and never a hang.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use crate::support::TestDb;

/// What a client says first: a length, and what it wants.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// The server asks for a password in plain text.
const ASKS_FOR_PASSWORD: [u8; 9] = [b'R', 0, 0, 0, 8, 0, 0, 0, 3];

/// The server lets the client in.
const LETS_IN: [u8; 9] = [b'R', 0, 0, 0, 8, 0, 0, 0, 0];

/// Listens, and does this with each connection, in a thread of its own.
fn server(act: impl Fn(TcpStream) + Send + Sync + Copy + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || act(stream));
        }
    });
    port
}

/// Reads the client's first message, answers no to TLS, and reads the next one.
fn greeted(stream: &mut TcpStream) {
    let mut first = [0; 8];
    if stream.read_exact(&mut first).is_ok() && first == SSL_REQUEST {
        let _ = stream.write_all(b"N");
        let _ = stream.read(&mut [0; 1000]);
    } else {
        let _ = stream.read(&mut [0; 1000]);
    }
}

/// Keeps a connection open until the client leaves.
fn hold(mut stream: TcpStream) {
    let mut buffer = [0; 1000];
    while stream.read(&mut buffer).is_ok_and(|length| length > 0) {}
}

/// The error of `status` there, with each of these modes.
fn errors(port: u16, modes: &[&str]) -> Vec<String> {
    let db = TestDb::new();
    let error = |mode: &&str| {
        let url = format!("postgres://app:s3cret@127.0.0.1:{port}/shop?sslmode={mode}");
        let run = db.authmig(&["status", "--connect-timeout", "300ms", "--database-url", &url]).exits(5);
        assert_eq!(run.stdout, "");
        let place = format!("127.0.0.1:{port}");
        run.stderr.lines().next().unwrap().replace(&place, "PLACE")
    };
    modes.iter().map(error).collect()
}

const SILENT: &str = "error: cannot connect to app@PLACE/shop: no answer within 300ms";
const CLOSED: &str = "error: cannot connect to app@PLACE/shop: it closed the connection";
const NO_SERVER: &str = "error: cannot connect to app@PLACE/shop: what answers there is no PostgreSQL server";
const ANY: &[&str] = &["disable", "prefer", "require"];

#[test]
fn a_server_that_says_nothing_is_given_up() {
    assert_eq!(errors(server(hold), ANY), [SILENT; 3]);
}

#[test]
fn a_server_that_says_nothing_after_its_yes_to_tls_is_given_up() {
    let port = server(|mut stream| {
        let _ = stream.read_exact(&mut [0; 8]);
        let _ = stream.write_all(b"S");
        hold(stream);
    });
    assert_eq!(errors(port, &["prefer", "require"]), [SILENT; 2]);
}

#[test]
fn a_server_that_says_nothing_after_the_greeting_is_given_up() {
    let port = server(|mut stream| {
        greeted(&mut stream);
        hold(stream);
    });
    assert_eq!(errors(port, &["disable", "prefer"]), [SILENT; 2]);
}

#[test]
fn a_server_that_lets_in_and_then_says_nothing_is_given_up() {
    let port = server(|mut stream| {
        greeted(&mut stream);
        let _ = stream.write_all(&LETS_IN);
        hold(stream);
    });
    assert_eq!(errors(port, &["disable", "prefer"]), [SILENT; 2]);
}

#[test]
fn a_server_that_talks_for_ever_is_given_up() {
    let port = server(|mut stream| {
        greeted(&mut stream);
        let _ = stream.write_all(&LETS_IN);
        // A setting of the session, again and again, and never the end of the greeting.
        let setting = [&[b'S', 0, 0, 0, 8][..], b"a\0b\0"].concat();
        while stream.write_all(&setting).is_ok() {
            thread::sleep(Duration::from_millis(1));
        }
    });
    assert_eq!(errors(port, &["disable", "prefer"]), [SILENT; 2]);
}

#[test]
fn a_server_that_sends_a_byte_now_and_then_is_given_up() {
    let port = server(|mut stream| {
        greeted(&mut stream);
        for byte in LETS_IN.iter().chain(std::iter::repeat(&0)) {
            if stream.write_all(&[*byte]).is_err() {
                break;
            }
            thread::sleep(Duration::from_millis(60));
        }
    });
    assert_eq!(errors(port, &["disable", "prefer"]), [SILENT; 2]);
}

#[test]
fn a_server_that_closes_is_said_to_close_wherever_it_does() {
    let at_once = server(drop);
    for error in errors(at_once, ANY) {
        assert!(error == CLOSED || error.ends_with("connection reset by peer"), "{error}");
    }
    let after_greeting = server(|mut stream| greeted(&mut stream));
    assert_eq!(errors(after_greeting, &["disable", "prefer"]), [CLOSED; 2]);
    let after_password = server(|mut stream| {
        greeted(&mut stream);
        let _ = stream.write_all(&ASKS_FOR_PASSWORD);
        let _ = stream.read(&mut [0; 1000]);
    });
    assert_eq!(errors(after_password, &["disable", "prefer"]), [CLOSED; 2]);
    let in_a_message = server(|mut stream| {
        greeted(&mut stream);
        let _ = stream.write_all(&LETS_IN[..7]);
    });
    assert_eq!(errors(in_a_message, &["disable", "prefer"]), [CLOSED; 2]);
    let in_tls = server(|mut stream| {
        let _ = stream.read_exact(&mut [0; 8]);
        let _ = stream.write_all(b"S");
        let _ = stream.read(&mut [0; 1000]);
    });
    assert_eq!(
        errors(in_tls, &["require"]),
        ["error: cannot connect to app@PLACE/shop: TLS fails: tls handshake eof"]
    );
}

#[test]
fn garbage_is_no_server() {
    let web = server(|mut stream| {
        let _ = stream.read(&mut [0; 1000]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        hold(stream);
    });
    // The start of its answer looks like the length of a long message.
    let no_tls = "error: cannot connect to app@PLACE/shop: it does not do TLS";
    assert_eq!(errors(web, &["disable", "require"]), [SILENT, no_tls]);
    let noise = server(|mut stream| {
        greeted(&mut stream);
        let _ = stream.write_all(&[b'R', 0, 0, 0, 3, 255, 255, 255, 255, 0, 0, 0, 0]);
        hold(stream);
    });
    assert_eq!(errors(noise, &["disable", "prefer"]), [NO_SERVER; 2]);
    let no_tls = server(|mut stream| {
        let _ = stream.read_exact(&mut [0; 8]);
        let _ = stream.write_all(b"Sand then something else entirely, which is no TLS at all");
        hold(stream);
    });
    let error = &errors(no_tls, &["require"])[0];
    assert!(error.starts_with("error: cannot connect to app@PLACE/shop: TLS fails: "), "{error}");
}

#[test]
fn a_server_that_starts_leads_to_the_next_host_and_one_that_says_no_does_not() {
    // A refusal has its fields, each with a letter, and one zero more.
    const STARTING: &[u8] = b"SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0";
    const SAYS_NO: &[u8] = b"SFATAL\0VFATAL\0C3D000\0Mdatabase \"shop\" does not exist\0\0";
    fn refuse(mut stream: TcpStream, fields: &[u8]) {
        greeted(&mut stream);
        let length = u32::try_from(fields.len() + 4).unwrap().to_be_bytes();
        let _ = stream.write_all(&[b"E", &length[..], fields].concat());
        hold(stream);
    }
    let db = TestDb::new();
    let starting = server(|stream| refuse(stream, STARTING));
    let says_no = server(|stream| refuse(stream, SAYS_NO));
    for mode in ["disable", "prefer"] {
        let behind = |port: u16| {
            let hosts = format!("127.0.0.1:{port},127.0.0.1:{}", db.port());
            let url = format!("postgres://postgres@{hosts}/{}?sslmode={mode}", db.name);
            db.authmig(&["status", "--database-url", &url])
        };
        assert_eq!(behind(starting).exits(0).stderr, "");
        let refused = behind(says_no).exits(5);
        assert!(refused.stderr.contains("database \"shop\" does not exist"), "{}", refused.stderr);
    }
}

#[test]
fn a_slow_network_is_no_error() {
    let db = TestDb::new();
    let server_port = db.port();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = TcpStream::connect(("127.0.0.1", server_port)).unwrap();
            for (mut from, mut to) in
                [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)]
            {
                thread::spawn(move || {
                    let mut buffer = [0; 7];
                    while let Ok(length) = from.read(&mut buffer) {
                        if length == 0 || to.write_all(&buffer[..length]).is_err() {
                            break;
                        }
                        thread::sleep(Duration::from_micros(300));
                    }
                    let _ = to.shutdown(std::net::Shutdown::Both);
                });
            }
        }
    });
    db.authmig(&["status", "--database-url", &db.url_at(port)]).exits(0);
}
