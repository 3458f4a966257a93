//! authmig connects to what psql connects to.

mod bad_servers;
mod certificates;
mod files;
mod logins;
mod logs;
mod pooler;
mod table;
mod tls;
mod unsupported;
mod waiting;
