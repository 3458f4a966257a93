//! authmig connects to what psql connects to.

mod certificates;
mod table;
