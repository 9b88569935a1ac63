//! The generator: one thread with many kept connections. Closed loop: each connection sends again when it has been
//! answered. Open loop: requests are due at fixed times, whatever has been answered; their latency counts from then.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::event::epoll;
use rustix::time::Timespec;

use super::cores;
use super::wire::{self, Answer};

/// What is sent.
#[derive(Clone)]
pub enum Work {
    /// The same again and again.
    Same(Vec<u8>),
    /// A recording's start, then its end.
    StartEnd(StartEnd),
}

/// The requests of a recording's life.
#[derive(Clone)]
pub struct StartEnd {
    /// The start.
    pub start: Vec<u8>,
    /// Name of the id in its answer, in quotes.
    pub id_key: String,
    /// The end, with `ID` in the place of the id.
    pub end: String,
}

/// When it is sent.
#[derive(Debug, Clone, Copy)]
pub enum Pace {
    /// As soon as the connection is free.
    Closed,
    /// So many a second.
    Rate(f64),
    /// Once on each connection, all at the same time.
    Once,
}

/// What a generator is to do.
#[derive(Clone)]
pub struct Load {
    /// The server.
    pub address: SocketAddr,
    /// The most connections. A closed loop opens all before the time runs, an open one when it needs them.
    pub connections: usize,
    /// What is sent.
    pub work: Work,
    /// And when.
    pub pace: Pace,
    /// For so long.
    pub lasts: Duration,
}

/// One answer.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// Its latency.
    pub took_us: u32,
    /// Its status.
    pub status: u16,
    /// Whether it had `Retry-After`.
    pub retry_after: bool,
}

/// What a run came to.
#[derive(Debug, Default)]
pub struct Drove {
    /// Every answer.
    pub samples: Vec<Sample>,
    /// How long it took.
    pub secs: f64,
    /// Connections that broke, and requests that had no answer.
    pub broken: u64,
}

/// How long answers are waited for after the last request.
const PATIENCE: Duration = Duration::from_secs(60);
const BUFFER: usize = 16 * 1024;

/// Drives `load`, divided among one thread for each of `cores`.
pub fn drive(cores: &[Option<usize>], load: &Load) -> Drove {
    let threads = cores.len().min(load.connections).max(1);
    let part = Load {
        connections: load.connections / threads,
        pace: match load.pace {
            Pace::Rate(rate) => Pace::Rate(rate / threads as f64),
            other => other,
        },
        ..load.clone()
    };
    std::thread::scope(|scope| {
        let running: Vec<_> =
            cores[..threads].iter().map(|core| scope.spawn(|| Generator::run(*core, &part))).collect();
        let mut all = Drove::default();
        for it in running {
            let it = it.join().unwrap();
            all.samples.extend(it.samples);
            all.secs = all.secs.max(it.secs);
            all.broken += it.broken;
        }
        all
    })
}

struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
    since: Instant,
    is_busy: bool,
    /// The end of the recording it has started.
    next: Option<Vec<u8>>,
}

struct Generator<'a> {
    load: &'a Load,
    epoll: rustix::fd::OwnedFd,
    connections: Vec<Connection>,
    free: Vec<usize>,
    busy: usize,
    drove: Drove,
}

impl<'a> Generator<'a> {
    fn run(core: Option<usize>, load: &'a Load) -> Drove {
        cores::pin(core.as_slice());
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
        let mut it = Generator {
            load,
            epoll,
            connections: Vec::new(),
            free: Vec::new(),
            busy: 0,
            drove: Drove::default(),
        };
        let at_first = match load.pace {
            Pace::Rate(_) => load.connections.min(16),
            _ => load.connections,
        };
        for _ in 0..at_first {
            it.add();
        }
        it.go();
        it.drove
    }

    /// One more connection, which is free.
    fn add(&mut self) {
        let at = self.connections.len();
        let connection = self.connect(at);
        self.connections.push(connection);
        self.free.push(at);
    }

