//! Listeners, journal, bounds.

use super::Check;
use crate::{
    checked::{Durability, Journal, Limits, Listen},
    document::{Step, at},
    raw, units,
};
use std::{net::SocketAddr, time::Duration};

impl Check<'_> {
    pub(super) fn listen(&mut self, raw: &raw::Listen) -> Listen {
        let usual = Listen::default();
        let data = self.address(raw.data.as_deref(), at!["listen", "data"]).unwrap_or(usual.data);
        let admin = self.address(raw.admin.as_deref(), at!["listen", "admin"]).unwrap_or(usual.admin);
        if data == admin && data.port() != 0 {
            self.document.wrong_at(
                at!["listen", "admin"],
                format!("callers and administration share {data}"),
                "give each its own port",
            );
        }
        if !admin.ip().is_loopback() {
            self.document.note_at(
                at!["listen", "admin"],
                "the administration can be reached from other machines and asks for no key",
                "keep it on 127.0.0.1, or behind something that asks",
            );
        }
        Listen { data, admin }
    }

    fn address(&mut self, text: Option<&str>, path: &[Step<'_>]) -> Option<SocketAddr> {
        let text = text?;
        let address = text.parse().ok();
        if address.is_none() {
            let message = format!("`{}` is not an address", text.escape_debug());
            self.document.wrong_at(
                path,
                message,
                "write a numeric address and a port, for instance 127.0.0.1:8080",
            );
        }
        address
    }

    pub(super) fn journal(&mut self, raw: &raw::Journal) -> Journal {
        let dir = raw.dir.clone().unwrap_or_else(|| "cabotage-data".into());
        if dir.as_os_str().is_empty() {
            self.document.wrong_at(at!["journal", "dir"], "`journal.dir` is empty", "name a folder");
        }
        let durability = match raw.durability {
            None | Some(raw::Durability::Process) => Durability::Process,
            Some(raw::Durability::Power) => Durability::Power,
            Some(raw::Durability::Strict) => Durability::Strict,
        };
        if durability != Durability::Process {
            self.document.wrong_at(
                at!["journal", "durability"],
                "only `process` is built yet",
                "write \"process\" or leave it out",
            );
        }
        let month = Duration::from_hours(30 * 24);
        let retention = self.duration(raw.retention.as_deref(), at!["journal", "retention"]).unwrap_or(month);
        Journal { dir: self.path(&dir), durability, retention }
    }

    pub(super) fn limits(&mut self, raw: &raw::Limits) -> Limits {
        let usual = Limits::default();
        let body = self.size(raw.body.as_deref(), at!["limits", "body"]).unwrap_or(usual.body);
        let buffered =
            self.size(raw.buffered.as_deref(), at!["limits", "buffered"]).unwrap_or(usual.buffered);
        if buffered < body {
            self.document.wrong_at(
                at!["limits", "buffered"],
                "all buffered bodies together may hold less than one body",
                "make `buffered` at least as large as `body`",
            );
        }
        let connections = raw.connections.and_then(|n| usize::try_from(n).ok()).unwrap_or(usual.connections);
        if connections == 0 {
            self.document.wrong_at(
                at!["limits", "connections"],
                "`limits.connections` is 0",
                "allow at least one",
            );
        }
        if raw.workers == Some(0) {
            self.document.wrong_at(
                at!["limits", "workers"],
                "`limits.workers` is 0",
                "leave it out for one per core",
            );
        }
        let drain = self.duration(raw.drain.as_deref(), at!["limits", "drain"]).unwrap_or(usual.drain);
        let idle = self.duration(raw.idle.as_deref(), at!["limits", "idle"]).unwrap_or(usual.idle);
        if idle.is_zero() || idle > Duration::from_hours(24) {
            self.document.wrong_at(
                at!["limits", "idle"],
                "`limits.idle` is not between 1ms and 1d",
                "write how long a connection may rest between two calls, as in `620s`",
            );
        }
        Limits { body, buffered, connections, idle, drain, workers: raw.workers.map(usize::from) }
    }

    /// A duration as written; wrong ones are noted.
    pub(super) fn duration(&mut self, text: Option<&str>, path: &[Step<'_>]) -> Option<Duration> {
        let text = text?;
        let duration = units::duration(text);
        if duration.is_none() {
            let message = format!("`{}` is not a duration", text.escape_debug());
            self.document.wrong_at(path, message, units::DURATION_HINT);
        }
        duration
    }

    fn size(&mut self, text: Option<&str>, path: &[Step<'_>]) -> Option<usize> {
        let text = text?;
        let size = units::size(text).filter(|size| *size > 0);
        if size.is_none() {
            let message = format!("`{}` is not a size", text.escape_debug());
            self.document.wrong_at(path, message, units::SIZE_HINT);
        }
        size
    }
}
