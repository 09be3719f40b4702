//! Secrets from people: a file's first line, or the next line of standard input; never from the command line itself.
use std::{
    io::{BufRead, IsTerminal, Read},
    path::Path,
};

use qiao_vault::Zeroizing;

use crate::cli::Failed;

/// A secret has at most this many bytes, and a public key in hex fewer.
pub const MOST: u64 = 1024;
/// A wrapped key in hex, or a backup's line.
const LONGEST: u64 = 16 << 10;

/// One secret: the first line of the file, or the next line of standard input. Asked without echo at a terminal.
pub fn secret(file: Option<&Path>, what: &str) -> Result<Zeroizing<String>, Failed> {
    let mut line = Zeroizing::new(String::with_capacity(MOST as usize + 2));
    match file {
        Some(file) => {
            let opened = std::fs::File::open(file);
            let read =
                opened.and_then(|opened| std::io::BufReader::new(opened.take(LONGEST)).read_line(&mut line));
            read.map_err(|error| Failed(format!("{}: {error}", file.display())))?;
        }
        None if std::io::stdin().is_terminal() => {
            *line = rpassword::prompt_password(format!("{what}: "))?;
        }
        None => {
            std::io::stdin().lock().take(LONGEST).read_line(&mut line)?;
        }
    }
    let text = Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned());
    if text.is_empty() {
        let place =
            file.map_or("standard input, one line each".to_owned(), |file| file.display().to_string());
        return Err(Failed(format!("{what} is read from {place}, and there was none")));
    }
    Ok(text)
}

/// A new passphrase; at a terminal twice, for nobody sees what is typed.
pub fn new_passphrase(file: Option<&Path>, what: &str) -> Result<Zeroizing<String>, Failed> {
    let first = secret(file, what)?;
    if file.is_none() && std::io::stdin().is_terminal() && *first != *secret(None, &format!("{what}, again"))?
    {
        return Err(Failed("the two differ: nothing was changed".to_owned()));
    }
    Ok(first)
}

/// All of standard input up to one line end, which is no part of a secret.
pub fn input(what: &str, most: u64) -> Result<Zeroizing<Vec<u8>>, Failed> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(most as usize + 3));
    std::io::stdin().take(most + 3).read_to_end(&mut bytes)?;
    for end in [b'\n', b'\r'] {
        if bytes.last() == Some(&end) {
            bytes.pop();
        }
    }
    if bytes.is_empty() || bytes.len() as u64 > most {
        return Err(Failed(format!("{what} is read from standard input: 1 to {most} bytes")));
    }
    Ok(bytes)
}

/// Text on standard input, such as hex.
pub fn text(what: &str) -> Result<String, Failed> {
    let bytes = input(what, LONGEST)?;
    let text =
        std::str::from_utf8(&bytes).map_err(|_| Failed(format!("{what} on standard input is no text")))?;
    Ok(text.trim().to_owned())
}
