//! Who may log in, and the one subsystem there is.
use std::{collections::HashMap, sync::Arc};

use russh::{
    Channel, ChannelId,
    server::{Auth, ChannelOpenHandle, Handler, Msg, Session, VerifiedPublicKey},
};

use super::session::Files;
use crate::{
    server::{beforehand, sockets::Place},
    sftp::User,
    spec::FaultKind,
};

/// Channels of one connection at most.
const MAX_CHANNELS: usize = 8;

/// One connection, before and after its login.
pub struct Login {
    place: Place,
    line: Arc<socket2::Socket>,
    user: Option<String>,
    channels: HashMap<ChannelId, Channel<Msg>>,
}

impl Login {
    pub fn new(place: Place, line: Arc<socket2::Socket>) -> Self {
        Self { place, line, user: None, channels: HashMap::new() }
    }

    /// Lets a user in whose proof holds, unless the partner is closed for maintenance.
    fn admit(&mut self, name: &str, holds: impl FnOnce(&User) -> bool) -> Auth {
        let Some((partner, number)) = self.place.current() else { return Auth::reject() };
        let listener = &partner.listeners[number];
        let Some(form) = &listener.sftp else { return Auth::reject() };
        let closed = |kind| kind == FaultKind::Maintenance;
        if beforehand::strike(&self.place, &partner, listener, "SSH", &closed).is_some() {
            return Auth::reject();
        }
        match form.users.iter().find(|user| user.name == name) {
            Some(user) if holds(user) => {
                self.user = Some(user.name.clone());
                Auth::Accept
            }
            _ => Auth::reject(),
        }
    }
}

impl Handler for Login {
    type Error = russh::Error;

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Self::Error> {
        let fits = |user: &User| {
            user.password.as_ref().is_some_and(|known| known.secret_matches(password.as_bytes()).is_ok())
        };
        Ok(self.admit(user, fits))
    }

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        let offered = key.public_key.key_data();
        Ok(self.admit(user, |user| user.keys.iter().any(|known| known.key_data() == offered)))
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        // A handle that is dropped refuses the channel.
        if self.channels.len() < MAX_CHANNELS {
            self.channels.insert(channel.id(), channel);
            reply.accept().await;
        }
        Ok(())
    }

    async fn channel_eof(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), Self::Error> {
        session.close(channel)
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let opened = if name == "sftp" { self.channels.remove(&channel) } else { None };
        match (opened, &self.user) {
            (Some(opened), Some(user)) => {
                session.channel_success(channel)?;
                let files = Files::new(self.place.clone(), user, Arc::clone(&self.line));
                russh_sftp::server::run(opened.into_stream(), files).await;
                Ok(())
            }
            _ => session.channel_failure(channel),
        }
    }
}
