//! Whether a handshake of TLS was begun: the driver goes on without where the server can do
//! none, and says nothing of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use postgres::Socket;
use postgres::tls::{MakeTlsConnect, TlsConnect};

/// Whether it was begun in an attempt to connect.
#[derive(Clone, Default)]
pub(super) struct Begun(Arc<AtomicBool>);

impl Begun {
    pub(super) fn get(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// What opens TLS, and notes that it does.
#[derive(Clone)]
pub(super) struct Noting<T> {
    opens: T,
    begun: Begun,
}

impl<T> Noting<T> {
    pub(super) fn new(opens: T, begun: Begun) -> Noting<T> {
        Noting { opens, begun }
    }
}

impl<T: MakeTlsConnect<Socket>> MakeTlsConnect<Socket> for Noting<T> {
    type Stream = T::Stream;
    type TlsConnect = Noting<T::TlsConnect>;
    type Error = T::Error;

    fn make_tls_connect(&mut self, domain: &str) -> Result<Self::TlsConnect, T::Error> {
        Ok(Noting::new(self.opens.make_tls_connect(domain)?, self.begun.clone()))
    }
}

impl<T: TlsConnect<Socket>> TlsConnect<Socket> for Noting<T> {
    type Stream = T::Stream;
    type Error = T::Error;
    type Future = T::Future;

    fn connect(self, stream: Socket) -> T::Future {
        self.begun.0.store(true, Ordering::SeqCst);
        self.opens.connect(stream)
    }
}
