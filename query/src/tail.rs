//! Live tails: events as they become durable, to everybody whose condition they satisfy.
//!
//! One task follows the journal from its end while there is a tail. Each tail has a queue of
//! [`Config::TAIL_EVENTS_MAX`](crate::Config) events; what does not fit is dropped for that tail
//! alone, counted, and told in its place.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use logwarden_event::{Event, Position};
use logwarden_store::{Chunk, Journal, Record};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::watch;
use tokio_stream::Stream;
use tracing::warn;

use crate::config::Config;
use crate::engine::{Engine, lock};
use crate::error::QueryError;
use crate::language::Query;
use crate::metrics;
use crate::visibility::{View, Visibility};

/// Records read from the journal at once.
const RECORDS_PER_READ: usize = 1_000;
/// The lane that is followed; the embedded journal has only this one.
const LANE: u32 = 0;

/// What a tail gives.
#[derive(Debug, Clone)]
pub enum TailItem {
    /// The next event.
    Event(Event),
    /// So many events were dropped here, because they were not taken in time.
    Dropped(u64),
}

/// A live tail; it ends when the journal does.
pub struct Tail {
    items: mpsc::Receiver<TailItem>,
    /// Tells the follower that this tail is gone.
    _alive: watch::Receiver<()>,
}

impl Stream for Tail {
    type Item = TailItem;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<TailItem>> {
        self.get_mut().items.poll_recv(context)
    }
}

/// All tails and their follower.
pub(crate) struct Tails {
    journal: Arc<dyn Journal>,
    clients_max: usize,
    clients: Arc<Mutex<Clients>>,
}

#[derive(Default)]
struct Clients {
    list: Vec<Client>,
    is_followed: bool,
}

struct Client {
    view: View,
    items: mpsc::Sender<TailItem>,
    dropped: u64,
    /// Closed when the tail is dropped.
    alive: watch::Sender<()>,
}

impl Engine {
    /// Events from now on that satisfy the condition, in the order of the journal. Pipes do not
    /// count. Must be called on a tokio runtime.
    ///
    /// # Errors
    ///
    /// [`QueryError::Busy`] when [`Config::tails_max`] tails run already.
    pub fn tail(&self, query: &Query, visibility: &Visibility) -> Result<Tail, QueryError> {
        self.tails.add(visibility.view(query))
    }
}

impl Tails {
    pub(crate) fn new(journal: Arc<dyn Journal>, clients_max: usize) -> Self {
        Self { journal, clients_max, clients: Arc::default() }
    }

    fn add(&self, view: View) -> Result<Tail, QueryError> {
        let (sender, items) = mpsc::channel(Config::TAIL_EVENTS_MAX);
        let (alive, listener) = watch::channel(());
        let mut clients = lock(&self.clients);
        clients.list.retain(|client| !client.alive.is_closed());
        if clients.list.len() >= self.clients_max {
            ::metrics::counter!(metrics::TAILS_REFUSED_TOTAL).increment(1);
            let message = format!("{} live tails run already", self.clients_max);
            return Err(QueryError::Busy(message));
        }
        clients.list.push(Client { view, items: sender, dropped: 0, alive });
        if !clients.is_followed {
            clients.is_followed = true;
            let from = self.journal.end(LANE);
            tokio::spawn(follow(Arc::clone(&self.journal), Arc::clone(&self.clients), from));
        }
        Ok(Tail { items, _alive: listener })
    }
}

/// Reads the journal from `from` on and feeds the tails, until there are none.
async fn follow(journal: Arc<dyn Journal>, clients: Arc<Mutex<Clients>>, mut from: Position) {
    loop {
        let chunk = tokio::select! {
            () = no_clients(&clients) => {
                let mut clients = lock(&clients);
                clients.list.retain(|client| !client.alive.is_closed());
                if clients.list.is_empty() {
                    clients.is_followed = false;
                    return;
                }
                continue;
            }
            chunk = journal.read(from, RECORDS_PER_READ) => chunk,
        };
        match chunk {
            Ok(Chunk::Records { records, next }) => {
                from = next;
                let clients = Arc::clone(&clients);
                // Conditions may be expensive, so this leaves the async threads.
                let fed = tokio::task::spawn_blocking(move || lock(&clients).feed(&records)).await;
                if let Err(error) = fed {
                    warn!("a live tail broke: {error}");
                }
            }
            Ok(Chunk::Gap { to, .. }) => from = to,
            Err(error) => {
                warn!("live tails end: {error}");
                let mut clients = lock(&clients);
                clients.list.clear();
                clients.is_followed = false;
                return;
            }
        }
    }
}

/// Ends when the tails that were there are gone.
async fn no_clients(clients: &Mutex<Clients>) {
    let senders: Vec<watch::Sender<()>> =
        lock(clients).list.iter().map(|client| client.alive.clone()).collect();
    for sender in senders {
        sender.closed().await;
    }
}

impl Clients {
    fn feed(&mut self, records: &[Record]) {
        for client in &mut self.list {
            for Record { event, .. } in records {
                if let Some(event) = client.view.see(event) {
                    client.send(&event);
                }
            }
        }
        self.list.retain(|client| !client.alive.is_closed());
    }
}

impl Client {
    fn send(&mut self, event: &Event) {
        if self.dropped > 0 {
            match self.items.try_send(TailItem::Dropped(self.dropped)) {
                Ok(()) => self.dropped = 0,
                Err(_) => return self.drop_one(),
            }
        }
        if let Err(TrySendError::Full(_)) = self.items.try_send(TailItem::Event(event.clone())) {
            self.drop_one();
        }
    }

    fn drop_one(&mut self) {
        self.dropped += 1;
        ::metrics::counter!(metrics::TAIL_DROPPED_TOTAL).increment(1);
    }
}
