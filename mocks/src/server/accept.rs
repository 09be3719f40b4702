//! Accepting connections: so many at once, until told to end.
use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
};

/// After an error of accepting: descriptors that are missing come back, a peer that is gone does not matter.
const PAUSE: Duration = Duration::from_millis(20);

/// When to end: once it holds this value, or nobody can change it any more.
pub type Ending = (watch::Receiver<bool>, bool);

/// Accepts until the end, at most `most` connections at once; more wait. `serve` gives what is done with one, or nothing where
/// whatever it belongs to is gone. Connections at hand go on after the end.
pub async fn accept<F>(
    listener: TcpListener,
    most: usize,
    (mut ending, end): Ending,
    mut serve: impl FnMut(TcpStream, SocketAddr) -> Option<F>,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(most));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = ending.wait_for(|now| *now == end) => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "nodelay");
                }
                let Some(served) = serve(stream, peer) else { return };
                tokio::spawn(async move {
                    served.await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection to the mock partners could not be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