    fn connect(&self, at: usize) -> Connection {
        let stream = TcpStream::connect(self.load.address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_nonblocking(true).unwrap();
        epoll::add(&self.epoll, &stream, epoll::EventData::new_u64(at as u64), epoll::EventFlags::IN)
            .unwrap();
        Connection {
            stream,
            buffer: vec![0; BUFFER],
            filled: 0,
            since: Instant::now(),
            is_busy: false,
            next: None,
        }
    }

    fn go(&mut self) {
        let began = Instant::now();
        let end = began + self.load.lasts;
        let mut sent = 0_u64;
        let mut events: Vec<epoll::Event> = Vec::with_capacity(256);
        if !matches!(self.load.pace, Pace::Rate(_)) {
            while let Some(at) = self.free.pop() {
                self.send(at, Instant::now());
            }
        }
        loop {
            let now = Instant::now();
            let mut patience = Duration::from_millis(100);
            if let Pace::Rate(rate) = self.load.pace {
                let due = |number: u64| began + Duration::from_secs_f64(number as f64 / rate);
                while due(sent) <= now && due(sent) < end {
                    if self.free.is_empty() && self.connections.len() < self.load.connections {
                        self.add();
                    }
                    let Some(at) = self.free.pop() else { break };
                    self.send(at, due(sent));
                    sent += 1;
                }
                // Waits are told in whole milliseconds: the last one is spent looking.
                let left = due(sent).min(end).saturating_duration_since(now);
                patience = Duration::from_millis((left.as_millis() as u64).saturating_sub(1).min(100));
            }
            let is_over = now >= end && (self.busy == 0 || now >= end + PATIENCE);
            if is_over || matches!(self.load.pace, Pace::Once) && self.busy == 0 {
                break;
            }
            let patience = Timespec { tv_sec: 0, tv_nsec: patience.subsec_nanos().into() };
            events.clear();
            if epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), Some(&patience)).is_err()
            {
                continue;
            }
            for event in events.drain(..) {
                let data = event.data;
                self.receive(data.u64() as usize, end);
            }
        }
        self.drove.broken += self.busy as u64;
        self.drove.secs = began.elapsed().as_secs_f64();
    }

    /// Sends what comes next on a connection; its latency counts from `since`.
    fn send(&mut self, at: usize, since: Instant) {
        let connection = &mut self.connections[at];
        (connection.since, connection.is_busy) = (since, true);
        let next = connection.next.take();
        let bytes = match (&next, &self.load.work) {
            (Some(next), _) => next,
            (None, Work::Same(bytes)) => bytes,
            (None, Work::StartEnd(work)) => &work.start,
        };
        let mut rest = &bytes[..];
        self.busy += 1;
        while !rest.is_empty() {
            match connection.stream.write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(fault) if fault.kind() == ErrorKind::WouldBlock => std::thread::yield_now(),
                // The server has hung up: seen when it is read.
                Err(_) => break,
            }
        }
    }

    fn receive(&mut self, at: usize, end: Instant) {
        let connection = &mut self.connections[at];
        let came = match connection.stream.read(&mut connection.buffer[connection.filled..]) {
            Ok(came) => came,
            Err(fault) if fault.kind() == ErrorKind::WouldBlock => return,
            Err(_) => 0,
        };
        if came == 0 {
            self.broken(at, end);
            return;
        }
        connection.filled += came;
        let Some((answer, length)) = wire::answer(&connection.buffer[..connection.filled]) else { return };
        if !connection.is_busy {
            // Nobody has asked: the server tells that it closes a connection that was idle for long.
            connection.filled = 0;
            return;
        }
        let now = Instant::now();
        let took_us = now.duration_since(connection.since).as_micros() as u32;
        self.drove.samples.push(Sample { took_us, status: answer.status, retry_after: answer.retry_after });
        connection.next = match &self.load.work {
            Work::StartEnd(work) => end_of(work, &answer),
            Work::Same(_) => None,
        };
        connection.buffer.copy_within(length..connection.filled, 0);
        connection.filled -= length;
        self.answered(at, now, end);
    }

    /// A connection is free: a closed loop uses it again.
    fn answered(&mut self, at: usize, now: Instant, end: Instant) {
        self.busy -= 1;
        self.connections[at].is_busy = false;
        match self.load.pace {
            Pace::Closed if now < end => self.send(at, now),
            _ => self.free.push(at),
        }
    }

    fn broken(&mut self, at: usize, end: Instant) {
        let was_busy = self.connections[at].is_busy;
        self.connections[at] = self.connect(at);
        if was_busy {
            self.drove.broken += 1;
            self.answered(at, Instant::now(), end);
        }
    }
}

/// The request that ends the recording whose start was answered so.
fn end_of(work: &StartEnd, answer: &Answer<'_>) -> Option<Vec<u8>> {
    let body = std::str::from_utf8(answer.body).ok()?;
    if !body.contains("\"active\"") {
        return None;
    }
    let rest = body.split_once(&work.id_key)?.1.trim_start_matches([':', ' ']);
    let id = rest.trim_start_matches('"').split(['"', ',', '}']).next()?;
    Some(work.end.replace("ID", id).into_bytes())
}
