//! The carriers' gateways.
use super::*;

/// A login at one of the carriers' partners, and what a message to `number` is answered with.
async fn submit(server: &MockServer, number: &str, text: &str) -> u32 {
    use qiao_wire::cmpp::{Command, Pdu, Version};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let addr = server.listener_addr("mobile", "ismg").expect("a gateway");
    let mut stream = tokio::net::TcpStream::connect(addr).await.expect("a connection");
    let source_addr = qiao_wire::FixedText::new("901234").expect("fits");
    let authenticator_source =
        qiao_wire::cmpp::auth::source(&source_addr, b"0123456789abcdef", 1_121_120_000);
    let connect = qiao_wire::cmpp::Connect {
        source_addr,
        authenticator_source,
        version: 0x30,
        timestamp: 1_121_120_000,
    };
    let submit = qiao_wire::cmpp::Submit {
        msg_fmt: 8,
        src_id: qiao_wire::FixedText::new("1068123401").expect("fits"),
        dest_terminal_id: qiao_wire::cmpp::Destinations::one(
            qiao_wire::cmpp::TerminalId::new(number).expect("fits"),
        ),
        msg_content: qiao_wire::Content(qiao_wire::sms::Encoding::Ucs2.encode(text).expect("text")),
        ..Default::default()
    };
    for (sequence, command) in [(1, Command::Connect(connect)), (2, Command::Submit(submit))] {
        let frame = Pdu { sequence, command }.encode(Version::V30).expect("a frame");
        stream.write_all(&frame).await.expect("written");
    }
    let mut answers = [0; 33 + 24];
    let read = tokio::time::timeout(crate::help::PATIENCE, stream.read_exact(&mut answers)).await;
    read.expect("in time").expect("two answers");
    match Pdu::decode(&answers[33..], Version::V30).expect("an answer").command {
        Command::SubmitResp(resp) => resp.result.0,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_mobile_partner_takes_signed_messages_and_refuses_forbidden_numbers() {
    let partners = Partners::serve();
    assert_eq!(submit(&partners.server, "13812345678", "【上海民政】您的申请已受理").await, 0);
    assert_eq!(submit(&partners.server, "13812345678", "没有签名").await, 5);
    assert_eq!(submit(&partners.server, "13812340000", "【上海民政】x").await, 13);
    assert_eq!(submit(&partners.server, "13812340007", "【上海民政】x").await, 8);
    assert_eq!(submit(&partners.server, "13812340007", "【上海民政】x").await, 0);
    for (partner, listener) in [("telecom", "smgw"), ("unicom", "smg")] {
        assert!(partners.server.listener_addr(partner, listener).is_some(), "{partner}");
    }
}
