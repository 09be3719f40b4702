//! Looks for bytes in the memory of a process that the scenario started.
use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
};

const PIECE: usize = 1 << 20;

/// How often the bytes stand in the process's readable and writable memory. It may run on meanwhile.
pub fn occurrences(process: u32, needle: &[u8]) -> usize {
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).expect("the process lives");
    let memory = File::open(format!("/proc/{process}/mem")).expect("a child's memory is readable");
    let mut found = 0;
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (range, rights) = (words.next().expect("a range"), words.next().expect("rights"));
        if !rights.starts_with("rw") || line.contains("[v") {
            continue;
        }
        let (start, end) = range.split_once('-').expect("two ends");
        let at = |text| u64::from_str_radix(text, 16).expect("an address");
        found += in_range(&memory, at(start), at(end), needle);
    }
    found
}

fn in_range(memory: &File, start: u64, end: u64, needle: &[u8]) -> usize {
    let (mut found, mut at) = (0, start);
    let mut piece = vec![0; PIECE];
    while at < end {
        let wanted = PIECE.min((end - at) as usize);
        // A mapping may go while it is read.
        let Ok(read) = memory.read_at(&mut piece[..wanted], at) else { return found };
        if read < needle.len() {
            return found;
        }
        found += piece[..read].windows(needle.len()).filter(|window| *window == needle).count();
        // Pieces overlap by less than a needle, so that none is counted twice.
        at += (read - needle.len() + 1) as u64;
        if at + needle.len() as u64 > end {
            return found;
        }
    }
    found
}
