//! One test binary: scenarios over real sockets against the real binary, and the house rules.
mod audit;
mod breaking;
mod command_line;
mod ending;
mod hanging_up;
mod house_rules;
mod integrity;
mod kept_bodies;
mod keys;
mod limits;
mod logging_in;
mod passing_through;
mod real_paths;
mod records;
mod refusals;
mod reloads;
mod serving;
