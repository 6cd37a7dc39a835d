//! Ports that no other test uses, neither of this run nor of another one at the same time.
//!
//! They come in blocks, below the range that the system uses for connections (32768, `ip_local_port_range`). A process locks the file of
//! its block, and the system releases the lock when the process ends, even after a crash.

use std::{
    collections::VecDeque,
    fs::File,
    net::{TcpListener, UdpSocket},
    sync::Mutex,
};

use nix::fcntl::{Flock, FlockArg};

/// A block of a hundred ports.
pub struct Block {
    pub first: u16,
    _lock: Flock<File>,
}

const SIZE: u16 = 100;
const FIRST: u16 = 17_000;
const BLOCKS: u16 = 150;

impl Block {
    /// A free block. Its first ports, which configurations name, are not in use.
    pub fn claim() -> Self {
        let folder = std::env::temp_dir().join("dialplane-ports");
        std::fs::create_dir_all(&folder).unwrap();
        let start = u16::try_from(std::process::id() % u32::from(BLOCKS)).unwrap();
        let places = (0..BLOCKS).map(|n| (start + n) % BLOCKS);
        let found = places.map(|place| FIRST + place * SIZE).find_map(|first| {
            let file = File::create(folder.join(first.to_string())).unwrap();
            let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).ok()?;
            (first..first + SIZE).step_by(2).all(is_free).then_some(Self { first, _lock: lock })
        });
        found.expect("a hundred and fifty blocks are enough for all tests")
    }
}

fn is_free(port: u16) -> bool {
    UdpSocket::bind(("0.0.0.0", port)).is_ok() && TcpListener::bind(("127.0.0.1", port)).is_ok()
}

/// The ports of a phone: this one for SIP, and those from [`MEDIA`] above it for media. Nobody else gets them while this process runs.
pub fn phone() -> u16 {
    static TAKEN: Mutex<(Vec<Block>, VecDeque<u16>)> = Mutex::new((Vec::new(), VecDeque::new()));
    let mut taken = TAKEN.lock().unwrap();
    let (blocks, free) = &mut *taken;
    if free.is_empty() {
        let block = Block::claim();
        free.extend((block.first..block.first + SIZE).step_by(10));
        blocks.push(block);
    }
    free.pop_front().unwrap()
}

/// SIPp uses four ports for media: audio and video, each with its control port.
pub const MEDIA: u16 = 2;
