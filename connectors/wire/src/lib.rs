//! Byte layouts and framing of partners' wires, without sockets (length-prefixed frames, carrier SMS protocols, bank files), shared by connectors and mock partners. Holds no layout yet.
