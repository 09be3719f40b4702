//! One test binary: scenarios over real sockets against the real binary, and the house rules.
mod command_line;
mod ending;
mod house_rules;
mod real_paths;
mod records;
mod reloads;
