//! Server-side sessions in PostgreSQL: the core of the Node.js package `pg-sess-rs`.
//!
//! The core is a plain async library; it knows nothing of Node. One thin module, `node` (behind the feature of the
//! same name), binds it to JavaScript. A call travels down this list and its answer comes back up:
//!
//! | module | job |
//! |---|---|
//! | [`sessions`] | the door of the core: one async function per operation |
//! | [`store`] | the same for the table of an express-session Store |
//! | [`options`] | what can be chosen, and every default |
//! | [`fields`] | the caller's fields: names quoted, datatypes parsed and written anew |
//! | [`table`] | creates the table, adopts it, verifies it |
//! | [`companion`] | the table beside it that remembers replaced ids |
//! | [`session_id`] | ids: made by the operating system's generator, hidden in `Debug` |
//! | [`ids`] | how a caller's id relates to the one in the table: the same, or its hash |
//! | [`queues`] | one an operation, made for the table as it was found, and anew when a type changes |
//! | [`batcher`], [`road`] | calls that wait together travel together; where their outcomes go |
//! | [`import`] | sessions of express-session are copied |
//! | [`handle`] | what a session is known by in lists |
//! | [`advisory`] | keys of the locks that processes agree on |
//! | [`background`] | when expired rows are removed, and how fast |
//! | [`pieces`] | work on many sessions, in short transactions |
//! | [`eager`], [`metronome`] | no thread is woken that need not be |
//! | [`attempt`] | one batch's way to the server and back |
//! | [`operations`] | what is sent for a batch and how its answer is read: one file per operation |
//! | [`retry`] | which failure of which operation may run again |
//! | [`pool`] | a deadpool of connections; nothing waits longer than its deadline |
//! | [`connect`] | one new connection, under one deadline |
//! | [`tls`] | TLS as Node has it |
//! | [`row`], [`text`] | a session's row; values as text, in and out |
//! | [`error`], [`stats`] | the one error; the counters |

#![cfg_attr(not(feature = "node"), forbid(unsafe_code))]

mod advisory;
mod attempt;
pub mod background;
mod batcher;
mod companion;
pub mod connect;
mod eager;
pub mod error;
pub mod fields;
pub mod handle;
mod ids;
pub mod import;
mod metronome;
mod operations;
pub mod options;
#[cfg(feature = "panics")]
mod panics;
mod pieces;
mod pool;
mod queues;
mod retry;
mod road;
mod row;
pub mod session_id;
pub mod sessions;
pub mod stats;
pub mod store;
pub mod table;
mod text;
pub mod tls;

#[cfg(feature = "node")]
mod node;
