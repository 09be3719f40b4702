//! Publishes pushes to the message broker that the settings name (AMQP 0-9-1), with publisher confirms.
use std::time::Duration;

use bytes::Bytes;
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties,
    options::{BasicPublishOptions, ConfirmSelectOptions},
    types::{AMQPValue, FieldTable, ShortString},
};
use tokio::sync::Mutex;

use crate::server::BrokerUrl;

/// For connecting, publishing and the confirm together, whatever a push says.
const PATIENCE: Duration = Duration::from_secs(50);

/// A message on its way.
pub struct Message {
    /// Empty: the default exchange, whose routing key is the queue's name.
    pub exchange: String,
    pub routing_key: String,
    pub content_type: String,
    /// Of an answer: what it answers.
    pub correlation_id: Option<String>,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

/// The way to the broker: one connection, opened when first needed and anew after it broke.
pub struct Broker {
    url: Option<BrokerUrl>,
    open: Mutex<Option<Open>>,
}

struct Open {
    connection: Connection,
    channel: Channel,
}

impl Broker {
    /// Without a URL, publishing is refused.
    pub fn new(url: Option<BrokerUrl>) -> Self {
        Self { url, open: Mutex::default() }
    }

    /// Publishes a persistent message and waits until the broker has taken responsibility for it.
    ///
    /// # Errors
    /// Why the broker did not confirm: no broker in the settings, no connection, no queue for the routing key, no confirm in time.
    pub async fn publish(&self, message: Message) -> Result<(), String> {
        let published = tokio::time::timeout(PATIENCE, self.try_publish(message)).await;
        let result = published.unwrap_or_else(|_| Err(format!("no confirm within {PATIENCE:?}")));
        if result.is_err() {
            // Whatever went wrong, the next message begins with a fresh connection.
            let old = self.open.lock().await.take();
            drop(old);
        }
        result
    }

    async fn try_publish(&self, message: Message) -> Result<(), String> {
        let channel = self.channel().await?;
        let mut headers = FieldTable::default();
        for (name, value) in &message.headers {
            headers.insert(name.as_str().into(), AMQPValue::LongString(value.as_str().into()));
        }
        let mut properties = BasicProperties::default()
            .with_delivery_mode(2)
            .with_content_type(ShortString::from(message.content_type.as_str()))
            .with_headers(headers);
        if let Some(id) = &message.correlation_id {
            properties = properties.with_correlation_id(ShortString::from(id.as_str()));
        }
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let confirm = channel
            .basic_publish(
                message.exchange.as_str().into(),
                message.routing_key.as_str().into(),
                options,
                &message.body,
                properties,
            )
            .await
            .map_err(|error| format!("not published: {error}"))?;
        match confirm.await.map_err(|error| format!("not confirmed: {error}"))? {
            Confirmation::Ack(None) => Ok(()),
            Confirmation::Ack(Some(returned)) | Confirmation::Nack(Some(returned)) => {
                Err(format!("returned by the broker: {}", returned.reply_text))
            }
            Confirmation::Nack(None) => Err("refused by the broker".into()),
            Confirmation::NotRequested => Err("the broker does not confirm".into()),
        }
    }

    async fn channel(&self) -> Result<Channel, String> {
        let url = self.url.as_ref().ok_or("the settings name no broker (`mocks.broker`)")?;
        let mut open = self.open.lock().await;
        if let Some(open) = &*open
            && open.connection.status().connected()
            && open.channel.status().connected()
        {
            return Ok(open.channel.clone());
        }
        let properties = ConnectionProperties::default().with_connection_name("qiao-mocks".into());
        // The error may hold the address, but not the password.
        let connection = Connection::connect(url.text(), properties);
        let connection =
            connection.await.map_err(|error| format!("the broker cannot be reached: {error}"))?;
        let channel = connection.create_channel().await.map_err(|error| format!("no channel: {error}"))?;
        let confirms = channel.confirm_select(ConfirmSelectOptions::default()).await;
        confirms.map_err(|error| format!("no confirms: {error}"))?;
        *open = Some(Open { connection, channel: channel.clone() });
        Ok(channel)
    }
}
